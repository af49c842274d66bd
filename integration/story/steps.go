package story

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// Steps are the steps that one gateway process tells. Reloads and crashes are
// tests of their own.
var Steps = []Step{
	{"The discovery document, without a client certificate", (*Play).discover},
	{"A registrar gets a dcr_register token", (*Play).getRegistrationToken},
	{"The TPP registers with a signed request over mTLS", (*Play).register},
	{"The same token again is refused, and inactive at the authorization server", (*Play).reuseToken},
	{"The new client gets a token with its certificate, nobody else does", (*Play).getToken},
	{"The client reads and changes its registration, nobody else does", (*Play).manage},
	{"What must be refused is refused, and leaves nothing behind", (*Play).refusals},
	{"The authorization server's own registration is out of reach, however it is spelt", (*Play).hidden},
	{"The client deletes its registration", (*Play).end},
}

func (p *Play) discover(ctx context.Context) error {
	r, err := p.call(ctx, Call{URL: p.Issuer + "/.well-known/openid-configuration"}, 200, "")
	if err != nil {
		return err
	}
	if err := expect(r, map[string]any{"issuer": p.Issuer, "registration_endpoint": p.Register}); err != nil {
		return err
	}
	for name, first := range map[string]string{
		"token_endpoint_auth_methods_supported": "tls_client_auth", "request_object_signing_alg_values_supported": "PS256",
		"id_token_signing_alg_values_supported": "PS256", "token_endpoint_auth_signing_alg_values_supported": "PS256",
	} {
		if list, _ := r.JSON[name].([]any); len(list) == 0 || list[0] != first {
			return fmt.Errorf("%s is %v, want %s first", name, list, first)
		}
	}
	p.discovery = r
	p.tokenEndpoint, p.introspection = r.Text("token_endpoint"), r.Text("introspection_endpoint")
	if !strings.HasPrefix(p.tokenEndpoint, p.Issuer+"/") || !strings.HasPrefix(p.introspection, p.Issuer+"/") {
		return fmt.Errorf("the endpoints are not at the gateway: %s, %s", p.tokenEndpoint, p.introspection)
	}
	return nil
}

func (p *Play) getRegistrationToken(ctx context.Context) (err error) {
	p.registrationToken, err = p.registrarToken(ctx, "dcr_register")
	return err
}

func (p *Play) registrarToken(ctx context.Context, scope string) (string, error) {
	r, err := p.call(ctx, Call{Method: "POST", URL: p.tokenEndpoint, ID: "registrar", Secret: p.registrar, Form: tpp.ClientCredentials(scope)}, 200, "")
	if err != nil {
		return "", err
	}
	return r.Text("access_token"), nil
}

func (p *Play) register(ctx context.Context) error {
	claims, err := p.Acme.RequestClaims(nil)
	if err != nil {
		return err
	}
	body, err := p.Acme.Request(claims)
	if err != nil {
		return err
	}
	r, err := p.call(ctx, Call{Method: "POST", URL: p.Register, As: p.Acme, Token: p.registrationToken, Body: body}, 201, "")
	if err != nil {
		return err
	}
	p.clientID = r.Text("client_id")
	if p.clientID == "" {
		return fmt.Errorf("no client_id\n%s", r)
	}
	if _, ok := r.JSON["client_id_issued_at"].(float64); !ok || r.JSON["client_secret"] != nil || r.JSON["registration_access_token"] != nil {
		return fmt.Errorf("client_id_issued_at is missing, or a secret is not\n%s", r)
	}
	return expect(r, map[string]any{
		"scope": "openid accounts", "scopes": []any{"openid", "accounts"}, "token_endpoint_auth_method": "tls_client_auth",
		"tls_client_auth_subject_dn": claims["tls_client_auth_subject_dn"], "tls_client_auth_dn": claims["tls_client_auth_subject_dn"],
		"redirect_uris":      []any{"https://tpp.example/callback", "https://tpp.example/other"},
		"software_statement": claims["software_statement"], "software_id": p.Acme.SoftwareID, "org_id": p.Acme.OrgID, "org_name": "Acme Ltd", "software_roles": []any{"AISP"},
		"software_jwks_endpoint": p.Acme.JWKSEndpoint(), "response_types": claims["response_types"], "application_type": "web",
	})
}

func (p *Play) reuseToken(ctx context.Context) error {
	body, err := p.Acme.Request(nil)
	if err != nil {
		return err
	}
	if _, err := p.call(ctx, Call{Method: "POST", URL: p.Register, As: p.Acme, Token: p.registrationToken, Body: body}, 401, "invalid_token"); err != nil {
		return err
	}
	if p.AS.Config.AccessTokens == "jwt" {
		return nil // a JWT ends by itself; neither server can end it before
	}
	// The AS is told through the outbox, right after the 201.
	introspect := Call{Method: "POST", URL: p.introspection, ID: "registrar", Secret: p.registrar, Form: url.Values{"token": {p.registrationToken}}}
	err = Eventually(ctx, 10*time.Second, func() error {
		r, err := p.Make(ctx, introspect)
		if err != nil {
			return err
		}
		return expect(r, map[string]any{"active": false})
	})
	if err != nil {
		return err
	}
	_, err = p.call(ctx, introspect, 200, "")
	return err
}

