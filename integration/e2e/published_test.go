package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/directory"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// TestPublishedLists: with every value of the published lists a registration is
// accepted, and with others it is not; so tools that take element 0 get in.
func TestPublishedLists(t *testing.T) {
	eachShared(t, func(t *testing.T, p *story.Play) {
		enrolled, err := p.Directory.Enrol(directory.Enrolment{OrgName: "Acme Ltd", Roles: []string{"AISP", "PISP", "CBPII"}})
		if err != nil {
			t.Fatal(err)
		}
		all := &tpp.Software{Software: enrolled, Audience: story.Bank}
		client := all.Client(p.ClientOptions())
		defer client.Close()
		register := func(overrides map[string]any) (*tpp.Response, error) {
			t.Helper()
			token, _, err := p.Prepare(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			body, err := all.Request(overrides)
			if err != nil {
				t.Fatal(err)
			}
			return client.Register(t.Context(), p.Register, token, body)
		}
		assertions := map[string]any{"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "PS256", "tls_client_auth_subject_dn": nil}
		for _, c := range []struct {
			list   string
			first  string
			claims func(value string) map[string]any
			not    []string // in no list, and refused
		}{
			{"token_endpoint_auth_methods_supported", "tls_client_auth", func(v string) map[string]any {
				if v == "private_key_jwt" {
					return assertions
				}
				return map[string]any{"token_endpoint_auth_method": v}
			}, []string{"client_secret_basic", "client_secret_post", "self_signed_tls_client_auth", "none"}},
			{"token_endpoint_auth_signing_alg_values_supported", "PS256", func(v string) map[string]any {
				return map[string]any{"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": v, "tls_client_auth_subject_dn": nil}
			}, []string{"RS256", "none"}},
			{"id_token_signing_alg_values_supported", "PS256", func(v string) map[string]any { return map[string]any{"id_token_signed_response_alg": v} }, []string{"RS256", "none", "HS256"}},
			{"request_object_signing_alg_values_supported", "PS256", func(v string) map[string]any { return map[string]any{"request_object_signing_alg": v} }, []string{"RS256", "none"}},
			{"response_types_supported", "code id_token", func(v string) map[string]any { return map[string]any{"response_types": []string{v}} }, []string{"token", "id_token", "code token", "none"}},
			{"grant_types_supported", "authorization_code", func(v string) map[string]any {
				return map[string]any{"grant_types": slices.Compact([]string{"authorization_code", v})}
			}, []string{"implicit", "password", "urn:openid:params:grant-type:ciba"}},
			{"scopes_supported", "openid", func(v string) map[string]any {
				return map[string]any{"scope": strings.Join(slices.Compact([]string{"openid", v}), " ")}
			}, []string{"dcr_register", "offline_access"}},
		} {
			t.Run(c.list, func(t *testing.T) {
				r, err := client.Discover(t.Context(), p.Issuer)
				if err != nil {
					t.Fatal(err)
				}
				list, _ := r.JSON[c.list].([]any)
				if len(list) == 0 || list[0] != c.first {
					t.Fatalf("%v, want %s first", list, c.first)
				}
				for _, value := range list {
					r, err := register(c.claims(fmt.Sprint(value)))
					answered(t, r, err, 201, "")
				}
				for _, value := range c.not {
					if slices.Contains(list, any(value)) {
						t.Errorf("%s is published", value)
					}
					r, err := register(c.claims(value))
					answered(t, r, err, 400, "invalid_client_metadata")
				}
			})
		}
	})
}

// TestPublishedByTheOperator: what the operator allows, in the operator's order,
// is what is published, and what is demanded.
func TestPublishedByTheOperator(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	reload(t, p, gateway.Workspace("algorithms ES256", "token_endpoint_auth_methods private_key_jwt", "role AISP accounts", "register_path /bank/register"))
	r, err := p.Client(p.Acme).Discover(t.Context(), p.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"registration_endpoint":                            siteOf(p) + "/bank/register",
		"token_endpoint_auth_methods_supported":            []any{"private_key_jwt"},
		"token_endpoint_auth_signing_alg_values_supported": []any{"ES256"},
		"id_token_signing_alg_values_supported":            []any{"ES256"},
		"request_object_signing_alg_values_supported":      []any{"ES256"},
		"scopes_supported":                                 []any{"openid", "accounts"},
	} {
		if got := r.JSON[name]; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	key, err := p.Acme.AddSigningKey("ES256")
	if err != nil {
		t.Fatal(err)
	}
	claims, err := p.Acme.RequestClaims(map[string]any{
		"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "ES256", "tls_client_auth_subject_dn": nil,
		"id_token_signed_response_alg": "ES256", "request_object_signing_alg": "ES256",
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		key    directory.Key
		status int
		code   string
	}{{p.Acme.Signing, 400, "invalid_client_metadata"}, {key, 201, ""}} {
		token, _, err := p.Prepare(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		body, err := c.key.Sign(claims, nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := p.Client(p.Acme).Register(t.Context(), siteOf(p)+"/bank/register", token, body)
		answered(t, r, err, c.status, c.code)
	}
	// The path of the default is the AS's again.
	r, err = p.Client(p.Acme).Do(t.Context(), http.MethodPost, p.Register, nil, nil)
	if err != nil || r.Status != 404 || r.Header.Get("x-fapi-interaction-id") != "" {
		t.Errorf("got %v, %v, want 404 without a support code", r, err)
	}
}

// TestPublishedDocument: of the AS's document what must not stay is gone, what is
// not the gateway's stays, and every address of the AS is at the gateway.
func TestPublishedDocument(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	foreign := "https://elsewhere.example/userinfo"
	pretend(t, p, 1, map[string]any{
		"mtls_endpoint_aliases": map[string]any{"token_endpoint": p.AS.URL() + "/mtls/token"}, "signed_metadata": "eyJ.e.s",
		"userinfo_endpoint": foreign, "end_session_endpoint": p.AS.URL() + "/end?a=%2F", "op_policy_uri": p.AS.URL() + "/policy",
		"request_object_signing_alg_values_supported": nil, "claims_supported": []string{"sub"},
	})
	reload(t, p)
	client := p.Client(p.Acme)
	r, err := client.Discover(t.Context(), p.Issuer)
	answered(t, r, err, 200, "")
	for name, want := range map[string]any{
		"issuer": p.Issuer, "registration_endpoint": p.Register, "userinfo_endpoint": foreign,
		"end_session_endpoint": p.Issuer + "/end?a=%2F", "op_policy_uri": p.AS.URL() + "/policy", "claims_supported": []any{"sub"},
		"request_object_signing_alg_values_supported": []any{"PS256", "ES256"}, "mtls_endpoint_aliases": nil, "signed_metadata": nil,
		"tls_client_certificate_bound_access_tokens": true, "token_endpoint": p.Endpoint("token_endpoint"),
	} {
		if got, ok := r.JSON[name]; fmt.Sprint(got) != fmt.Sprint(want) || ok != (want != nil) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	for name, want := range map[string]string{"Content-Type": "application/json", "Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*"} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("got %s %q, want %q", name, got, want)
		}
	}
	warning := map[string]string{"level": "warn", "endpoint": "userinfo_endpoint", "url": foreign}
	if err := story.Eventually(t.Context(), 5*time.Second, func() error { return logged(p, warning) }); err != nil {
		t.Error(err)
	}
	// CORS is the AS's own: it answers what browsers ask before.
	if err := p.AS.ResetRequests(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, path := range wellKnown {
		if _, err := client.Do(t.Context(), http.MethodOptions, siteOf(p)+path, http.Header{"Origin": {"https://tpp.example"}, "Access-Control-Request-Method": {"GET"}}, nil); err != nil {
			t.Error(err)
		}
		if seen, err := p.AS.RequestsTo(t.Context(), "OPTIONS", path); err != nil || len(seen) == 0 {
			t.Errorf("OPTIONS %s was not passed on, %v", path, err)
		}
	}
	// What is not bound is not published as bound.
	pretend(t, p, 1, map[string]any{"tls_client_certificate_bound_access_tokens": nil})
	reload(t, p)
	if r, err = client.Discover(t.Context(), p.Issuer); err != nil || r.JSON["tls_client_certificate_bound_access_tokens"] != nil {
		t.Errorf("got %v, %v, want no tls_client_certificate_bound_access_tokens", r, err)
	}
	// Another issuer than the address is warned of, and left as it is.
	const misplaced = "serves discovery at another host than the issuer's"
	if strings.Contains(p.Gateway.Log(), misplaced) {
		t.Error("a warning where the issuer is the address")
	}
	pretend(t, p, 1, map[string]any{"issuer": "https://elsewhere.example" + story.Prefix})
	reload(t, p)
	for range 3 {
		if r, err = client.Discover(t.Context(), p.Issuer); err != nil || r.Text("issuer") != "https://elsewhere.example"+story.Prefix {
			t.Errorf("got %v, %v, want the issuer https://elsewhere.example%s", r, err, story.Prefix)
		}
	}
	warning = map[string]string{"level": "warn", "issuer": "https://elsewhere.example" + story.Prefix, "host": strings.TrimPrefix(siteOf(p), "https://")}
	if err := story.Eventually(t.Context(), 5*time.Second, func() error { return logged(p, warning) }); err != nil {
		t.Error(err)
	}
	pretend(t, p, 1, map[string]any{"issuer": siteOf(p) + "/elsewhere"})
	reload(t, p)
	if r, err = client.Discover(t.Context(), p.Issuer); err != nil || r.Text("issuer") != siteOf(p)+"/elsewhere" {
		t.Errorf("got %v, %v, want the issuer %s/elsewhere", r, err, siteOf(p))
	}
	warning = map[string]string{"level": "warn", "issuer": siteOf(p) + "/elsewhere"}
	if err := story.Eventually(t.Context(), 5*time.Second, func() error { return logged(p, warning) }); err != nil {
		t.Error(err)
	}
}

// TestSingleDocumentIsPublishedAtAllAddresses: an AS that has the document of RFC 8414 alone is published at
// all four addresses, to GET and HEAD.
func TestSingleDocumentIsPublishedAtAllAddresses(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	first, err := p.Client(p.Acme).Discover(t.Context(), p.AS.URL())
	if err != nil {
		t.Fatal(err)
	}
	for path, f := range map[string]authserverprocess.Fault{
		"/.well-known/openid-configuration":       {Status: 404},
		"/.well-known/oauth-authorization-server": {Status: 200, Body: string(first.Body)},
	} {
		f.PathContains, f.Times = path, -1
		if err := p.AS.Fault(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	reload(t, p)
	tags := map[string]bool{}
	for _, path := range wellKnown {
		for _, method := range []string{"GET", "HEAD"} {
			r, err := p.Client(p.Acme).Do(t.Context(), method, siteOf(p)+path, nil, nil)
			if err != nil || r.Status != 200 || (len(r.Body) == 0) != (method == "HEAD") || r.Header.Get("Content-Type") != "application/json" {
				t.Fatalf("%s %s: %v, %v, want 200", method, path, r, err)
			}
			tags[r.Header.Get("ETag")] = true
		}
	}
	if len(tags) != 1 || tags[""] {
		t.Errorf("tags %v, want one", tags)
	}
}
