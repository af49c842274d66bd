package authserver_test

import (
	"net/http"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

const endpoint = "https://gateway.example/as/openbankinguk/dcr/v3.2/register"

// published is the document as TPPs see it, which must be readable.
func (e *edge) published(document string) strictjson.Object {
	e.t.Helper()
	e.on(discovery, answer(http.StatusOK, document))
	o, err := strictjson.Parse(e.metadata().Publish("https://gateway.example", "", endpoint))
	if err != nil {
		e.t.Fatal(err)
	}
	return o
}

func TestPublish(t *testing.T) {
	for _, test := range []struct {
		name    string
		changes []string
		member  string
		want    string // JSON text; "" for a member that is not there
	}{
		{"the issuer stays", nil, "issuer", `"https://bank.example/as"`},
		{"registration at the gateway", nil, "registration_endpoint", `"` + endpoint + `"`},
		{"registration of an AS that has none", []string{"registration_endpoint", ""}, "registration_endpoint", `"` + endpoint + `"`},
		{"registration at a foreign origin", []string{"registration_endpoint", `"https://evil.example/reg"`}, "registration_endpoint", `"` + endpoint + `"`},
		{"public origin", nil, "token_endpoint", `"https://gateway.example/as/token"`},
		{"origin where the gateway reaches it", []string{"token_endpoint", `"{as}/as/token"`}, "token_endpoint", `"https://gateway.example/as/token"`},
		{"http", []string{"token_endpoint", `"http://bank.example/as/token"`}, "token_endpoint", `"https://gateway.example/as/token"`},
		{"query and escapes", []string{"end_session_endpoint", `"https://bank.example/as/end%2Fit?a=%26&b=c"`}, "end_session_endpoint", `"https://gateway.example/as/end%2Fit?a=%26&b=c"`},
		{"keys", nil, "jwks_uri", `"https://gateway.example/as/jwks"`},
		{"session iframe", []string{"check_session_iframe", `"https://bank.example/as/s"`}, "check_session_iframe", `"https://gateway.example/as/s"`},
		{"foreign origin", []string{"userinfo_endpoint", `"https://evil.example/as/me"`}, "userinfo_endpoint", `"https://evil.example/as/me"`},
		{"foreign origin with an alias of the AS's own", []string{"userinfo_endpoint", `"https://evil.example/as/me"`, "mtls_endpoint_aliases", `{"userinfo_endpoint":"https://bank.example/as/me"}`},
			"userinfo_endpoint", `"https://evil.example/as/me"`},
		{"aliases", []string{"mtls_endpoint_aliases", `{"token_endpoint":"https://bank.example/mtls"}`}, "mtls_endpoint_aliases", ""},
		{"signature of what it no longer is", []string{"signed_metadata", `"eyJ.e.s"`}, "signed_metadata", ""},
		{"a page", []string{"op_tos_uri", `"https://bank.example/as/tos"`}, "op_tos_uri", `"https://bank.example/as/tos"`},
		{"bound tokens as the AS says", nil, "tls_client_certificate_bound_access_tokens", "true"},
		{"other members byte for byte", []string{"x", `{"b": [1.0e5,  null], "a":"\u0041\/"}`}, "x", `{"b": [1.0e5,  null], "a":"\u0041\/"}`},

		{"methods, preferred first", []string{"token_endpoint_auth_methods_supported", `["client_secret_basic","private_key_jwt","tls_client_auth"]`}, "token_endpoint_auth_methods_supported", `["tls_client_auth","private_key_jwt"]`},
		{"algorithms of assertions", []string{"token_endpoint_auth_signing_alg_values_supported", `["RS256","ES256","PS256"]`}, "token_endpoint_auth_signing_alg_values_supported", `["PS256","ES256"]`},
		{"algorithms of assertions for the gateway", []string{"token_endpoint_auth_signing_alg_values_supported", `["RS256"]`}, "token_endpoint_auth_signing_alg_values_supported", `["PS256","ES256"]`},
		{"methods of another endpoint, for clients too", []string{"token_endpoint_auth_methods_supported", `["client_secret_basic"]`, "revocation_endpoint_auth_methods_supported", `["client_secret_basic"]`}, "revocation_endpoint_auth_methods_supported", `["tls_client_auth","private_key_jwt","client_secret_basic"]`},
		{"an empty list is left out (RFC 8414 3.2)", []string{"token_endpoint_auth_methods_supported", `["tls_client_auth"]`, "token_endpoint_auth_signing_alg_values_supported", `["RS256"]`}, "token_endpoint_auth_signing_alg_values_supported", ""},
		{"grants, without implicit", []string{"grant_types_supported", `["implicit","authorization_code","client_credentials"]`}, "grant_types_supported", `["authorization_code","client_credentials"]`},
		{"response types", []string{"response_types_supported", `["code","id_token code"]`}, "response_types_supported", `["code id_token","code"]`},
		{"id token algorithms", []string{"id_token_signing_alg_values_supported", `["RS256","PS256"]`}, "id_token_signing_alg_values_supported", `["PS256"]`},
		{"request object algorithms of an AS that has none", nil, "request_object_signing_alg_values_supported", `["PS256","ES256"]`},
		{"request object algorithms, without none", []string{"request_object_signing_alg_values_supported", `["none","PS256"]`}, "request_object_signing_alg_values_supported", `["PS256"]`},
		{"scopes, without dcr_register", []string{"scopes_supported", `["dcr_register","accounts","openid"]`}, "scopes_supported", `["openid","accounts"]`},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t, nil)
			if got := string(e.published(e.document(test.changes...)).Raw(test.member)); got != test.want {
				t.Errorf("%s is %s, want %s", test.member, got, test.want)
			}
		})
	}
}

