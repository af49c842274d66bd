package e2e_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// TestGuardedEndpoints: every endpoint at which clients authenticate reaches the
// AS for the client itself, and not for anybody else who names it.
func TestGuardedEndpoints(t *testing.T) {
	each(t, story.Options{}, func(t *testing.T, p *story.Play) {
		id, own := registered(t, p)
		none := tpp.NewClient(p.ClientOptions())
		defer none.Close()
		names := []string{"token_endpoint", "pushed_authorization_request_endpoint", "introspection_endpoint", "revocation_endpoint"}
		if p.Endpoint("backchannel_authentication_endpoint") != "" {
			names = append(names, "backchannel_authentication_endpoint")
		}
		for _, name := range names {
			endpoint := p.Endpoint(name)
			path, ok := strings.CutPrefix(endpoint, p.Issuer)
			if !ok {
				t.Errorf("%s is %q", name, endpoint)
				continue
			}
			for who, client := range map[string]*tpp.Client{"the client": p.Client(p.Acme), "another": p.Client(p.Other), "nobody": none} {
				if err := p.AS.ResetRequests(t.Context()); err != nil {
					t.Fatal(err)
				}
				form := tpp.ClientCredentials("")
				form.Set("token", own+"x") // not to be revoked
				r, err := client.Token(t.Context(), endpoint, form, tpp.TLSClientAuth(id))
				if err != nil {
					t.Fatal(err)
				}
				seen, err := p.AS.RequestsTo(t.Context(), http.MethodPost, path)
				if err != nil {
					t.Fatal(err)
				}
				seen = slices.DeleteFunc(seen, func(s authserverprocess.Request) bool { return !strings.Contains(s.Body, id) }) // the gateway's own
				switch {
				case who == "the client":
					if len(seen) != 1 || seen[0].Header.Get("Client-Cert") != clientCert(p.Acme) || r.Text("error") == "invalid_client" || r.Header.Get("x-fapi-interaction-id") != "" {
						t.Errorf("%s of %s: %v, seen %v", name, who, r, seen)
					}
				case len(seen) != 0 || r.Status != 401 || r.Text("error") != "invalid_client":
					t.Errorf("%s of %s: %v, seen %d times", name, who, r, len(seen))
				}
			}
		}
	})
}
