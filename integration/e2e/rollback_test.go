package e2e_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// TestStatementRollback: a statement of 400 days ago verifies still, and brings back
// nothing, neither in a PUT nor in a POST, whose token stays good.
func TestStatementRollback(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	id, own := registered(t, p)
	old := time.Now().AddDate(0, 0, -400)
	withdrawn := []string{"https://tpp.example/withdrawn"}
	statement, err := p.Acme.Statement(map[string]any{"iat": old.Unix(), "software_redirect_uris": withdrawn, "software_roles": []string{"AISP", "PISP"}})
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := p.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client := p.Client(p.Acme)
	request := func() string {
		t.Helper()
		body, err := p.Acme.Request(map[string]any{"software_statement": statement, "redirect_uris": withdrawn, "scope": "openid payments"})
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	for range 2 {
		r, err := client.Register(t.Context(), p.Register, token, request())
		told := answered(t, r, err, http.StatusBadRequest, "invalid_software_statement").Text("error_description")
		if !strings.Contains(told, old.UTC().Format(time.RFC3339)) || !strings.Contains(told, "fetch a new statement") {
			t.Errorf("got %q, want the time %s, and what to do", told, old.UTC().Format(time.RFC3339))
		}
		r, err = client.Update(t.Context(), p.Register, id, own, request())
		answered(t, r, err, http.StatusBadRequest, "invalid_software_statement")
		if err := errors.Join(p.Gateway.Stop(), p.Gateway.Restart(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	says(t, p.Gateway, `"rule":"statement_rollback"`)
	body, err := p.Acme.Request(nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := client.Register(t.Context(), p.Register, token, body)
	answered(t, r, err, http.StatusCreated, "")
	reload(t, p, gateway.Workspace("statement_rollback allow"))
	r, err = client.Update(t.Context(), p.Register, id, own, request())
	answered(t, r, err, http.StatusOK, "")
}
