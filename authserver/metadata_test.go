package authserver_test

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

func TestDocumentRefused(t *testing.T) {
	e := newEdge(t, nil)
	for _, test := range []struct{ name, document, cause string }{
		{"garbage", "<html>", "not a JSON object"},
		{"cut", `{"issuer":"https://bank.example/as"`, "a comma or the end of the object is missing"},
		{"not UTF-8", "{\"issuer\":\"\xff\"}", "is no https URL"},
		{"issuer twice", `{"issuer":"https://bank.example/as","issuer":"https://evil.example/as"}`, "issuer is there more than once"},
		{"an endpoint twice", strings.TrimSuffix(e.document(), "}") + `,"token_endpoint":"https://bank.example/as/other"}`, "token_endpoint is there more than once"},
		{"an endpoint twice, of no use here", strings.TrimSuffix(e.document(), "}") + `,"x_endpoint":"https://bank.example/as/x","x_endpoint":"https://bank.example/as/y"}`, "x_endpoint is there more than once"},
		{"aliases twice", strings.TrimSuffix(e.document(), "}") + `,"mtls_endpoint_aliases":{},"mtls_endpoint_aliases":{"token_endpoint":"https://bank.example/as/y"}}`, "mtls_endpoint_aliases is there more than once"},
		{"an alias twice", strings.TrimSuffix(e.document(), "}") + `,"mtls_endpoint_aliases":{"token_endpoint":"https://bank.example/as/x","token_endpoint":"https://bank.example/as/y"}}`, "token_endpoint is there more than once"},
		{"a list twice", strings.TrimSuffix(e.document(), "}") + `,"scopes_supported":["openid"],"scopes_supported":["accounts"]}`, "scopes_supported is there more than once"},
		{"text after it", e.document() + "x", "text after the object"},
		{"no issuer", e.document("issuer", ""), "is no https URL"},
		{"issuer of another type", e.document("issuer", "7"), "issuer is a number"},
		{"http issuer", e.document("issuer", `"http://bank.example/as"`), "is no https URL"},
		{"issuer without a host", e.document("issuer", `"https:///as"`), "is no https URL"},
		{"issuer with a query", e.document("issuer", `"https://bank.example/as?x=1"`), "is no https URL"},
		{"issuer with a fragment", e.document("issuer", `"https://bank.example/as#x"`), "is no https URL"},
		{"bound tokens of another type", e.document("tls_client_certificate_bound_access_tokens", `"true"`), "is a string, not a boolean"},
		{"a list of another type", e.document("scopes_supported", `"openid accounts"`), "is a string, not an array"},
		{"a list of numbers", e.document("grant_types_supported", `[1]`), "holds a number"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t, nil)
			e.on(discovery, answer(http.StatusOK, test.document))
			_, err := e.Metadata(t.Context())
			if e.refused(err, refusal.Unavailable); !strings.Contains(err.Error(), test.cause) {
				t.Errorf("error %v, want %q in it", err, test.cause)
			}
		})
	}
}