// TestPublishWhole reads what is published as a whole, in the AS's order with the
// members that it lacks at the end.
func TestPublishWhole(t *testing.T) {
	e := newEdge(t, nil)
	e.on(discovery, answer(http.StatusOK, e.document("mtls_endpoint_aliases", "{}", "claims_supported", `[ "sub" ]`)))
	before := string(e.metadata().Document.AppendJSON(nil))
	const want = `{"issuer":"https://bank.example/as",` +
		`"authorization_endpoint":"https://gateway.example/as/auth",` +
		`"token_endpoint":"https://gateway.example/as/token",` +
		`"jwks_uri":"https://gateway.example/as/jwks",` +
		`"registration_endpoint":"` + endpoint + `",` +
		`"introspection_endpoint":"https://gateway.example/as/introspect",` +
		`"revocation_endpoint":"https://gateway.example/as/revoke",` +
		`"token_endpoint_auth_methods_supported":["tls_client_auth","private_key_jwt"],` +
		`"tls_client_certificate_bound_access_tokens":true,` +
		`"claims_supported":[ "sub" ],` +
		`"token_endpoint_auth_signing_alg_values_supported":["PS256","ES256"],` +
		`"grant_types_supported":["authorization_code","client_credentials","refresh_token"],` +
		`"response_types_supported":["code id_token","code"],` +
		`"id_token_signing_alg_values_supported":["PS256","ES256"],` +
		`"request_object_signing_alg_values_supported":["PS256","ES256"],` +
		`"scopes_supported":["openid","accounts","payments","fundsconfirmations"]}`
	for _, origin := range []string{"https://gateway.example", "https://gateway.example/"} {
		if got := string(e.metadata().Publish(origin, "", endpoint)); got != want {
			t.Errorf("published at %s:\n%s\nwant\n%s", origin, got, want)
		}
	}
	if after := string(e.metadata().Document.AppendJSON(nil)); after != before {
		t.Errorf("the document itself was changed: %s", after)
	}
}

