package gateway

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// TestExplanationOfACachedRequestIsComplete: the answer of introspection may still be refused, and
// the explanation of that has all steps the second time too.
func TestExplanationOfACachedRequestIsComplete(t *testing.T) {
	w := newWhole(t, nil)
	w.options.Explain, w.says = true, "no JSON"
	tpp := leaf(t, "tpp", time.Now().Add(time.Hour))
	for range 2 {
		r := tokenRequest(tpp, "client_id=client&token=x")
		r.URL.Path = "/default/obuk/introspect"
		if answer := w.serve(r); answer.Code != http.StatusServiceUnavailable {
			t.Fatalf("%d %s, want 503", answer.Code, answer.Body)
		}
		var steps []string
		for _, s := range registry.Explain("", "", time.Now(), w.passed.Context().(*request).trace.Trace, nil).Steps {
			steps = append(steps, s.Step+" "+s.Rule)
		}
		want := []string{
			"request form", "client_authentication client_authentication", "client_certificate client_certificate", "client client",
			"client_authentication tls_client_auth", "authorization_server authorization_server",
		}
		if !slices.Equal(steps, want) {
			t.Errorf("%q, want %q", steps, want)
		}
	}
}