func TestEndpoints(t *testing.T) {
	for _, test := range []struct {
		name, member, value string
		path, target        string // of the endpoint; "" when it is none of the AS's
	}{
		{"public origin", "token_endpoint", `"https://bank.example/as/token"`, "/as/token", "/as/token"},
		{"where the gateway reaches it", "token_endpoint", `"{as}/as/token"`, "/as/token", "/as/token"},
		{"default port written out", "token_endpoint", `"https://bank.example:443/as/token"`, "/as/token", "/as/token"},
		{"host in upper case", "token_endpoint", `"https://BANK.example/as/token"`, "/as/token", "/as/token"},
		{"an AS that takes itself for http", "token_endpoint", `"http://bank.example/as/token"`, "/as/token", "/as/token"},
		{"query", "registration_endpoint", `"https://bank.example/as/reg?tenant=a%26b"`, "/as/reg", "/as/reg?tenant=a%26b"},
		{"escaped path", "token_endpoint", `"https://bank.example/as/a%2Fb"`, "/as/a%2Fb", "/as/a%2Fb"},
		{"outside the issuer's path", "pushed_authorization_request_endpoint", `"https://bank.example/par"`, "/par", "/par"},
		{"session iframe", "check_session_iframe", `"https://bank.example/as/session"`, "/as/session", "/as/session"},
		{"of a draft", "credentials_endpoint_draft_00", `"https://bank.example/as/credentials"`, "/as/credentials", "/as/credentials"},
		{"foreign origin", "token_endpoint", `"https://evil.example/as/token"`, "", ""},
		{"foreign port", "token_endpoint", `"https://bank.example:8443/as/token"`, "", ""},
		{"another scheme", "token_endpoint", `"ldap://bank.example/as/token"`, "", ""},
		{"no path", "token_endpoint", `"https://bank.example"`, "", ""},
		{"relative", "token_endpoint", `"/as/token"`, "", ""},
		{"no URL", "token_endpoint", `"https://bank.example/%zz"`, "", ""},
		{"of another type", "token_endpoint", `{}`, "", ""},
		{"a page, not an endpoint", "op_policy_uri", `"https://bank.example/as/policy"`, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t, nil)
			e.on(discovery, answer(http.StatusOK, e.document(test.member, test.value)))
			m := e.metadata()
			var path string
			for _, endpoint := range m.Endpoints {
				if endpoint.Name == test.member {
					path = endpoint.Path
				}
			}
			if path != test.path || m.Path(test.member) != test.target {
				t.Errorf("path %q, target %q", path, m.Path(test.member))
			}
			guarded := !strings.Contains(e.log.String(), "level=WARN")
			if want := test.path != "" || test.member == "op_policy_uri"; guarded != want {
				t.Errorf("log: %s", e.log)
			}
		})
	}
}

