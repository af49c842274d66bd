package authserver_test

import (
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// tpp is a client as the registry hands it over.
func tpp(t *testing.T) *registry.Client {
	t.Helper()
	return &registry.Client{
		ID: "6f1c", ClientID: "client-1", SoftwareID: "software", OrgID: "org", ClientName: `Acme "Pay" & Söhne`, Directory: "OpenBanking Ltd",
		Metadata: verify.Metadata{
			RedirectURIs: []string{"https://tpp.example/a", "https://tpp.example/b"}, TokenEndpointAuthMethod: "tls_client_auth",
			TokenEndpointSigningAlg: "PS256", GrantTypes: []string{"authorization_code", "client_credentials", "refresh_token"},
			ResponseTypes: []string{"code id_token", "code"}, ApplicationType: "web", IDTokenSigningAlg: "PS256", RequestObjectSigningAlg: "ES256",
			Scope: "openid accounts payments", TLSClientAuthSubjectDN: "C=GB, O=Acme, CN=tpp",
		},
		Subject: subject(t, usual...), JWKSURI: "https://keys.example/org/software.jwks",
		ClientURI: "https://tpp.example", LogoURI: "https://tpp.example/logo", PolicyURI: "https://tpp.example/policy", TOSURI: "https://tpp.example/tos",
	}
}

// whole is what the AS is told of tpp.
const whole = `{"redirect_uris":["https://tpp.example/a","https://tpp.example/b"],` +
	`"token_endpoint_auth_method":"tls_client_auth",` +
	`"tls_client_auth_subject_dn":"CN=tpp,organizationIdentifier=PSDGB-FCA-123456,O=Acme\\, Ltd,C=GB",` +
	`"tls_client_certificate_bound_access_tokens":true,` +
	`"grant_types":["authorization_code","client_credentials","refresh_token","implicit"],` +
	`"response_types":["code id_token","code"],` +
	`"application_type":"web",` +
	`"id_token_signed_response_alg":"PS256",` +
	`"scope":"openid accounts payments",` +
	`"jwks_uri":"https://keys.example/org/software.jwks",` +
	`"client_name":"Acme \"Pay\" \u0026 Söhne",` +
	`"client_uri":"https://tpp.example",` +
	`"logo_uri":"https://tpp.example/logo",` +
	`"policy_uri":"https://tpp.example/policy",` +
	`"tos_uri":"https://tpp.example/tos"}`

// TestBody holds each member that the AS is told against what goes over the wire.
func TestBody(t *testing.T) {
	for _, test := range []struct {
		name     string
		document []string // changes
		change   func(*registry.Client)
		want     []string // changes of whole that keep its order; nil: none
	}{
		{"tls_client_auth", nil, func(*registry.Client) {}, nil},
		{"private_key_jwt", nil, func(c *registry.Client) {
			c.Metadata.TokenEndpointAuthMethod, c.Metadata.TLSClientAuthSubjectDN, c.Subject = "private_key_jwt", "", nil
		}, []string{`"token_endpoint_auth_method":"tls_client_auth","tls_client_auth_subject_dn":"CN=tpp,organizationIdentifier=PSDGB-FCA-123456,O=Acme\\, Ltd,C=GB"`,
			`"token_endpoint_auth_method":"private_key_jwt","token_endpoint_auth_signing_alg":"PS256"`}},
		{"private_key_jwt over mTLS: its certificate is nobody's business", nil, func(c *registry.Client) { c.Metadata.TokenEndpointAuthMethod = "private_key_jwt" },
			[]string{`"token_endpoint_auth_method":"tls_client_auth","tls_client_auth_subject_dn":"CN=tpp,organizationIdentifier=PSDGB-FCA-123456,O=Acme\\, Ltd,C=GB"`,
				`"token_endpoint_auth_method":"private_key_jwt","token_endpoint_auth_signing_alg":"PS256"`}},
		{"an AS that binds no tokens", []string{"tls_client_certificate_bound_access_tokens", "false"}, func(*registry.Client) {},
			[]string{`"tls_client_certificate_bound_access_tokens":true,`, ``}},
		{"an AS that does not say that it binds", []string{"tls_client_certificate_bound_access_tokens", ""}, func(*registry.Client) {},
			[]string{`"tls_client_certificate_bound_access_tokens":true,`, ``}},
		{"an AS that lists request object algorithms", []string{"request_object_signing_alg_values_supported", `["ES256"]`}, func(*registry.Client) {},
			[]string{`"scope":`, `"request_object_signing_alg":"ES256","scope":`}},
		{"no hybrid flow, so no implicit", nil, func(c *registry.Client) { c.Metadata.ResponseTypes = []string{"code"} },
			[]string{`,"implicit"`, ``, `"code id_token",`, ``}},
		{"no authorization code", nil, func(c *registry.Client) {
			c.Metadata.GrantTypes, c.Metadata.ResponseTypes = []string{"client_credentials"}, []string{}
		},
			[]string{`["authorization_code","client_credentials","refresh_token","implicit"]`, `["client_credentials"]`, `["code id_token","code"]`, `[]`}},
		{"no authorization code, in a record that has no list", nil, func(c *registry.Client) {
			c.Metadata.GrantTypes, c.Metadata.ResponseTypes = []string{"client_credentials"}, nil
		},
			[]string{`["authorization_code","client_credentials","refresh_token","implicit"]`, `["client_credentials"]`, `["code id_token","code"]`, `[]`}},
		{"mobile", nil, func(c *registry.Client) { c.Metadata.ApplicationType = "mobile" }, []string{`"application_type":"web"`, `"application_type":"native"`}},
		{"native", nil, func(c *registry.Client) { c.Metadata.ApplicationType = "native" }, []string{`"application_type":"web"`, `"application_type":"native"`}},
		{"CIBA", nil, func(c *registry.Client) {
			off := false
			c.Metadata.GrantTypes = append(c.Metadata.GrantTypes, verify.GrantCIBA)
			c.Metadata.BackchannelMode, c.Metadata.BackchannelEndpoint = "ping", "https://tpp.example/ciba"
			c.Metadata.BackchannelAlg, c.Metadata.BackchannelUserCode = "PS256", &off
		}, []string{`,"implicit"`, `,"urn:openid:params:grant-type:ciba","implicit"`, `"jwks_uri":`, `"backchannel_token_delivery_mode":"ping","backchannel_client_notification_endpoint":"https://tpp.example/ciba",` +
			`"backchannel_authentication_request_signing_alg":"PS256","backchannel_user_code_parameter_supported":false,"jwks_uri":`}},
		{"a DNS name in place of the DN", nil, func(c *registry.Client) {
			c.Metadata.TLSClientAuthSubjectDN, c.Subject, c.Metadata.TLSClientAuthSANDNS = "", nil, "tpp.example"
		}, []string{`"tls_client_auth_subject_dn":"CN=tpp,organizationIdentifier=PSDGB-FCA-123456,O=Acme\\, Ltd,C=GB"`, `"tls_client_auth_san_dns":"tpp.example"`}},
		{"never dcr_register", nil, func(c *registry.Client) { c.Metadata.Scope = "dcr_register openid dcr_register_x accounts" }, []string{"openid accounts payments", "openid dcr_register_x accounts"}},
		{"blanks of a scope", nil, func(c *registry.Client) { c.Metadata.Scope = " openid  accounts payments " }, nil},
		{"an SSA that says little", nil, func(c *registry.Client) { c.ClientURI, c.LogoURI, c.PolicyURI, c.TOSURI = "", "", "", "" },
			[]string{`,"client_uri":"https://tpp.example","logo_uri":"https://tpp.example/logo","policy_uri":"https://tpp.example/policy","tos_uri":"https://tpp.example/tos"`, ``}},
		{"nothing of the registry's own", nil, func(c *registry.Client) {
			c.Workspace, c.Thumbprint, c.Document, c.Sealed, c.IssuedAt = "default/obuk", "thumb", "doc", []byte("sealed"), 1_800_000_000
			c.Credentials = registry.Credentials{RegistrationAccessToken: registrationToken, RegistrationPath: "/as/reg/1"}
		}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t, nil)
			e.on(discovery, answer(http.StatusOK, e.document(test.document...)))
			e.on(register, registered(http.StatusCreated))
			c := tpp(t)
			test.change(c)
			grants := append(make([]string, 0, 8), c.Metadata.GrantTypes...)
			c.Metadata.GrantTypes = grants
			if _, err := e.Create(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			want := whole
			for i := 0; i < len(test.want); i += 2 {
				if !strings.Contains(want, test.want[i]) {
					t.Fatalf("%s is not in the whole body", test.want[i])
				}
				want = strings.Replace(want, test.want[i], test.want[i+1], 1)
			}
			if got := e.only(register).body; got != want {
				t.Errorf("told\n%s\nwant\n%s", got, want)
			}
			if after := grants[:cap(grants)]; after[len(grants)] != "" { // append would write there
				t.Errorf("the client's own grants were changed: %v", after)
			}
		})
	}
	for _, scope := range []string{"", " ", "dcr_register"} {
		e := newEdge(t, nil)
		c := tpp(t)
		c.Metadata.Scope = scope
		if _, err := e.Create(t.Context(), c); err == nil || len(e.to(register)) != 0 {
			t.Errorf("scope %q: told %v, error %v", scope, e.to(register), err)
		}
	}
}