// TestPublishAliases: where certificates are taken at another origin, the aliases
// are made of what is published, not of what the AS has.
func TestPublishAliases(t *testing.T) {
	const mtls = "https://matls.example"
	for _, test := range []struct {
		name     string
		changes  []string
		origin   string
		register string
		want     string // JSON text; "" for none
	}{
		{"another origin", nil, mtls, mtls + "/register", `{"token_endpoint":"https://matls.example/as/token","revocation_endpoint":"https://matls.example/as/revoke",` +
			`"introspection_endpoint":"https://matls.example/as/introspect","registration_endpoint":"https://matls.example/register"}`},
		{"the AS's own aliases", []string{"mtls_endpoint_aliases", `{"token_endpoint":"https://evil.example/x"}`}, mtls + "/", "", `{"token_endpoint":"https://matls.example/as/token",` +
			`"revocation_endpoint":"https://matls.example/as/revoke","introspection_endpoint":"https://matls.example/as/introspect"}`},
		{"an endpoint of a foreign origin", []string{"userinfo_endpoint", `"https://evil.example/me"`, "token_endpoint", `"https://bank.example/as/token?a=b"`, "revocation_endpoint", "", "introspection_endpoint", ""}, mtls, "",
			`{"token_endpoint":"https://matls.example/as/token?a=b"}`},
		{"the same origin", nil, "https://gateway.example", "https://gateway.example/register", ""},
		{"no origin", nil, "", "https://gateway.example/register", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t, nil)
			e.on(discovery, answer(http.StatusOK, e.document(test.changes...)))
			o, err := strictjson.Parse(e.metadata().Publish("https://gateway.example", test.origin, test.register))
			if err != nil {
				t.Fatal(err)
			}
			if got := string(o.Raw("mtls_endpoint_aliases")); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
			if o.Has("registration_endpoint") != (test.register != "") {
				t.Errorf("registration_endpoint is %s", o.Raw("registration_endpoint"))
			}
			if got := string(o.Raw("authorization_endpoint")); got != `"https://gateway.example/as/auth"` {
				t.Errorf("authorization_endpoint is %s", got)
			}
		})
	}
}

// TestPublishBoundTokens: that tokens are bound is said where it holds. A resource server
// learns from introspection which certificate the gateway has bound a token to, and from
// nothing else.
func TestPublishBoundTokens(t *testing.T) {
	const noIntrospection, unbound = "introspection_endpoint", "tls_client_certificate_bound_access_tokens"
	for _, test := range []struct {
		name    string
		binds   bool
		given   string
		changes []string
		want    string // JSON text; "" for a member that is not there
		warned  int
	}{
		{"by the gateway", true, "", []string{unbound, ""}, "true", 0},
		{"by the gateway, and the AS says no", true, "", []string{unbound, "false"}, "true", 0},
		{"by nobody", false, "", []string{unbound, ""}, "", 0},
		{"by the AS", true, "", []string{noIntrospection, ""}, "true", 0},
		{"by the gateway, and nobody can see it", true, "", []string{unbound, "", noIntrospection, ""}, "", 1},
		{"by the gateway, nobody can see it, and the AS says no", true, "", []string{unbound, "false", noIntrospection, ""}, "false", 1},
		{"by the gateway, to be seen at another origin alone", true, "", []string{unbound, "", noIntrospection, `"https://evil.example/introspect"`}, "", 1},
		{"by the gateway, to be seen where the operator says", true, "/as/token/info", []string{unbound, "", noIntrospection, ""}, "true", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t, func(_ *edge, o *authserver.Options) {
				o.BindsTokens, o.IntrospectionEndpoint = test.binds, test.given
			})
			o := e.published(e.document(test.changes...))
			if got := string(o.Raw(unbound)); got != test.want {
				t.Errorf("published %s, want %s", got, test.want)
			}
			if n := e.logged("WARN", "bind_access_tokens"); n != test.warned {
				t.Errorf("%d warnings, want %d:\n%s", n, test.warned, e.log)
			}
			// Where it is not announced, the gateway itself still holds to it.
			if m := e.metadata(); m.GatewayBindsTokens() != (test.binds && string(m.Document.Raw(unbound)) != "true") {
				t.Errorf("the gateway binds: %v", m.GatewayBindsTokens())
			}
		})
	}
}
