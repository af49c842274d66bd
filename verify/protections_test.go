package verify

import (
	"context"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// A body that need not be signed is bare JSON, and nothing else.
func TestUnsignedBody(t *testing.T) {
	good := with(requestClaims, "software_statement", statement(t, ssaClaims))
	bare := with(good, "iss", absent{}, "aud", absent{}, "iat", absent{}, "exp", absent{}, "jti", absent{})
	for _, tc := range []struct {
		name string
		body string
		kind refusal.Kind
		word string // empty: accepted
	}{
		{"with the claims of a JWT", jsonOf(good), 0, ""},
		{"without them", jsonOf(bare), 0, ""},
		{"a signed one", string(registration(t, requestClaims, ssaClaims)), refusal.InvalidClientMetadata, "registration request is no acceptable JSON object (not a JSON object)"},
		{"a list", "[" + jsonOf(good) + "]", refusal.InvalidClientMetadata, "not a JSON object"},
		{"two objects", jsonOf(good) + jsonOf(good), refusal.InvalidClientMetadata, "text after the object"},
		{"a member twice", `{"iss":"x",` + jsonOf(good)[1:], refusal.InvalidClientMetadata, "member 'iss' twice"},
		{"nothing", "", refusal.InvalidClientMetadata, "not a JSON object"},
		{"no statement", jsonOf(requestClaims), refusal.InvalidSoftwareStatement, "software_statement: missing"},
		{"a forged statement", jsonOf(with(good, "software_statement", signJWS(t, ssaHeader, jsonOf(ssaClaims), "PS256", softwareKey()))), refusal.InvalidSoftwareStatement, "does not verify"},
		{"iss of other software", jsonOf(with(bare, "iss", "x")), refusal.InvalidClientMetadata, "iss: 'x'"},
		{"aud of another bank", jsonOf(with(bare, "aud", "x")), refusal.InvalidClientMetadata, "aud: 'x'"},
		{"expired", jsonOf(with(bare, "exp", noon.Unix())), refusal.InvalidClientMetadata, "exp: expired"},
		{"of tomorrow", jsonOf(with(bare, "iat", noon.Unix()+61)), refusal.InvalidClientMetadata, "iat: "},
		{"for ever", jsonOf(with(bare, "exp", noon.Unix()+86401)), refusal.InvalidClientMetadata, "exp: 24h0m1s after iat"},
		{"of last year", jsonOf(with(bare, "iat", noon.Unix()-365*86400)), 0, ""},
		{"of last year, and ended", jsonOf(with(bare, "iat", noon.Unix()-365*86400, "exp", noon.Unix()+1)), refusal.InvalidClientMetadata, "exp: 8760h0m1s after iat"},
		{"jti that is none", jsonOf(with(bare, "jti", "x")), refusal.InvalidClientMetadata, "jti: 'x'"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := rules(t)
			r.Unsigned = true
			keys := &scriptedKeys{}
			r.Issuers[1].SoftwareKeys = sourceOf(keys)
			defer func() {
				if keys.asked > 0 {
					t.Error("the software's keys were asked for")
				}
			}()
			got, err := VerifyRequest(context.Background(), []byte(tc.body), r, noon)
			if tc.word != "" {
				wantRefusal(t, err, tc.kind, tc.word)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			again, err := VerifyRequest(context.Background(), []byte(tc.body), r, noon)
			if err != nil || got.Issuer != "65d1f27c4aeA4549" || !got.Unsigned || !got.Expires.After(noon) {
				t.Errorf("got %+v, %v", got, err)
			}
			if named := strings.Contains(tc.body, `"jti"`); named != (got.JTI == again.JTI) { // no jti: no replay, but a new request
				t.Errorf("jti %s, then %s", got.JTI, again.JTI)
			}
		})
	}
	// And JSON is no signed request.
	_, err := VerifyRequest(context.Background(), []byte(jsonOf(good)), rules(t), noon)
	wantRefusal(t, err, refusal.InvalidClientMetadata, "registration request is not a compact JWS")
}

// Without a statement the software is what it says, and has no role.
func TestNoStatement(t *testing.T) {
	plain := with(requestClaims, "redirect_uris", []string{"https://tpp.example/cb"}, "scope", "openid accounts", "client_name", "Acme")
	for _, tc := range []struct {
		name    string
		changes []any
		kind    refusal.Kind
		word    string // empty: accepted
		scope   string
	}{
		{"accepted", nil, 0, "", "openid accounts"},
		{"its statement is not looked at", []any{"software_statement", "x"}, 0, "", "openid accounts"},
		{"no scope: the least", []any{"scope", absent{}}, 0, "", "openid"},
		{"scope that nobody has", []any{"scope", "dcr_register"}, refusal.InvalidClientMetadata, "scope: 'dcr_register'", ""},
		{"no redirect URI", []any{"redirect_uris", absent{}}, refusal.InvalidRedirectURI, "redirect_uris: missing", ""},
		{"empty redirect URIs", []any{"redirect_uris", []string{}}, refusal.InvalidRedirectURI, "redirect_uris: missing", ""},
		{"redirect URI to http", []any{"redirect_uris", []string{"https://tpp.example/cb", "http://tpp.example/cb"}}, refusal.InvalidRedirectURI, "does not use https", ""},
		{"iss missing", []any{"iss", absent{}}, refusal.InvalidClientMetadata, "iss: missing; send the software_id", ""},
		{"software_id that is not iss", []any{"software_id", "x"}, refusal.InvalidClientMetadata, "iss: '65d1f27c4aeA4549'", ""},
		{"software_id that no directory would issue", []any{"software_id", strings.Repeat("x", 40000)}, refusal.InvalidClientMetadata, "software_id: ", ""},
		{"software_id with a line end", []any{"software_id", "x\ny"}, refusal.InvalidClientMetadata, "software_id: 'x/ny' is not", ""},
		{"name of another type", []any{"client_name", 1}, refusal.InvalidClientMetadata, "client_name: is a number", ""},
		{"name too long", []any{"client_name", strings.Repeat("x", 257)}, refusal.InvalidClientMetadata, "client_name: longer than 256", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := rules(t)
			r.NoStatement, r.Issuers = true, nil
			r.Keys = parseKeys(t, jwkOf(softwareKey().Public(), "kid", "tpp"))
			raw := []byte(signJWS(t, requestHeader, jsonOf(with(plain, tc.changes...)), "PS256", softwareKey()))
			request, err := VerifyRequest(context.Background(), raw, r, noon)
			var checked *Checked
			if err == nil {
				checked, err = CheckMetadata(context.Background(), MetadataInput{Request: request, Supported: DefaultSupportedMetadata()})
			}
			if tc.word != "" {
				wantRefusal(t, err, tc.kind, tc.word)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if s := request.Statement; !s.None || s.SoftwareID != "65d1f27c4aeA4549" || s.ClientName != "Acme" || s.OrgID != "" || checked.Metadata.Scope != tc.scope {
				t.Errorf("got %+v, %+v", s, checked.Metadata)
			}
		})
	}
	t.Run("bare JSON", func(t *testing.T) { // nobody has vouched for its software_id, and it goes into the log and the registry
		r := rules(t)
		r.NoStatement, r.Issuers, r.Unsigned = true, nil, true
		for _, id := range []string{"", strings.Repeat("x", 40000), "x\ny", "x/y"} {
			for _, claim := range []string{"iss", "software_id"} {
				request, err := VerifyRequest(context.Background(), []byte(jsonOf(with(plain, "iss", absent{}, "jti", absent{}, claim, id))), r, noon)
				if wantRefusal(t, err, refusal.InvalidClientMetadata, claim+": "); request.Statement != nil {
					t.Errorf("%s %.10q is told to the log", claim, id)
				}
			}
		}
	})
	t.Run("without keys", func(t *testing.T) {
		r := rules(t)
		r.NoStatement = true
		_, err := VerifyRequest(context.Background(), []byte(signJWS(t, requestHeader, jsonOf(plain), "PS256", softwareKey())), r, noon)
		wantRefusal(t, err, refusal.InvalidSoftwareStatement, "software_jwks_endpoint")
	})
}

// iss may be held against another claim of the statement than software_id.
func TestIssuerClaim(t *testing.T) {
	for _, tc := range []struct {
		name, iss string
		ssa       []any
		kind      refusal.Kind
		word      string // empty: accepted
	}{
		{"the organisation", "0015800000jfQ9aAAE", nil, 0, ""},
		{"the software", "65d1f27c4aeA4549", nil, refusal.InvalidClientMetadata, "iss: '65d1f27c4aeA4549', but the software statement is for org_id '0015800000jfQ9aAAE'; send the org_id"},
		{"missing", "0015800000jfQ9aAAE", []any{"x", 1}, 0, ""},
	} {
		r := rules(t)
		r.IssuerClaim = "org_id"
		_, err := VerifyRequest(context.Background(), registration(t, with(requestClaims, "iss", tc.iss), with(ssaClaims, tc.ssa...)), r, noon)
		if tc.word != "" {
			t.Run(tc.name, func(t *testing.T) { wantRefusal(t, err, tc.kind, tc.word) })
		} else if err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	r := rules(t)
	r.IssuerClaim = "software_on_behalf_of_org"
	_, err := VerifyRequest(context.Background(), registration(t, requestClaims, ssaClaims), r, noon)
	wantRefusal(t, err, refusal.InvalidSoftwareStatement, "software_on_behalf_of_org is missing")
}
