package verify

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// sourceOf gives one source for every endpoint.
func sourceOf(source KeySource) func(string) (KeySource, error) {
	return func(string) (KeySource, error) { return source, nil }
}

// metadataInput is a request as VerifyRequest hands it on.
func metadataInput(t testing.TB, request, ssa claims) MetadataInput {
	t.Helper()
	s := &SoftwareStatement{Claims: objectOf(t, jsonOf(ssa)), Issuer: &Issuer{SoftwareKeys: sourceOf(parseKeys(t, jwkOf(ecKey().Public())))}}
	if err := s.read(noon); err != nil {
		t.Fatal(err)
	}
	return MetadataInput{
		Request:   &Request{Claims: objectOf(t, jsonOf(request)), Statement: s},
		Supported: DefaultSupportedMetadata(), Trust: siteTrust(t), Now: noon,
	}
}

func TestCheckMetadata(t *testing.T) {
	got, err := CheckMetadata(context.Background(), metadataInput(t, requestClaims, ssaClaims))
	if err != nil {
		t.Fatal(err)
	}
	want := Checked{Metadata: Metadata{
		RedirectURIs:            []string{"https://tpp.example/cb", "https://tpp.example/cb2"},
		TokenEndpointAuthMethod: "private_key_jwt", TokenEndpointSigningAlg: "PS256",
		GrantTypes:    []string{"authorization_code", "client_credentials", "refresh_token"},
		ResponseTypes: []string{"code id_token"}, ApplicationType: "web",
		IDTokenSigningAlg: "PS256", RequestObjectSigningAlg: "PS256", Scope: "openid accounts payments",
	}}
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("got %+v, want %+v", *got, want)
	}
}

func TestMetadataRuleTable(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range MetadataRules {
		if r.Claim == "" || r.Clause == "" || r.Mend == "" || seen[r.Claim] {
			t.Errorf("row %q, clause %q", r.Claim, r.Clause)
		}
		seen[r.Claim] = true
	}
}

// refusedRow is a request that exactly one rule refuses.
type refusedRow struct {
	name    string
	changes []any
	ssa     []any
	word    string
}

func checkRefused(t *testing.T, kind refusal.Kind, rows []refusedRow) {
	t.Helper()
	for _, tc := range rows {
		t.Run(tc.name, func(t *testing.T) {
			_, err := CheckMetadata(context.Background(), metadataInput(t, with(requestClaims, tc.changes...), with(ssaClaims, tc.ssa...)))
			wantRefusal(t, err, kind, tc.word)
			if e := refusal.From(err); e.Rule == "" || !strings.HasPrefix(e.Description, e.Rule+": ") {
				t.Errorf("rule %q, description %q", e.Rule, e.Description)
			}
		})
	}
}

