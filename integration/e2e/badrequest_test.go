package e2e_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/directory"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

func unpublished(*story.Play) (directory.Key, error) { return directory.NewKey("PS256") }

// TestConfiguredDemandsAreEnforced: what the Caddyfile demands of statements, certificates and bodies is demanded,
// one refusal for each word. All that a request may not be is in the tables of gateway.
func TestConfiguredDemandsAreEnforced(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	certificate, err := p.Acme.IssueTransport(directory.TransportOptions{Unpublished: true})
	if err != nil {
		t.Fatal(err)
	}
	demands := gateway.At("software_statement").Add("software_mode Live", "org_id "+p.Acme.OrgID)
	ask := func(client *tpp.Client, contentType string, statement map[string]any, want row) {
		t.Helper()
		token, _, err := p.Prepare(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ssa, err := p.Acme.Statement(statement)
		if err != nil {
			t.Fatal(err)
		}
		claims, err := p.Acme.RequestClaims(map[string]any{"software_statement": ssa})
		if err != nil {
			t.Fatal(err)
		}
		body, err := p.Acme.Signing.Sign(claims, nil)
		if contentType == "application/json" {
			var bare []byte
			bare, err = json.Marshal(claims)
			body = string(bare)
		}
		if err != nil {
			t.Fatal(err)
		}
		r, err := client.Do(t.Context(), http.MethodPost, p.Register, http.Header{"Content-Type": {contentType}, "Authorization": {"Bearer " + token}}, []byte(body))
		if want.status == http.StatusCreated {
			answered(t, r, err, http.StatusCreated, "")
		} else if err := want.isIn(p, r, err); err != nil {
			t.Error(err)
		}
	}
	const jose, bare = "application/jose", "application/json"
	created, unapproved := row{status: http.StatusCreated}, row{400, "unapproved_software_statement", "", "software_statement: "}
	unbound := row{400, "invalid_client_metadata", "", "client_certificate: "}
	reload(t, p, gateway.Workspace("bind_certificate ssa_jwks"), demands)
	ask(p.Client(p.Acme), jose, map[string]any{"software_mode": "Test"}, unapproved)
	ask(p.Client(p.Acme), jose, map[string]any{"org_id": "0015800001041RZZZZ"}, unapproved)
	ask(p.Client(p.Acme), jose, map[string]any{"org_status": "Withdrawn"}, unapproved)
	ask(presenting(t, p, certificate), jose, nil, unbound)
	ask(p.Client(p.Acme), bare, nil, row{415, "invalid_request", "", "Content-Type: "})
	ask(p.Client(p.Acme), jose, nil, created)
	reload(t, p, gateway.Workspace("bind_certificate ssa_jwks"), gateway.At("signed_request_body").Set("off"))
	ask(p.Client(p.Other), bare, nil, unbound)
	ask(p.Client(p.Acme), jose, nil, row{415, "invalid_request", "", "Content-Type: "})
	ask(p.Client(p.Acme), bare, nil, created)
}