// TestNarrowed says what the record holds when the AS stored something else
// (RFC 7591 3.2.1).
func TestNarrowed(t *testing.T) {
	for _, test := range []struct {
		name    string
		changes []string // of an answer that repeats the request
		change  func(*verify.Metadata)
		cause   string // why it is no registration; change is nil then
	}{
		{"all of it", nil, func(*verify.Metadata) {}, ""},
		{"an answer that does not repeat it", []string{"redirect_uris", "", "grant_types", "", "response_types", "", "scope", ""}, func(*verify.Metadata) {}, ""},
		{"a redirect URI less", []string{"redirect_uris", `["https://tpp.example/b"]`}, func(m *verify.Metadata) { m.RedirectURIs = []string{"https://tpp.example/b"} }, ""},
		{"a grant less", []string{"grant_types", `["client_credentials","authorization_code","implicit"]`}, func(m *verify.Metadata) { m.GrantTypes = []string{"authorization_code", "client_credentials"} }, ""},
		{"no authorization code, and so no response type", []string{"grant_types", `["client_credentials","refresh_token"]`, "response_types", `[]`}, func(m *verify.Metadata) {
			m.GrantTypes, m.ResponseTypes = []string{"client_credentials", "refresh_token"}, []string{}
		}, ""},
		{"a code without response types", []string{"response_types", `[]`}, nil, "it registered none of the response_types"},
		{"implicit is not ours to keep", []string{"grant_types", `["authorization_code","client_credentials","refresh_token"]`}, func(*verify.Metadata) {}, ""},
		{"a response type less, in other words", []string{"response_types", `["id_token code"]`}, func(m *verify.Metadata) { m.ResponseTypes = []string{"code id_token"} }, ""},
		{"a scope less", []string{"scope", `"payments openid"`}, func(m *verify.Metadata) { m.Scope = "openid payments" }, ""},
		{"additions", []string{"scope", `"accounts openid payments dcr_register"`, "redirect_uris", `["https://tpp.example/b","https://tpp.example/a","https://evil.example"]`, "grant_types", `["authorization_code","client_credentials","refresh_token","password"]`},
			func(*verify.Metadata) {}, ""},
		{"what the AS calls its own way", []string{"application_type", `"native"`, "id_token_signed_response_alg", `"RS256"`}, func(*verify.Metadata) {}, ""},
		{"DN in another form", []string{"tls_client_auth_subject_dn", `"C=GB, O=\"Acme, Ltd\", organizationIdentifier=PSDGB-FCA-123456, CN=TPP"`}, func(*verify.Metadata) {}, ""},
		{"another DN", []string{"tls_client_auth_subject_dn", `"CN=tpp,O=Acme\\, Ltd,C=GB"`}, nil, "it registered tls_client_auth_subject_dn"},
		{"no DN", []string{"tls_client_auth_subject_dn", ""}, nil, "it registered tls_client_auth_subject_dn"},
		{"DN of another type", []string{"tls_client_auth_subject_dn", "7"}, nil, "its answer's tls_client_auth_subject_dn is a number"},
		{"another method", []string{"token_endpoint_auth_method", `"client_secret_basic"`}, nil, "it registered token_endpoint_auth_method"},
		{"no method", []string{"token_endpoint_auth_method", ""}, nil, "it registered token_endpoint_auth_method"},
		{"no redirect URI of ours", []string{"redirect_uris", `["https://evil.example"]`}, nil, "it registered none of the redirect_uris"},
		{"no grant", []string{"grant_types", `[]`}, nil, "it registered none of the grant_types"},
		{"no scope", []string{"scope", `""`}, nil, "it registered none of the scope"},
		{"a scope by a part of its name", []string{"scope", `"openidx accountsx paymentsx"`}, nil, "it registered none of the scope"},
		{"redirect URIs as text", []string{"redirect_uris", `"https://tpp.example/a"`}, nil, "is a string, not an array"},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := tpp(t).Metadata
			if test.change != nil {
				test.change(&want)
			}
			e := newEdge(t, nil)
			created := tpp(t)
			e.on(register, registered(http.StatusCreated, test.changes...))
			e.on("DELETE /as/reg/client-1", answer(http.StatusNoContent, ""))
			p, err := e.Create(t.Context(), created)
			e.checkNarrowed(p, err, want, test.cause)
			if deleted := len(e.to("DELETE /as/reg/client-1")) > 0; deleted != (test.cause != "") {
				t.Errorf("the new client was deleted again: %v", deleted)
			}
			if !reflect.DeepEqual(created, tpp(t)) {
				t.Error("the registry's client was changed")
			}

			e = newEdge(t, func(_ *edge, o *authserver.Options) { o.InitialAccessToken = "" })
			e.on("PUT /as/reg/client-1", registered(http.StatusOK, test.changes...))
			p, err = e.Update(t.Context(), managed(t))
			e.checkNarrowed(p, err, want, test.cause)
			if p == nil || p.Credentials.RegistrationAccessToken != registrationToken+"-client-1" {
				t.Errorf("the rotated credentials are missing: %+v", p)
			}
		})
	}
}