func TestMetadataRefused(t *testing.T) {
	checkRefused(t, refusal.InvalidClientMetadata, []refusedRow{
		{"software_id of another", []any{"software_id", "x"}, nil, "software_id: 'x', but the software statement is for '65d1f27c4aeA4549'"},
		{"software_id a number", []any{"software_id", 1}, nil, "software_id: is a number"},

		{"method missing", []any{"token_endpoint_auth_method", absent{}}, nil, "token_endpoint_auth_method: missing; send one of tls_client_auth, private_key_jwt"},
		{"method with secret", []any{"token_endpoint_auth_method", "client_secret_basic"}, nil, "token_endpoint_auth_method: 'client_secret_basic'"},
		{"method none", []any{"token_endpoint_auth_method", "none"}, nil, "token_endpoint_auth_method: 'none'"},
		{"method in capitals", []any{"token_endpoint_auth_method", "PRIVATE_KEY_JWT"}, nil, "token_endpoint_auth_method: "},
		{"method a list", []any{"token_endpoint_auth_method", []string{"private_key_jwt"}}, nil, "token_endpoint_auth_method: is an array"},
		{"signing alg missing", []any{"token_endpoint_auth_signing_alg", absent{}}, nil, "token_endpoint_auth_signing_alg: missing; private_key_jwt needs one of PS256, ES256"},
		{"signing alg RS256", []any{"token_endpoint_auth_signing_alg", "RS256"}, nil, "token_endpoint_auth_signing_alg: 'RS256'"},
		{"signing alg checked for tls_client_auth too", []any{"token_endpoint_auth_method", "tls_client_auth", "token_endpoint_auth_signing_alg", "none"}, nil, "token_endpoint_auth_signing_alg: 'none'"},

		{"grants missing", []any{"grant_types", absent{}}, nil, "grant_types: missing or empty"},
		{"grants empty", []any{"grant_types", []string{}}, nil, "grant_types: missing or empty"},
		{"grants a string", []any{"grant_types", "client_credentials"}, nil, "grant_types: is a string"},
		{"implicit", []any{"grant_types", []string{"authorization_code", "implicit"}}, nil, "grant_types: 'implicit'"},
		{"password", []any{"grant_types", []string{"password"}}, nil, "grant_types: 'password'"},
		{"ciba", []any{"grant_types", []string{"urn:openid:params:grant-type:ciba"}}, nil, "grant_types: "},

		{"response types empty", []any{"response_types", []string{}}, nil, "response_types: empty, but grant_types has authorization_code; leave response_types out for 'code id_token'"},
		{"response types without the grant", []any{"grant_types", []string{"client_credentials"}, "response_types", []string{"code", "id_token code"}}, nil, "response_types: 'code, id_token code', but grant_types has no authorization_code; leave response_types out"},
		{"response type that nobody knows, without the grant", []any{"grant_types", []string{"client_credentials"}, "response_types", []string{"none"}}, nil, "response_types: 'none', but grant_types has no authorization_code"},
		{"token", []any{"response_types", []string{"token"}}, nil, "response_types: 'token' is not accepted; send some of 'code id_token', 'code'"},
		{"code token", []any{"response_types", []string{"code", "code token"}}, nil, "response_types: 'code token'"},
		{"id_token", []any{"response_types", []string{"id_token"}}, nil, "response_types: 'id_token'"},
		{"response type of nothing", []any{"response_types", []string{""}}, nil, "response_types: ''"},
		{"response type of a word twice", []any{"response_types", []string{"code code"}}, nil, "response_types: 'code code'"},
		{"response types a string", []any{"response_types", "code"}, nil, "response_types: is a string"},

		{"application type missing", []any{"application_type", absent{}}, nil, "application_type: missing; send one of web, mobile, native"},
		{"application type other", []any{"application_type", "desktop"}, nil, "application_type: 'desktop'"},
		{"id token alg missing", []any{"id_token_signed_response_alg", absent{}}, nil, "id_token_signed_response_alg: missing"},
		{"id token alg none", []any{"id_token_signed_response_alg", "none"}, nil, "id_token_signed_response_alg: 'none'"},
		{"request object alg missing", []any{"request_object_signing_alg", absent{}}, nil, "request_object_signing_alg: missing"},
		{"request object alg RS256", []any{"request_object_signing_alg", "RS256"}, nil, "request_object_signing_alg: 'RS256'"},
		{"request object alg null", []any{"request_object_signing_alg", nil}, nil, "request_object_signing_alg: missing"},

		{"scope of another role", []any{"scope", "openid fundsconfirmations"}, nil, "scope: 'fundsconfirmations' is not covered"},
		{"scope a part of one", []any{"scope", "account"}, nil, "scope: 'account'"},
		{"scope longer than one", []any{"scope", "accounts2"}, nil, "scope: 'accounts2'"},
		{"scope in capitals", []any{"scope", "Accounts"}, nil, "scope: 'Accounts'"},
		{"dcr_register", []any{"scope", "openid dcr_register"}, nil, "scope: 'dcr_register'"},
		{"scope empty", []any{"scope", ""}, nil, "scope: empty; leave it out"},
		{"scope with two blanks", []any{"scope", "openid  accounts"}, nil, "scope: 'openid  accounts' has a blank too many; put one between two values"},
		{"scope with a blank at the end", []any{"scope", "openid "}, nil, "scope: 'openid ' has a blank too many"},
		{"scope with comma", []any{"scope", "openid,accounts"}, nil, "scope: 'openid,accounts'"},
		{"scope with tab", []any{"scope", "openid\taccounts"}, nil, "scope: "},
		{"scope a list", []any{"scope", []string{"openid"}}, nil, "scope: is an array"},
		{"scope without roles", []any{"scope", "accounts"}, []any{"software_roles", absent{}}, "scope: 'accounts'"},
		{"scope of an unknown role", []any{"scope", "accounts"}, []any{"software_roles", []string{"ASPSP", "aisp"}}, "scope: 'accounts'"},

		{"DN with another method", []any{"tls_client_auth_subject_dn", "CN=x"}, nil, "tls_client_auth_subject_dn: only goes with"},
		{"older DN name with another method", []any{"tls_client_auth_dn", "CN=x"}, nil, "tls_client_auth_subject_dn: only goes with"},
		{"DN empty with another method", []any{"tls_client_auth_subject_dn", ""}, nil, "tls_client_auth_subject_dn: empty"},

		{"statement binds grants", nil, []any{"grant_types", []string{"client_credentials"}}, "software_statement: its grant_types binds and does not hold 'authorization_code'"},
		{"statement binds scope", []any{"scope", "openid accounts"}, []any{"scope", "openid payments"}, "software_statement: its scope binds and does not hold 'accounts'"},
		{"statement binds redirect URIs", nil, []any{"redirect_uris", []string{"https://tpp.example/cb"}}, "its redirect_uris binds and does not hold 'https://tpp.example/cb2'"},
		{"statement binds response types", []any{"response_types", []string{"code", "code id_token"}}, []any{"response_types", []string{"code"}}, "its response_types binds"},
		{"statement binds the method", nil, []any{"token_endpoint_auth_method", "tls_client_auth"}, "its token_endpoint_auth_method binds"},
		{"statement binds the signing alg", nil, []any{"token_endpoint_auth_signing_alg", "ES256"}, "its token_endpoint_auth_signing_alg binds"},
		{"statement binds application type", nil, []any{"application_type", "mobile"}, "its application_type binds"},
		{"statement binds id token alg", nil, []any{"id_token_signed_response_alg", "ES256"}, "its id_token_signed_response_alg binds"},
		{"statement binds request object alg", nil, []any{"request_object_signing_alg", "ES256"}, "its request_object_signing_alg binds"},
		{"statement binds the DN", []any{"token_endpoint_auth_method", "tls_client_auth", "tls_client_auth_subject_dn", "CN=x,C=GB"}, []any{"tls_client_auth_subject_dn", "CN=y,C=GB"}, "its tls_client_auth_subject_dn binds and does not hold 'CN=x,C=GB'"},
		{"statement binds the DN under its older name", []any{"token_endpoint_auth_method", "tls_client_auth", "tls_client_auth_subject_dn", "CN=x"}, []any{"tls_client_auth_dn", "nothing"}, "its tls_client_auth_dn binds and does not hold 'CN=x'"},
		{"statement has a claim of another type", nil, []any{"grant_types", 1}, "software_statement: grant_types is a number"},
	})
}

