package gateway

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// TestIsForm: what a server behind the gateway could unpack, or read in another
// character set, is no form.
func TestIsForm(t *testing.T) {
	for contentType, want := range map[string]bool{
		formType: true, "Application/X-WWW-Form-Urlencoded": true, formType + ";charset=UTF-8": true, formType + `; charset="utf-8"`: true, formType + " ; Charset=utf-8;": true,
		formType + "; charset*=utf-8''utf-8; charset=iso-2022-jp": false, formType + "; charset*0=utf-8; charset=ibm037": false, formType + "; charset*1=ibm037": false,
		formType + "; charset=ibm037": false, formType + `; x="\"; charset=ibm037; y=\""`: false, formType + "; charset=utf-8; charset=ibm037": false, formType + "; x=y": false,
		"": false, "application/json": false, "text/plain; " + formType: false, formType + ", text/plain": false, formType + "x": false,
	} {
		r := httptest.NewRequest("POST", "/token", strings.NewReader("x"))
		r.Header.Set("Content-Type", contentType)
		if isForm(r) != want {
			t.Errorf("%q: %v, want %v", contentType, !want, want)
		}
	}
	for _, encodings := range [][]string{{"gzip"}, {"", "gzip"}, {"identity"}, {""}} {
		r := httptest.NewRequest("POST", "/token", strings.NewReader("x"))
		r.Header = http.Header{"Content-Type": {formType}, "Content-Encoding": encodings}
		if isForm(r) {
			t.Errorf("Content-Encoding %q passes", encodings)
		}
	}
}

// TestHiddenClient: a client_id that the gateway overlooks and the AS does not would
// reach it with the client's certificate.
func TestHiddenClient(t *testing.T) {
	tpp := leaf(t, "tpp", time.Now().Add(time.Hour))
	g := newGuarding(t, tpp.RawSubject)
	if err := g.store.Suspend(t.Context(), registry.Suspension{Workspace: g.ws.Name, Kind: registry.SuspendSoftware, Value: "1"}); err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{"client_id=client", "\ufeffclient_id=client", "%EF%BB%BFclient_id=client", "client_id%5B0%5D=client", "client%E2%80%8B_id=client", "\x1b(Bclient_id=client"} {
		if status := g.ask(tpp, clientAuthentication, form+"&grant_type=client_credentials"); status == 200 {
			t.Errorf("%q passes", form)
		}
	}
}