func (e *edge) checkNarrowed(p *registry.Provisioned, err error, want verify.Metadata, cause string) {
	e.t.Helper()
	if cause != "" {
		if e.refused(err, refusal.Unavailable); err != nil && !strings.Contains(err.Error(), cause) {
			e.t.Errorf("error %v, want %q in it", err, cause)
		}
		return
	}
	if err != nil || !reflect.DeepEqual(p.Metadata, want) {
		e.t.Errorf("registered %+v\nwant %+v\nerror %v", p, want, err)
	}
}

// TestSendStatement: the AS sees a software statement only where the operator
// wants it to, in both calls.
func TestSendStatement(t *testing.T) {
	for _, send := range []bool{false, true} {
		e := newEdge(t, func(_ *edge, o *authserver.Options) { o.SendStatement = send })
		e.on(register, registered(http.StatusCreated))
		e.on("PUT /as/reg/client-1", registered(http.StatusOK))
		c := managed(t)
		c.SoftwareStatement = []byte("header.claims.signature")
		if _, err := e.Create(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Update(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		for _, call := range []string{register, "PUT /as/reg/client-1"} {
			if sent := strings.Contains(e.only(call).body, `"software_statement":"header.claims.signature"`); sent != send {
				t.Errorf("%s: told %v, want %v", call, sent, send)
			}
		}
	}
}

// TestSANStored: an AS that does not compare the name that was registered would
// take any certificate, or none.
func TestSANStored(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer string // JSON; "" leaves it out
		ok     bool
	}{
		{"the same", `"tpp.example"`, true}, {"in capitals", `"TPP.example"`, true},
		{"another", `"other.example"`, false}, {"none", "", false}, {"of another type", "1", false},
	} {
		e := newEdge(t, nil)
		e.on(register, registered(http.StatusCreated, "tls_client_auth_san_dns", test.answer))
		e.on("DELETE /as/reg/client-1", answer(http.StatusNoContent, ""))
		c := tpp(t)
		c.Metadata.TLSClientAuthSubjectDN, c.Subject, c.Metadata.TLSClientAuthSANDNS = "", nil, "tpp.example"
		if _, err := e.Create(t.Context(), c); (err == nil) != test.ok {
			t.Errorf("%s: %v, want an error: %t", test.name, err, !test.ok)
		}
		if deleted := len(e.to("DELETE /as/reg/client-1")) > 0; deleted == test.ok {
			t.Errorf("%s: the new client was deleted again: %v", test.name, deleted)
		}
	}
}