func TestMetadataAccepted(t *testing.T) {
	for _, tc := range []struct {
		name    string
		changes []any
		ssa     []any
		want    func(*Metadata)
	}{
		{"client_id wish is ignored", []any{"client_id", "my-own"}, nil, func(*Metadata) {}},
		{"client_id of any type is ignored", []any{"client_id", 1}, nil, func(*Metadata) {}},
		{"software_id of the statement", []any{"software_id", "65d1f27c4aeA4549"}, nil, func(*Metadata) {}},
		{"unknown claims", []any{"x", claims{"y": 1}, "client_secret", "s"}, nil, func(*Metadata) {}},
		{"one redirect URI", []any{"redirect_uris", []string{"https://tpp.example/cb2"}}, nil, func(m *Metadata) { m.RedirectURIs = m.RedirectURIs[1:] }},
		{"grants once", []any{"grant_types", []string{"client_credentials", "client_credentials"}}, nil, func(m *Metadata) { m.GrantTypes, m.ResponseTypes = []string{"client_credentials"}, []string{} }},
		{"code", []any{"response_types", []string{"code"}}, nil, func(m *Metadata) { m.ResponseTypes = []string{"code"} }},
		{"word order of response types", []any{"response_types", []string{"id_token code", "code id_token"}}, nil, func(*Metadata) {}},
		{"mobile", []any{"application_type", "mobile"}, nil, func(m *Metadata) { m.ApplicationType = "mobile" }},
		{"native as sent", []any{"application_type", "native"}, nil, func(m *Metadata) { m.ApplicationType = "native" }},
		{"other algorithms", []any{"id_token_signed_response_alg", "ES256", "request_object_signing_alg", "ES256", "token_endpoint_auth_signing_alg", "ES256"}, nil,
			func(m *Metadata) {
				m.IDTokenSigningAlg, m.RequestObjectSigningAlg, m.TokenEndpointSigningAlg = "ES256", "ES256", "ES256"
			}},
		{"fewer scopes", []any{"scope", "accounts"}, nil, func(m *Metadata) { m.Scope = "accounts" }},
		{"scopes once, in the order sent", []any{"scope", "payments openid payments"}, nil, func(m *Metadata) { m.Scope = "payments openid" }},
		{"another role", nil, []any{"software_roles", []string{"CBPII", "CBPII"}}, func(m *Metadata) { m.Scope = "openid fundsconfirmations" }},
		{"no role", nil, []any{"software_roles", absent{}}, func(m *Metadata) { m.Scope = "openid" }},
		{"statement binds, request is less", []any{"grant_types", []string{"client_credentials"}}, []any{"grant_types", []string{"client_credentials", "refresh_token"}},
			func(m *Metadata) { m.GrantTypes, m.ResponseTypes = []string{"client_credentials"}, []string{} }},
		{"statement binds scope, request is less", []any{"scope", "openid"}, []any{"scope", "openid accounts"}, func(m *Metadata) { m.Scope = "openid" }},
		{"statement binds scope as a list", []any{"scope", "openid"}, []any{"scope", []string{"openid", "accounts"}}, func(m *Metadata) { m.Scope = "openid" }},
		{"statement binds the same", nil, []any{"application_type", "web", "token_endpoint_auth_signing_alg", "PS256"}, func(*Metadata) {}},
		{"statement binds response types in other word order", nil, []any{"response_types", []string{"id_token code"}}, func(*Metadata) {}},
		{"statement binds the DN in another form", []any{"token_endpoint_auth_method", "tls_client_auth", "tls_client_auth_subject_dn", "CN=x,C=GB"}, []any{"tls_client_auth_subject_dn", "/C=gb/CN=X"},
			func(m *Metadata) {
				m.TokenEndpointAuthMethod, m.TLSClientAuthSubjectDN = "tls_client_auth", "CN=x,C=GB"
			}},
		{"statement says null", nil, []any{"grant_types", nil, "scope", nil}, func(*Metadata) {}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			first, err := CheckMetadata(context.Background(), metadataInput(t, requestClaims, ssaClaims))
			if err != nil {
				t.Fatal(err)
			}
			want := first.Metadata
			tc.want(&want)
			got, err := CheckMetadata(context.Background(), metadataInput(t, with(requestClaims, tc.changes...), with(ssaClaims, tc.ssa...)))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got.Metadata, want) {
				t.Errorf("got %+v, want %+v", got.Metadata, want)
			}
		})
	}
}

