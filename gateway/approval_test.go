package gateway

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/trace"
)

// approving is a stage whose workspace has an operator approve clients.
func approving(t *testing.T, mode string, change func(o *Options, as *authserver.Options)) *stage {
	t.Helper()
	return newStage(t, func(_ *stage, o *Options, as *authserver.Options) {
		o.Workspace.Approval, o.BindAccessTokens, o.Explain = mode, false, true
		if change != nil {
			change(o, as)
		}
	})
}

// approve lets a client in, as an operator who has just looked at it.
func (s *stage) approve(id string) {
	s.t.Helper()
	d, err := s.store.Details(s.t.Context(), "default/obuk", id)
	s.must(err)
	_, err = s.store.Approve(s.t.Context(), "default/obuk", id, registry.Act{Match: d.Tag})
	s.must(err)
}

// acts fails unless a client can do everything that an active one can, or nothing. token is one
// that the AS has given it.
func (s *stage) acts(what string, tpp *software, id, token string, asserts, may bool) {
	s.t.Helper()
	form := func() string {
		if asserts { // each counts once
			return "client_id=" + id + "&" + tpp.assertion(id, stageIssuer, "JWT")
		}
		return "client_id=" + id
	}
	for _, path := range []string{tokenPath, endpoints["pushed_authorization_request_endpoint"]} {
		for _, more := range []string{"&grant_type=client_credentials", "&grant_type=refresh_token&refresh_token=from-before"} {
			s.as.passed()
			a := s.form(&tpp.transport, path, form()+more)
			switch passed := len(s.as.passed()); {
			case may && (a.status != http.StatusOK || passed != 1):
				s.t.Errorf("%s, %s%s: %s, %d passed, want 200", what, path, more, a, passed)
			case !may && (a.status != http.StatusUnauthorized || a.text("error") != "invalid_client" || a.text("error_description") != "client authentication: this client awaits the bank's approval; ask the bank" || passed != 0):
				s.t.Errorf("%s, %s%s: %s, %d passed, want 401", what, path, more, a, passed)
			}
		}
	}
	if a := s.form(&tpp.transport, endpoints["revocation_endpoint"], form()+"&token="+token); a.status != http.StatusOK {
		s.t.Errorf("%s, revocation: %s, want 200: it gives rights up", what, a)
	}
	s.as.answers(func(w http.ResponseWriter, r *http.Request) {
		s.as.write(w, http.StatusOK, map[string]any{"active": true, "client_id": id})
	})
	defer s.as.answers(nil)
	if a := s.form(nil, endpoints["introspection_endpoint"], "token="+token, "Authorization", "Basic cmVzb3VyY2U6c2VjcmV0"); a.members["active"] != may {
		s.t.Errorf("%s, introspection: %s, want active %t", what, a, may)
	}
	a := s.do(nil, http.MethodGet, stageSite+endpoints["authorization_endpoint"]+"?response_type=code&client_id="+id, "", "Accept", "text/html")
	if may != (a.status == http.StatusOK) || !may && (a.status != http.StatusForbidden || !strings.Contains(a.body, "awaits the bank&#39;s approval") || a.header.Get("Location") != "") {
		s.t.Errorf("%s, authorization endpoint: %s", what, a)
	}
	if a := s.do(&tpp.transport, http.MethodGet, stageSite+endpoints["userinfo_endpoint"], "", "Authorization", "Bearer "+token); may != (a.status == http.StatusOK) || !may && a.text("error") != "invalid_token" {
		s.t.Errorf("%s, userinfo: %s", what, a)
	}
	if a := s.dcr(tpp, http.MethodGet, stageRegister+"/"+id, token, ""); may != (a.status == http.StatusOK) || !may && a.text("error") != "access_denied" {
		s.t.Errorf("%s, its registration: %s", what, a)
	}
}

