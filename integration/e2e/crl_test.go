package e2e_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/directory"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// listServer is a CA's, over plain http. Without a list it is down.
type listServer struct {
	*httptest.Server
	list atomic.Pointer[[]byte]
}

func newListServer(t *testing.T) *listServer {
	s := new(listServer)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if list := s.list.Load(); list != nil {
			_, _ = w.Write(*list)
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(s.Close)
	return s
}

// revocationList is a list of the CA of transport certificates, good for an hour.
func revocationList(t *testing.T, p *story.Play, number int64, revoked ...tls.Certificate) []byte {
	t.Helper()
	list, err := p.Directory.RevocationList(number, time.Now().Add(time.Hour), revoked...)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestRevokedAtTheGateway: with crl_mode strict nobody passes before there is a list;
// whoever is on it passes nowhere, on a kept connection too; the last good list outlives a
// power failure while the CA is down, and another certificate goes on.
func TestRevokedAtTheGateway(t *testing.T) {
	t.Parallel()
	ca := newListServer(t)
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC, Binary: raceDetecting(t), Edits: []gateway.Edit{gateway.Unlimited,
		gateway.Workspace("crl "+ca.URL+"/issuing.crl {", "\tprivate_addresses", "}", "crl_mode soft")}}))
	id, access := registered(t, p) // soft
	says(t, p.Gateway, "lets them through")
	reload(t, p, gateway.At("crl_mode").Set("strict"))
	token := func(what string, client *tpp.Client, status int, told string) {
		t.Helper()
		r, err := client.Token(t.Context(), p.Endpoint("token_endpoint"), tpp.ClientCredentials(""), tpp.TLSClientAuth(id))
		if err != nil || r.Status != status || !strings.Contains(r.Text("error_description"), told) {
			t.Errorf("%s: %v, %v, want %d", what, r, err, status)
		}
	}
	token("no list", p.Client(p.Acme), 503, "cannot tell now whether it was revoked")
	if r := registers(t, p, p.Client(p.Acme), nil); r.Status != 503 || r.Header.Get("Retry-After") != "60" {
		t.Errorf("registration without a list: %v, want 503", r)
	}

	list := revocationList(t, p, 7, p.Other.Transport)
	ca.list.Store(&list)
	reload(t, p, gateway.At("crl_mode").Set("strict"), gateway.Workspace("lenient jti")) // another text, or nothing is loaded
	token("not on the list", p.Client(p.Acme), 200, "")
	token("on the list", p.Client(p.Other), 401, "revoked by the CA that issued it")
	if r := registers(t, p, p.Client(p.Acme), nil); r.Status != 201 { // and the list is in the store by then
		t.Errorf("registration with a list: %v, want 201", r)
	}
	says(t, p.Gateway, "is on the CRL "+ca.URL+"/issuing.crl (number 7")

	ca.list.Store(nil)
	restart(t, p, p.Gateway.Kill)
	token("not on the list that was kept", p.Client(p.Acme), 200, "")
	token("on the list that was kept", p.Client(p.Other), 401, "revoked by the CA that issued it")

	file := filepath.Join(t.TempDir(), "issuing.crl")
	write := func(list []byte) {
		t.Helper()
		if err := os.WriteFile(file+".new", list, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	write(revocationList(t, p, 8))
	reload(t, p, gateway.At("crl").Set(file, ca.URL+"/issuing.crl"))
	token("on no list any more", p.Client(p.Other), 401, "") // another client's certificate
	token("before", p.Client(p.Acme), 200, "")
	write(revocationList(t, p, 9, p.Acme.Transport))
	err := story.Eventually(t.Context(), 20*time.Second, func() error {
		r, err := p.Client(p.Acme).Token(t.Context(), p.Endpoint("token_endpoint"), tpp.ClientCredentials(""), tpp.TLSClientAuth(id))
		if err != nil || r.Status != 401 || r.Text("error") != "invalid_client" || !strings.Contains(r.Text("error_description"), "revoked") {
			return fmt.Errorf("got %v, %v, want 401 invalid_client, revoked", r, err)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("revoked on a connection that is kept: %v", err)
	}
	for name, ask := range map[string]func() (*tpp.Response, error){
		"read":     func() (*tpp.Response, error) { return p.Client(p.Acme).Read(t.Context(), p.Register, id, access) },
		"delete":   func() (*tpp.Response, error) { return p.Client(p.Acme).Delete(t.Context(), p.Register, id, access) },
		"register": func() (*tpp.Response, error) { return registers(t, p, p.Client(p.Acme), nil), nil },
	} {
		r, err := ask()
		if answered(t, r, err, 401, "invalid_client"); !strings.Contains(r.Text("error_description"), "revoked by the CA that issued it") {
			t.Errorf("%s: got %v, want a description that says who has revoked it", name, r)
		}
	}
	renewed, err := p.Acme.IssueTransport(directory.TransportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	token("another certificate of the client", presenting(t, p, renewed), 200, "")
}