func (p *Play) getToken(ctx context.Context) error {
	var err error
	if p.token, err = p.ClientToken(ctx, p.Acme, p.clientID); err != nil {
		return err
	}
	if err := p.AS.ResetRequests(ctx); err != nil {
		return err
	}
	form := tpp.ClientCredentials(p.scope)
	form.Set("client_id", p.clientID)
	for _, other := range []*tpp.Software{p.Other, nil} {
		if _, err := p.call(ctx, Call{Method: "POST", URL: p.ClientTokens(), As: other, Form: form}, 401, "invalid_client"); err != nil {
			return err
		}
	}
	if p.direct {
		return nil // the AS has refused them
	}
	return p.unseen(ctx, p.tokenEndpoint)
}

// unseen holds that the AS was not asked at a path since the last reset.
func (p *Play) unseen(ctx context.Context, endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil {
		return err
	}
	seen, err := p.AS.RequestsTo(ctx, "", u.Path)
	// Other endpoints may be below it, and the gateway revokes when it gets to it.
	seen = slices.DeleteFunc(seen, func(r authserverprocess.Request) bool { return r.Path != u.Path })
	if err == nil && len(seen) > 0 {
		err = fmt.Errorf("the authorization server saw %s %s", seen[0].Method, seen[0].Path)
	}
	return err
}

func (p *Play) manage(ctx context.Context) error {
	address := p.Register + "/" + p.clientID
	if _, err := p.call(ctx, Call{URL: address, As: p.Acme, Token: p.token}, 200, ""); err != nil {
		return err
	}
	body, err := p.Acme.Request(map[string]any{"redirect_uris": []string{"https://tpp.example/other"}})
	if err != nil {
		return err
	}
	if _, err := p.call(ctx, Call{Method: "PUT", URL: address, As: p.Acme, Token: p.token, Body: body}, 200, ""); err != nil {
		return err
	}
	r, err := p.call(ctx, Call{URL: address, As: p.Acme, Token: p.token}, 200, "")
	if err != nil {
		return err
	}
	want := map[string]any{"redirect_uris": []any{"https://tpp.example/other"}, "client_id": p.clientID}
	if err := expect(r, want); err != nil {
		return err
	}
	clients, err := p.AS.Clients(ctx)
	if err != nil {
		return err
	}
	if len(clients) != 1 || fmt.Sprint(clients[0]["redirect_uris"]) != "[https://tpp.example/other]" || clients[0]["client_id"] != p.clientID {
		return fmt.Errorf("the authorization server has %v", clients)
	}
	return p.strangers(ctx, address)
}

// strangers: another client's token, and another certificate, get the one answer
// that an unknown client_id gets. A token that was tried on another client is
// refused from then on.
func (p *Play) strangers(ctx context.Context, address string) error {
	foreign, err := p.registrarToken(ctx, "dcr_register")
	if err != nil {
		return err
	}
	var bodies []string
	for _, c := range []Call{
		{URL: address, As: p.Acme, Token: foreign},
		{URL: address, As: p.Other, Token: p.token},
		{URL: p.Register + "/nobody", As: p.Acme, Token: p.token},
		{URL: address, As: p.Acme, Token: p.token},
	} {
		r, err := p.call(ctx, c, 401, "invalid_token")
		if err != nil {
			return err
		}
		bodies = append(bodies, string(r.Body)+r.Header.Get("WWW-Authenticate"))
	}
	if bodies = slices.Compact(bodies); len(bodies) > 1 {
		return fmt.Errorf("the answers tell which clients exist: %q", bodies)
	}
	p.token, err = p.ClientToken(ctx, p.Acme, p.clientID)
	return err
}

func (p *Play) end(ctx context.Context) error {
	address := p.Register + "/" + p.clientID
	if _, err := p.call(ctx, Call{Method: "DELETE", URL: address, As: p.Acme, Token: p.token}, 204, ""); err != nil {
		return err
	}
	if _, err := p.call(ctx, Call{URL: address, As: p.Acme, Token: p.token}, 401, "invalid_token"); err != nil {
		return err
	}
	clients, err := p.AS.Clients(ctx)
	if err != nil {
		return err
	}
	if len(clients) != 0 {
		return fmt.Errorf("the authorization server still has %v", clients)
	}
	form := tpp.ClientCredentials(p.scope)
	form.Set("client_id", p.clientID)
	_, err = p.call(ctx, Call{Method: "POST", URL: p.ClientTokens(), As: p.Acme, Form: form}, 401, "invalid_client")
	return err
}