// TestClientAwaitsApproval: whatever the method of the client, it does nothing before it is
// approved, nor after it has asked for more; and a decision that is cached ends at once.
func TestClientAwaitsApproval(t *testing.T) {
	for name, c := range map[string]struct {
		changes map[string]any
		as      func(*Options, *authserver.Options)
	}{
		"tls_client_auth": {nil, nil},
		"private_key_jwt": {map[string]any{"token_endpoint_auth_method": "private_key_jwt", "tls_client_auth_subject_dn": nil, "token_endpoint_auth_signing_alg": "PS256"}, nil},
		"bridge": {map[string]any{"token_endpoint_auth_method": "private_key_jwt", "tls_client_auth_subject_dn": nil, "token_endpoint_auth_signing_alg": "PS256"},
			func(_ *Options, as *authserver.Options) { as.TokenEndpointAuth = authserver.Bridge }},
	} {
		t.Run(name, func(t *testing.T) {
			s := approving(t, registry.ApprovalChanges, c.as)
			id, token := s.registered(s.acme, c.changes)
			all := func(what string, may bool) {
				t.Helper()
				for range 2 { // the second time of what was cached
					s.acts(what, s.acme, id, s.clientToken(id, s.acme), c.changes != nil, may)
				}
			}
			all("registered", false)
			s.approve(id)
			all("approved", true)
			wide := map[string]any{"scope": "openid accounts payments", "software_statement": s.acme.statement(map[string]any{"software_roles": []string{"AISP", "PISP"}})}
			for name, value := range c.changes {
				wide[name] = value
			}
			if a := s.dcr(s.acme, http.MethodPut, stageRegister+"/"+id, token, s.acme.request(wide)); a.status != http.StatusOK {
				t.Fatalf("PUT: %s", a)
			}
			all("after a PUT that adds a scope", false)
			if a := s.dcr(s.acme, http.MethodPut, stageRegister+"/"+id, token, s.acme.request(c.changes)); a.status != http.StatusForbidden {
				t.Errorf("a PUT with an access token: %s, want 403", a)
			}
			s.approve(id)
			all("approved again", true)
			// suspended beside it, and approved meanwhile: both must hold
			suspension := registry.Suspension{Workspace: "default/obuk", Kind: registry.SuspendClient, Value: id}
			s.must(s.store.Suspend(t.Context(), suspension))
			if a := s.form(&s.acme.transport, tokenPath, "grant_type=client_credentials&client_id="+id); a.status != http.StatusUnauthorized || !strings.Contains(a.text("error_description"), "suspended") {
				t.Errorf("suspended: %s", a)
			}
		})
	}
}

// TestWaitingClientManagesItself: with a registration access token of the gateway's own.
func TestWaitingClientManagesItself(t *testing.T) {
	s := approving(t, registry.ApprovalRegistrations, func(o *Options, _ *authserver.Options) { o.Workspace.AccessTokens = new(registry.AccessTokens) })
	a := s.register(s.acme, nil)
	if a.status != http.StatusCreated || a.text("registration_access_token") == "" {
		t.Fatalf("%s", a)
	}
	id, token := a.text("client_id"), a.text("registration_access_token")
	for _, c := range []struct {
		method, body string
		status       int
	}{
		{http.MethodGet, "", http.StatusOK}, {http.MethodPut, s.acme.request(nil), http.StatusOK}, {http.MethodDelete, "", http.StatusNoContent},
	} {
		s.acts("before "+c.method, s.acme, id, s.clientToken(id, s.acme), false, false)
		if a := s.dcr(s.acme, c.method, stageRegister+"/"+id, token, c.body); a.status != c.status {
			t.Errorf("%s: %s, want %d", c.method, a, c.status)
		}
	}
}

// approvingPolicy is a policy that asks for approval, or denies.
type approvingPolicy struct{ decision verify.Decision }

func (p approvingPolicy) Decide(context.Context, *verify.PolicyInput) (verify.Decision, error) {
	return p.decision, nil
}

func policyNamed(name string, shadow bool, d verify.Decision) func() *Policy {
	p := &Policy{Name: name, Language: "go", On: verify.Operations, Shadow: shadow, Timeout: time.Minute, Policy: approvingPolicy{d}}
	return func() *Policy { return p }
}