func TestEndpointAliases(t *testing.T) {
	e := newEdge(t, nil)
	e.on(discovery, answer(http.StatusOK, e.document("revocation_endpoint", "", "mtls_endpoint_aliases", `{
		"token_endpoint": "https://bank.example/mtls/token", "introspection_endpoint": "https://mtls.bank.example/as/introspect",
		"revocation_endpoint": "https://bank.example/mtls/revoke", "other": "https://bank.example/other"}`)))
	m := e.metadata()
	got := map[string][]string{}
	for _, endpoint := range m.Endpoints {
		got[endpoint.Name] = append(got[endpoint.Name], endpoint.Path)
	}
	want := map[string][]string{
		"authorization_endpoint": {"/as/auth"}, "token_endpoint": {"/as/token", "/mtls/token"}, "jwks_uri": {"/as/jwks"},
		"registration_endpoint": {"/as/reg"}, "introspection_endpoint": {"/as/introspect"}, "revocation_endpoint": {"/mtls/revoke"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("endpoints %v, want %v", got, want)
	}
	if m.Path("token_endpoint") != "/as/token" || m.Path("userinfo_endpoint") != "" {
		t.Errorf("token endpoint %s, userinfo endpoint %s", m.Path("token_endpoint"), m.Path("userinfo_endpoint"))
	}

	e = newEdge(t, nil)
	e.on(discovery, answer(http.StatusOK, e.document("mtls_endpoint_aliases", `[]`)))
	if m := e.metadata(); len(m.Endpoints) != 6 || !strings.Contains(e.log.String(), "cannot read mtls_endpoint_aliases") {
		t.Errorf("endpoints %v, log %s", m.Endpoints, e.log)
	}
}

// TestIssuerPath: software finds the document under the issuer, not where we do.
func TestIssuerPath(t *testing.T) {
	for path, warns := range map[string]bool{"": true, "/as": false, "/as/": false, "/other": true} {
		e := newEdge(t, nil)
		e.on(discovery, answer(http.StatusOK, e.document("issuer", quoted(t, "https://bank.example"+path))))
		e.metadata()
		if warned := strings.Contains(e.log.String(), "found an issuer with another path"); warned != warns {
			t.Errorf("issuer path %q: warned %v", path, warned)
		}
	}
}

// TestScopesThatAreNotListed: a TPP would only be told that its software_roles do not
// cover a scope; the operator is told which ones the AS lacks, once.
func TestScopesThatAreNotListed(t *testing.T) {
	for scopes, lacks := range map[string]string{
		`["openid","accounts","payments","fundsconfirmations"]`: "",
		`["offline_access","offline","openid"]`:                 `scopes="[accounts payments fundsconfirmations]"`,
		`["openid","accounts","fundsconfirmations"]`:            "scopes=[payments]",
	} {
		e := newEdge(t, nil)
		e.on(discovery, answer(http.StatusOK, e.document("scopes_supported", scopes)))
		e.metadata()
		e.metadata()
		if got := strings.Count(e.log.String(), "scopes_supported lacks"); lacks == "" && got != 0 || lacks != "" && (got != 1 || !strings.Contains(e.log.String(), lacks)) {
			t.Errorf("scopes_supported %s: the log is %s, want %q once", scopes, e.log, lacks)
		}
	}
}

func TestSupportedMetadata(t *testing.T) {
	defaults := verify.DefaultSupportedMetadata()
	for _, test := range []struct {
		name    string
		changes []string
		change  func(*verify.SupportedMetadata) // of the defaults
		cause   string                          // of the refusal
	}{
		{"an AS that does not say", nil, func(*verify.SupportedMetadata) {}, ""},
		{"the operator's order, whatever the AS's", []string{"id_token_signing_alg_values_supported", `["RS256","ES256","PS256"]`}, func(*verify.SupportedMetadata) {}, ""},
		{"fewer methods", []string{"token_endpoint_auth_methods_supported", `["client_secret_basic","tls_client_auth"]`}, func(a *verify.SupportedMetadata) { a.AuthMethods = []string{"tls_client_auth"} }, ""},
		{"no method in common", []string{"token_endpoint_auth_methods_supported", `["client_secret_basic"]`}, nil, "registrations need one of tls_client_auth, private_key_jwt"},
		{"fewer algorithms of assertions", []string{"token_endpoint_auth_signing_alg_values_supported", `["ES256"]`}, func(a *verify.SupportedMetadata) { a.AuthSigningAlgs = []string{"ES256"} }, ""},
		{"no algorithm of assertions", []string{"token_endpoint_auth_signing_alg_values_supported", `["RS256"]`}, func(a *verify.SupportedMetadata) {
			a.AuthMethods, a.AuthSigningAlgs = []string{"tls_client_auth"}, nil
		}, ""},
		{"assertions only, and no algorithm", []string{"token_endpoint_auth_signing_alg_values_supported", `[]`, "token_endpoint_auth_methods_supported", `["private_key_jwt"]`}, nil, "registrations need one of tls_client_auth, private_key_jwt"},
		{"fewer grants", []string{"grant_types_supported", `["client_credentials","authorization_code","implicit"]`}, func(a *verify.SupportedMetadata) { a.GrantTypes = []string{"authorization_code", "client_credentials"} }, ""},
		{"no grant in common", []string{"grant_types_supported", `["password"]`}, nil, "grant_types_supported"},
		{"words of a response type in another order", []string{"response_types_supported", `["id_token code"]`}, func(a *verify.SupportedMetadata) { a.ResponseTypes = []string{"code id_token"} }, ""},
		{"no hybrid flow", []string{"response_types_supported", `["code","token"]`}, func(a *verify.SupportedMetadata) { a.ResponseTypes = []string{"code"} }, ""},
		{"no response type in common", []string{"response_types_supported", `["code token"]`}, nil, "response_types_supported"},
		{"no response type at all", []string{"response_types_supported", `[]`}, func(a *verify.SupportedMetadata) {
			a.ResponseTypes, a.GrantTypes = nil, []string{"client_credentials", "refresh_token"}
		}, ""},
		{"no authorization code", []string{"grant_types_supported", `["client_credentials"]`, "response_types_supported", `["code token"]`}, func(a *verify.SupportedMetadata) {
			a.ResponseTypes, a.GrantTypes = nil, []string{"client_credentials"}
		}, ""},
		{"the code alone, and no response type", []string{"grant_types_supported", `["authorization_code"]`, "response_types_supported", `[]`}, nil, "which needs one"},
		{"one id token algorithm", []string{"id_token_signing_alg_values_supported", `["PS256"]`}, func(a *verify.SupportedMetadata) { a.IDTokenAlgs = []string{"PS256"} }, ""},
		{"no id token algorithm", []string{"id_token_signing_alg_values_supported", `["RS256","none"]`}, nil, "'RS256, none'"},
		{"one request object algorithm", []string{"request_object_signing_alg_values_supported", `["ES256","none"]`}, func(a *verify.SupportedMetadata) { a.RequestObjectAlgs = []string{"ES256"} }, ""},
		{"no request object algorithm", []string{"request_object_signing_alg_values_supported", `["none"]`}, nil, "request_object_signing_alg_values_supported"},
		{"fewer scopes", []string{"scopes_supported", `["accounts","openid","dcr_register"]`}, func(a *verify.SupportedMetadata) { a.Scopes = []string{"openid", "accounts"} }, ""},
		{"a scope in another spelling", []string{"scopes_supported", `["OpenID"]`}, nil, "scopes_supported"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t, func(_ *edge, o *authserver.Options) {
				o.Supported, o.TokenEndpointAuth = verify.DefaultSupportedMetadata(), authserver.Native
			})
			e.on(discovery, answer(http.StatusOK, e.document(test.changes...)))
			m, err := e.Metadata(t.Context())
			if test.change == nil {
				if e.refused(err, refusal.Unavailable); err != nil && !strings.Contains(strings.ReplaceAll(err.Error(), `"`, "'"), test.cause) {
					t.Errorf("error %v, want %q in it", err, test.cause)
				}
				return
			}
			want := verify.DefaultSupportedMetadata()
			test.change(&want)
			if err != nil || !reflect.DeepEqual(m.Supported, want) {
				t.Errorf("acceptable %+v\nwant %+v\nerror %v", m.Supported, want, err)
			}
			if !reflect.DeepEqual(e.Supported, defaults) {
				t.Error("the operator's lists were changed")
			}
		})
	}
}