// What the AS can do is the frame, and what the operator configured.
func TestSupportedMetadata(t *testing.T) {
	in := metadataInput(t, requestClaims, ssaClaims)
	in.Supported.ResponseTypes = []string{"code"}
	in.Supported.Scopes = []string{"openid", "payments"}
	got, err := CheckMetadata(context.Background(), in)
	if err != nil || got.Metadata.Scope != "openid payments" || !reflect.DeepEqual(got.Metadata.ResponseTypes, []string{"code"}) {
		t.Errorf("got %+v, %v", got, err)
	}
	in.Supported.Scopes = []string{"x"}
	_, err = CheckMetadata(context.Background(), in)
	wantRefusal(t, err, refusal.InvalidClientMetadata, "scope: the software statement's software_roles allow none")
	in = metadataInput(t, requestClaims, ssaClaims)
	in.Supported.GrantTypes = []string{"client_credentials"}
	_, err = CheckMetadata(context.Background(), in)
	wantRefusal(t, err, refusal.InvalidClientMetadata, "grant_types: 'authorization_code' is not accepted; send some of client_credentials")
	// One check must not change what the next one sees.
	if again := DefaultSupportedMetadata(); !reflect.DeepEqual(again.Roles["AISP"], []string{"accounts"}) || len(again.Scopes) != 4 {
		t.Errorf("defaults are now %+v", again)
	}
}

func TestMetadataOfPUT(t *testing.T) {
	registered := Registered{ClientID: "c", SoftwareID: "65d1f27c4aeA4549", OrgID: "0015800000jfQ9aAAE"}
	for _, tc := range []struct {
		name       string
		changes    []any
		registered Registered
		word       string
	}{
		{"no client_id", nil, registered, ""},
		{"own client_id", []any{"client_id", "c"}, registered, ""},
		{"another client_id", []any{"client_id", "d"}, registered, "client_id: 'd' is not the client of this address"},
		{"client_id in another case", []any{"client_id", "C"}, registered, "client_id: 'C'"},
		{"client_id a number", []any{"client_id", 1}, registered, "client_id: is a number"},
		{"client_id null", []any{"client_id", nil}, registered, ""},
		{"other software", nil, Registered{ClientID: "c", SoftwareID: "x", OrgID: registered.OrgID}, "software_id: '65d1f27c4aeA4549', but this client was registered for 'x'"},
		{"other organisation", nil, Registered{ClientID: "c", SoftwareID: registered.SoftwareID, OrgID: "x"}, "org_id: '0015800000jfQ9aAAE', but this client was registered for 'x'"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := metadataInput(t, with(requestClaims, tc.changes...), ssaClaims)
			in.Registered = &tc.registered
			_, err := CheckMetadata(context.Background(), in)
			if tc.word != "" {
				wantRefusal(t, err, refusal.InvalidClientMetadata, tc.word)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}