// TestPoliciesDemandApproval: one that asks is enough, a denial wins, and one in shadow only
// reports; with and without approval in the workspace.
func TestPoliciesDemandApproval(t *testing.T) {
	allows := verify.Decision{Allowed: true}
	asks := verify.Decision{Allowed: true, Approval: "a new organisation"}
	narrows := verify.Decision{Allowed: true, Approval: "many scopes", Scopes: []string{"openid"}}
	denies := verify.Decision{Text: "not you"}
	for name, c := range map[string]struct {
		policies []func() *Policy
		status   int
		reasons  []registry.ApprovalReason
	}{
		"none asks":       {[]func() *Policy{policyNamed("a", false, allows)}, 201, nil},
		"one asks":        {[]func() *Policy{policyNamed("a", false, allows), policyNamed("b", false, asks), policyNamed("c", false, allows)}, 201, []registry.ApprovalReason{{Policy: "b", Reason: "a new organisation"}}},
		"two ask":         {[]func() *Policy{policyNamed("a", false, asks), policyNamed("b", false, narrows)}, 201, []registry.ApprovalReason{{Policy: "a", Reason: "a new organisation"}, {Policy: "b", Reason: "many scopes"}}},
		"a later denial":  {[]func() *Policy{policyNamed("a", false, asks), policyNamed("b", false, denies)}, 400, nil},
		"a shadow asks":   {[]func() *Policy{policyNamed("a", true, asks)}, 201, nil},
		"a shadow denies": {[]func() *Policy{policyNamed("a", true, denies), policyNamed("b", false, asks)}, 201, []registry.ApprovalReason{{Policy: "b", Reason: "a new organisation"}}},
	} {
		t.Run(name, func(t *testing.T) {
			var host *fakeHost
			s := approving(t, "", func(o *Options, _ *authserver.Options) { o.Policies, host = c.policies, o.Host.(*fakeHost) })
			a := s.register(s.acme, nil)
			if a.status != c.status {
				t.Fatalf("%s, want %d", a, c.status)
			}
			if a.status != http.StatusCreated {
				return
			}
			id := a.text("client_id")
			d, err := s.store.Details(t.Context(), "default/obuk", id)
			s.must(err)
			waits := len(c.reasons) > 0
			if (d.Client.Status == registry.AwaitingApproval) != waits {
				t.Errorf("status %s, want it to wait: %t", d.Client.Status, waits)
			}
			s.acts(name, s.acme, id, s.clientToken(id, s.acme), false, !waits)
			last := d.History[len(d.History)-1]
			if waits != (last.Change == registry.AuditAwaitingApproval) || !slices.Equal(last.Approval, c.reasons) {
				t.Errorf("%+v, want the reasons %+v", last, c.reasons)
			}
			emitted := slices.IndexFunc(host.events, func(e map[string]any) bool { return e["client_id"] == id && e["operation"] == "register" })
			if waits != (emitted >= 0) {
				t.Errorf("%v, want an event for a client that waits: %t", host.events, waits)
			}
			if waits {
				s.approvalExplained(a, c.reasons)
			}
		})
	}
}

// approvalExplained fails unless the explanation that is kept names the policies that asked.
func (s *stage) approvalExplained(a *siteAnswer, reasons []registry.ApprovalReason) {
	s.t.Helper()
	var named []string
	wait.Until(s.t, "the explanation", func() bool { // it is written in the background
		list, err := s.store.Explanations(s.t.Context(), a.header.Get(interactionID))
		s.must(err)
		named = nil
		for _, e := range list {
			for _, step := range e.Steps {
				if step.Verdict == trace.NeedsApproval {
					named = append(named, step.Rule)
				}
			}
		}
		return len(named) == len(reasons)
	})
	for i, r := range reasons {
		if i >= len(named) || named[i] != r.Policy {
			s.t.Errorf("the explanation names %q, want %+v", named, reasons)
		}
	}
}

// TestNothingToApproveInReads: a policy that asks for approval lets a client read and delete.
func TestNothingToApproveInReads(t *testing.T) {
	s := approving(t, "", func(o *Options, _ *authserver.Options) {
		o.Policies = []func() *Policy{policyNamed("a", false, verify.Decision{Allowed: true, Approval: "always"})}
	})
	id, token := s.registered(s.acme, nil)
	s.approve(id)
	if a := s.dcr(s.acme, http.MethodGet, stageRegister+"/"+id, token, ""); a.status != http.StatusOK {
		t.Errorf("%s", a)
	}
	if c, err := s.store.Client(t.Context(), "default/obuk", id); err != nil || c.Status != registry.Active {
		t.Errorf("%+v, %v; want an active client", c, err)
	}
	if a := s.dcr(s.acme, http.MethodPut, stageRegister+"/"+id, token, s.acme.request(nil)); a.status != http.StatusOK {
		t.Errorf("%s", a)
	}
	s.acts("a PUT that the policy wants approved", s.acme, id, s.clientToken(id, s.acme), false, false)
}

// TestExplainedApproval: whoever explains a request reads that it needs approval.
func TestExplainedApproval(t *testing.T) {
	s := approving(t, registry.ApprovalRegistrations, nil)
	e, err := s.gateway.Explain(t.Context(), Question{Body: []byte(s.acme.request(nil)), Chain: nil})
	s.must(err)
	found := false
	for _, step := range e.Steps {
		found = found || step.Verdict == "needs_approval" && step.Reason == "approval manual registrations"
	}
	if !found {
		t.Errorf("%+v, want a step that needs approval", e.Steps)
	}
}