// TestAcceptableCIBA: CIBA is there where version, grant, endpoint, mode and
// algorithm are, or not at all.
func TestSupportedMetadataCIBA(t *testing.T) {
	endpoint := []string{"backchannel_authentication_endpoint", `"https://bank.example/as/bc"`}
	for name, test := range map[string]struct {
		version verify.Version
		changes []string
		modes   string // empty: no CIBA
		algs    string
	}{
		"an AS that says only where":   {"3.3", endpoint, "poll ping", "PS256 ES256"},
		"fewer modes and algorithms":   {"3.3", append(endpoint, "backchannel_token_delivery_modes_supported", `["push","ping"]`, "backchannel_authentication_request_signing_alg_values_supported", `["ES256","RS256"]`), "ping", "ES256"},
		"version 3.2":                  {"3.2", endpoint, "", ""},
		"no endpoint":                  {"3.3", nil, "", ""},
		"no grant":                     {"3.3", append(endpoint, "grant_types_supported", `["client_credentials"]`), "", ""},
		"no mode in common":            {"3.4", append(endpoint, "backchannel_token_delivery_modes_supported", `["push"]`), "", ""},
		"no algorithm in common":       {"3.4", append(endpoint, "backchannel_authentication_request_signing_alg_values_supported", `["RS256"]`), "", ""},
		"grant named among the others": {"3.4", append(endpoint, "grant_types_supported", `["client_credentials","urn:openid:params:grant-type:ciba"]`), "poll ping", "PS256 ES256"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t, func(_ *edge, o *authserver.Options) { o.Supported = test.version.SupportedMetadata() })
			e.on(discovery, answer(http.StatusOK, e.document(test.changes...)))
			m := e.metadata()
			a := m.Supported
			if strings.Join(a.BackchannelModes, " ") != test.modes || strings.Join(a.BackchannelAlgs, " ") != test.algs || slices.Contains(a.GrantTypes, verify.GrantCIBA) != (test.modes != "") {
				t.Errorf("got %+v", a)
			}
			published, err := strictjson.Parse(m.Publish("https://gateway.example", "", "https://gateway.example/register"))
			if err != nil {
				t.Fatal(err)
			}
			modes, _, _ := published.Strings("backchannel_token_delivery_modes_supported")
			if test.modes != "" && strings.Join(modes, " ") != test.modes {
				t.Errorf("published %s", published.AppendJSON(nil))
			}
		})
	}
}
