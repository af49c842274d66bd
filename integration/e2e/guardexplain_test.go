package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
	"github.com/caddy-dcr/caddy-dcr/registry"
)

// TestGuardExplanations: what was refused at the endpoints of the AS is explained by its
// support code, step by step, and without what could be used again.
func TestGuardExplanations(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	x := &explaining{Play: p, t: t}
	x.prepares(nil)
	id, own := registered(t, p)
	reload(t, p, gateway.Workspace("explain on"))
	assertion, err := p.Acme.Assertion(id, p.Issuer, nil)
	if err != nil {
		t.Fatal(err)
	}
	none := tpp.NewClient(p.ClientOptions())
	defer none.Close()
	code := 0
	explained := func(client *tpp.Client, method, endpoint, form string, header http.Header, status int) registry.Explanation {
		t.Helper()
		code++
		header = header.Clone()
		header.Set("X-Fapi-Interaction-Id", fmt.Sprintf("6f5a1c3e-7b0d-4c8e-9a51-2d6f0b8c7e%02d", code))
		r, err := client.Do(t.Context(), method, endpoint, header, []byte(form))
		if err != nil || r.Status != status {
			t.Fatalf("%v, %v, want %d", r, err, status)
		}
		e := x.kept(t, header.Get("X-Fapi-Interaction-Id"))
		if last := e.Steps[len(e.Steps)-1]; e.Outcome != registry.Refused || e.Status != status || last.ErrorDescription != e.ErrorDescription || e.ErrorDescription != r.Text("error_description") {
			t.Errorf("%v is explained as %+v", r, e)
		}
		if text := fmt.Sprintf("%+v %s", e, e.Steps); strings.Contains(text, own) || strings.Contains(text, assertion) || strings.Contains(text, "s3cret") {
			t.Errorf("tells a credential: %s", text)
		}
		return e
	}
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	token, grant := p.Endpoint("token_endpoint"), "grant_type=client_credentials&scope=&"
	for _, c := range []struct {
		name   string
		e      func() registry.Explanation
		of     string
		steps  []string
		reason string
	}{
		{"another certificate", func() registry.Explanation {
			return explained(p.Client(p.Other), "POST", token, grant+"client_id="+id, form, 401)
		}, "authenticate", []string{"passed request form", "passed client_authentication client_authentication", "passed client_certificate client_certificate", "passed client client", "refused client_authentication tls_client_auth"}, ""},
		{"no certificate", func() registry.Explanation {
			return explained(none, "POST", token, grant+"client_id="+id, form, 401)
		}, "authenticate", []string{"unknown client_certificate client_certificate", "refused client_authentication tls_client_auth"}, ""},
		{"a secret, and a client that is nobody's", func() registry.Explanation {
			return explained(p.Client(p.Acme), "POST", token, grant+"client_id="+id+"&client_id=nobody&client_secret=s3cret&client_assertion="+assertion, form, 401)
		}, "authenticate", []string{"passed client_authentication client_authentication", "refused client_authentication tls_client_auth"}, ""},
		{"what cannot be read", func() registry.Explanation {
			return explained(p.Client(p.Acme), "POST", token, grant+"client_id=%20x", form, 400)
		}, "authenticate", []string{"passed request form", "refused client_authentication client_authentication"}, ""},
		{"a body that is no form, without a token", func() registry.Explanation {
			return explained(p.Client(p.Acme), "POST", p.Endpoint("userinfo_endpoint"), "{}", http.Header{"Content-Type": {"application/json"}}, 415)
		}, "use", []string{"refused request form"}, ""},
		{"revocation", func() registry.Explanation {
			return explained(p.Client(p.Other), "POST", p.Endpoint("revocation_endpoint"), "token="+own+"&client_id="+id, form, 401)
		}, "revoke", []string{"refused client_authentication tls_client_auth"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := c.e()
			for _, step := range c.steps {
				if !slices.Contains(verdicts(e), step) {
					t.Errorf("no %q in %q", step, verdicts(e))
				}
			}
			if e.Operation != c.of {
				t.Errorf("got the operation %s, want %s", e.Operation, c.of)
			}
		})
	}
	t.Run("no client", func(t *testing.T) {
		reload(t, p, gateway.Workspace("explain on", "unknown_clients refuse"))
		defer reload(t, p, gateway.Workspace("explain on"))
		e := explained(p.Client(p.Acme), "POST", token, grant, form, 401)
		if got := verdicts(e); !slices.Equal(got[2:], []string{"passed client_certificate client_certificate", "refused client client"}) {
			t.Errorf("got %q, want the client_certificate passed and the client refused last", got)
		}
	})
	t.Run("suspended", func(t *testing.T) {
		defer suspend(t, p, id)()
		e := explained(p.Client(p.Acme), "POST", token, grant+"client_id="+id, form, 401)
		if last := e.Steps[len(e.Steps)-1]; last.Step != "client" || !strings.Contains(strings.ReplaceAll(string(last.Input), " ", ""), `"suspended":true`) {
			t.Errorf("got %+v, want the step client, with suspended true", last)
		}
		e = explained(p.Client(p.Acme), "GET", p.Endpoint("userinfo_endpoint"), "", http.Header{"Authorization": {"Bearer " + own}}, 401)
		if got := verdicts(e); e.Operation != "use" || !slices.Equal(got, []string{"passed client_certificate client_certificate", "passed access_token access_token", "refused client client"}) {
			t.Errorf("%s: got %q, want a use that is refused at the step client, after the certificate and the token", e.Operation, got)
		}
		e = explained(p.Client(p.Acme), "GET", p.Endpoint("authorization_endpoint")+"?response_type=code&client_id="+id, "", http.Header{}, 403)
		if got := verdicts(e); e.Operation != "use" || got[len(got)-1] != "refused client client" {
			t.Errorf("%s: got %q, want a use that is refused at the step client", e.Operation, got)
		}
	})
}

// TestStrangersDoNotFillExplanations: who has no certificate writes over what others
// without one have left, and over nothing else.
func TestStrangersDoNotFillExplanations(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	id, _ := registered(t, p)
	reload(t, p, gateway.Workspace("explain on", "client_certificate off"))
	none := tpp.NewClient(p.ClientOptions())
	defer none.Close()
	ask := func(client *tpp.Client, code string) {
		t.Helper()
		r, err := client.Do(t.Context(), http.MethodPost, p.Endpoint("token_endpoint"), http.Header{
			"Content-Type": {"application/x-www-form-urlencoded"}, "X-Fapi-Interaction-Id": {code},
		}, []byte("grant_type=client_credentials&scope=&client_id="+id))
		if err != nil || r.Status != http.StatusUnauthorized {
			t.Fatalf("got %v, %v, want 401", r, err)
		}
	}
	kept := func(code string) {
		t.Helper()
		err := story.Eventually(t.Context(), time.Minute, func() error {
			if status, answer := operator(t, p, http.MethodGet, "explanations?code="+code, ""); status != http.StatusOK {
				return fmt.Errorf("the explanation of %s: %d %v, want 200", code, status, answer)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	const theirs = "7f5a1c3e-7b0d-4c8e-9a51-2d6f0b8c7e01"
	ask(p.Client(p.Other), theirs)
	kept(theirs)
	for i := range 20 { // more than there is room for
		code := fmt.Sprintf("7f5a1c3e-7b0d-4c8e-9a51-2d6f0b8c70%02d", i)
		ask(none, code)
		kept(code)
	}
	kept(theirs)
	if all := listed(t, p, "explanations?limit=100"); len(all) != 16+1 {
		t.Errorf("%d explanations are kept, want 16 of strangers and one", len(all))
	}
}
