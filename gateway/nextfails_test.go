package gateway

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// TestNextHandlerFails: what the next handler has not answered is for the host to answer, and
// the gateway has written nothing, whatever it was to do with the answer.
func TestNextHandlerFails(t *testing.T) {
	tpp := leaf(t, "tpp", time.Now().Add(time.Hour))
	w := newWhole(t, nil)
	w.next, w.host.failed = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Of-The-AS", "x") }), true
	bridge := w.secretClient("bridged", verify.ClientSecretPost, tpp)
	introspect := tokenRequest(tpp, "client_id=client&token=t")
	introspect.URL.Path = "/default/obuk/introspect"
	for name, r := range map[string]*http.Request{
		"elsewhere": httptest.NewRequest(http.MethodGet, "/elsewhere", nil), "token": tokenRequest(tpp, "client_id=client"), "introspection": introspect,
		"bridge": tokenRequest(tpp, "client_id=bridged&client_secret="+bridge), "userinfo": to(me, "Bearer", "of-another"),
	} {
		answer := httptest.NewRecorder()
		w.ServeHTTP(answer, ofHost(r))
		if answer.Header().Get(interactionID) != "" || answer.Body.Len() > 0 {
			t.Errorf("%s: header %v, body %q, want nothing of the gateway", name, answer.Header(), answer.Body)
		}
	}
}
