package verify

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// requestClaims is a complete registration request; software_statement is added
// by registration.
var requestClaims = claims{
	"iss": "65d1f27c4aeA4549", "aud": "https://bank.example", "iat": noon.Unix(), "exp": noon.Unix() + 3600,
	"jti":                        "4f5a1c3e-7b0d-4c8e-9a51-2d6f0b8c7e11",
	"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "PS256",
	"grant_types":      []string{"authorization_code", "client_credentials", "refresh_token"},
	"application_type": "web", "id_token_signed_response_alg": "PS256", "request_object_signing_alg": "PS256",
}

const requestHeader = `{"alg":"PS256","kid":"tpp","typ":"JWT"}`

func registration(t testing.TB, request, ssa claims) []byte {
	t.Helper()
	if _, ok := request["software_statement"]; !ok {
		request = with(request, "software_statement", statement(t, ssa))
	}
	return []byte(signJWS(t, requestHeader, jsonOf(request), "PS256", softwareKey()))
}

// rules accept the requests of softwareKey from statements of directoryKey.
func rules(t testing.TB) *RequestRules {
	issuers := directories(t)
	keys := parseKeys(t, jwkOf(softwareKey().Public(), "kid", "tpp"))
	issuers[1].SoftwareKeys = func(endpoint string) (KeySource, error) {
		if endpoint != "https://keystore.example/0015/65d1.jwks" {
			return nil, errors.New("host is not allowed")
		}
		return keys, nil
	}
	return &RequestRules{Issuers: issuers, Audiences: []string{"0015800001041REAAY", "https://bank.example"}}
}

func TestVerifyRequest(t *testing.T) {
	raw := registration(t, requestClaims, ssaClaims)
	r, err := VerifyRequest(context.Background(), append(raw[:len(raw):len(raw)], "\r\n"...), rules(t), noon)
	if err != nil {
		t.Fatal(err)
	}
	if string(r.Raw) != string(raw) || r.Issuer != "65d1f27c4aeA4549" || r.JTI != "4f5a1c3e-7b0d-4c8e-9a51-2d6f0b8c7e11" ||
		!r.Expires.Equal(noon.Add(time.Hour)) || r.KeyID != "tpp" || r.Unsigned || r.Statement.OrgID != "0015800000jfQ9aAAE" || !r.Claims.Has("grant_types") {
		t.Errorf("got %+v", r)
	}
}

func TestRequestClaims(t *testing.T) {
	longest := strings.Repeat("a", 22)
	now := noon.Unix()
	for _, tc := range []struct {
		name    string
		changes []any
		ssa     claims
		word    string // empty: accepted
	}{
		{"iss missing", []any{"iss", absent{}}, ssaClaims, "iss: missing; send the software_id, '65d1f27c4aeA4549'"},
		{"iss of other software", []any{"iss", "65d1f27c4aeA4540"}, ssaClaims, "iss: '65d1f27c4aeA4540'"},
		{"iss in another case", []any{"iss", "65D1F27C4AEA4549"}, ssaClaims, "iss: "},
		{"iss a number", []any{"iss", 1}, ssaClaims, "iss: is a number"},
		{"iss is the name", []any{"iss", absent{}, "ISS", "65d1f27c4aeA4549"}, ssaClaims, "iss: "},
		{"iss of 22 characters", []any{"iss", longest}, with(ssaClaims, "software_id", longest), ""},
		{"iss of one character", []any{"iss", "a"}, with(ssaClaims, "software_id", "a"), ""},
		{"iss of 23 characters", []any{"iss", longest + "a"}, with(ssaClaims, "software_id", longest+"a"), "iss: 'aaaaaaaaaaaaaaaaaaaaaaa' is not 1 to 22 letters and digits"},
		{"iss a UUID", []any{"iss", "4f5a1c3e-7b0d-4c8e-9a51-2d6f0b8c7e11"}, with(ssaClaims, "software_id", "4f5a1c3e-7b0d-4c8e-9a51-2d6f0b8c7e11"), "letters and digits"},
		{"iss with line end", []any{"iss", "a\n"}, with(ssaClaims, "software_id", "a\n"), "letters and digits"},
		{"iss of other digits", []any{"iss", "١"}, with(ssaClaims, "software_id", "١"), "letters and digits"},

		{"aud a list", []any{"aud", []string{"x", "0015800001041REAAY"}}, ssaClaims, ""},
		{"aud missing", []any{"aud", absent{}}, ssaClaims, "aud: missing; send '0015800001041REAAY' or 'https://bank.example'"},
		{"aud of another bank", []any{"aud", "https://other.example"}, ssaClaims, "aud: 'https://other.example'; send '0015800001041REAAY' or 'https://bank.example'"},
		{"aud a prefix", []any{"aud", "https://bank.example/"}, ssaClaims, "aud: "},
		{"aud joined", []any{"aud", "x https://bank.example"}, ssaClaims, "aud: "},
		{"aud an empty list", []any{"aud", []string{}}, ssaClaims, "aud: "},
		{"aud a mixed list", []any{"aud", []any{"https://bank.example", 1}}, ssaClaims, "aud: holds a number"},
		{"aud a number", []any{"aud", 1}, ssaClaims, "aud: is a number"},
		{"aud null", []any{"aud", nil}, ssaClaims, "aud: missing"},

		{"iat missing", []any{"iat", absent{}}, ssaClaims, "iat: missing"},
		{"iat a string", []any{"iat", "1772366400"}, ssaClaims, "iat: is not a whole number"},
		{"iat Go's zero time", []any{"iat", -62135596800}, ssaClaims, "iat: is before 1970"},
		{"iat at the skew", []any{"iat", now + 60}, ssaClaims, ""},
		{"iat beyond the skew", []any{"iat", now + 61}, ssaClaims, "iat: 2026-03-01T12:01:01Z is in the future; it is 2026-03-01T12:00:00Z here"},
		{"exp missing", []any{"exp", absent{}}, ssaClaims, "exp: missing"},
		{"exp a string", []any{"exp", "1772370000"}, ssaClaims, "exp: is not a whole number"},
		{"exp with fraction", []any{"exp", 1772370000.5}, ssaClaims, "exp: is not a whole number"},
		{"exp null", []any{"exp", nil}, ssaClaims, "exp: missing"},
		{"exp in a second", []any{"exp", now + 1}, ssaClaims, ""},
		{"exp now", []any{"exp", now}, ssaClaims, "exp: expired at 2026-03-01T12:00:00Z"},
		{"exp before", []any{"exp", now - 1}, ssaClaims, "exp: expired"},
		{"exp negative", []any{"exp", -1}, ssaClaims, "exp: is before 1970"},
		{"longest life", []any{"exp", now + 86400}, ssaClaims, ""},
		{"longer life", []any{"exp", now + 86401}, ssaClaims, "exp: 24h0m1s after iat; at most 24h0m0s"},
		{"longest life of an old request", []any{"iat", now - 86399, "exp", now + 1}, ssaClaims, ""},
		{"longer life of an old request", []any{"iat", now - 86400, "exp", now + 1}, ssaClaims, "exp: 24h0m1s after iat"},
		{"life without end", []any{"exp", int64(1) << 61}, ssaClaims, "after iat"},
		{"life of all time", []any{"iat", 0, "exp", int64(1) << 61}, ssaClaims, "after iat"},
		{"exp beyond what can be counted", []any{"exp", int64(1<<63 - 1)}, ssaClaims, "exp: is not a whole number"},

		{"nbf now", []any{"nbf", now}, ssaClaims, ""},
		{"nbf at the skew", []any{"nbf", now + 60}, ssaClaims, ""},
		{"nbf beyond the skew", []any{"nbf", now + 61}, ssaClaims, "nbf: 2026-03-01T12:01:01Z is in the future"},
		{"nbf a string", []any{"nbf", "1772366400"}, ssaClaims, "nbf: is not a whole number"},

		{"jti in capitals", []any{"jti", "4F5A1C3E-7B0D-4C8E-9A51-2D6F0B8C7E11"}, ssaClaims, ""},
		{"jti missing", []any{"jti", absent{}}, ssaClaims, "jti: missing"},
		{"jti a number", []any{"jti", 1}, ssaClaims, "jti: missing or not a string"},
		{"jti empty", []any{"jti", ""}, ssaClaims, "jti: '' is not a UUID v4"},
		{"jti of version 1", []any{"jti", "4f5a1c3e-7b0d-1c8e-9a51-2d6f0b8c7e11"}, ssaClaims, "is not a UUID v4"},
		{"jti of version 7", []any{"jti", "4f5a1c3e-7b0d-7c8e-9a51-2d6f0b8c7e11"}, ssaClaims, "is not a UUID v4"},
		{"jti of another variant", []any{"jti", "4f5a1c3e-7b0d-4c8e-ca51-2d6f0b8c7e11"}, ssaClaims, "is not a UUID v4"},
		{"jti of the oldest variant", []any{"jti", "4f5a1c3e-7b0d-4c8e-0a51-2d6f0b8c7e11"}, ssaClaims, "is not a UUID v4"},
		{"jti in braces", []any{"jti", "{4f5a1c3e-7b0d-4c8e-9a51-2d6f0b8c7e11}"}, ssaClaims, "is not a UUID v4"},
		{"jti as URN", []any{"jti", "urn:uuid:4f5a1c3e-7b0d-4c8e-9a51-2d6f0b8c7e11"}, ssaClaims, "is not a UUID v4"},
		{"jti without dashes", []any{"jti", "4f5a1c3e7b0d4c8e9a512d6f0b8c7e11"}, ssaClaims, "is not a UUID v4"},
		{"jti with blank", []any{"jti", "4f5a1c3e-7b0d-4c8e-9a51-2d6f0b8c7e1 "}, ssaClaims, "is not a UUID v4"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := VerifyRequest(context.Background(), registration(t, with(requestClaims, tc.changes...), tc.ssa), rules(t), noon)
			if tc.word != "" {
				wantRefusal(t, err, refusal.InvalidClientMetadata, tc.word)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if r.JTI != "4f5a1c3e-7b0d-4c8e-9a51-2d6f0b8c7e11" { // one name per jti, whatever its case
				t.Errorf("jti %q", r.JTI)
			}
		})
	}
}

func TestRequestTimesConfigured(t *testing.T) {
	now := noon.Unix()
	for name, tc := range map[string]struct {
		iat, exp int64
		ok       bool
	}{
		"longest":             {now, now + 600, true},
		"longer":              {now, now + 601, false},
		"at the skew":         {now + 5, now + 10, true},
		"beyond the skew":     {now + 6, now + 10, false},
		"skew is not for exp": {now - 5, now, false},
	} {
		r := rules(t)
		r.MaxLifetime, r.Skew = 10*time.Minute, 5*time.Second
		if _, err := VerifyRequest(context.Background(), registration(t, with(requestClaims, "iat", tc.iat, "exp", tc.exp), ssaClaims), r, noon); (err == nil) != tc.ok {
			t.Errorf("%s: %v, want an error: %t", name, err, !tc.ok)
		}
	}
}

// Dates as some software writes them are not dates; JSON by hand, because
// encoding/json would not write them.
func TestRequestTimesText(t *testing.T) {
	base := with(requestClaims, "exp", absent{}, "software_statement", statement(t, ssaClaims))
	for name, value := range map[string]string{
		"exponent": "1.77237e9", "fraction": "1772370000.0", "string": `"1772370000"`, "list": "[1772370000]", "duplicate": `1772370000,"exp":1772370000`,
	} {
		payload := `{"exp":` + value + "," + jsonOf(base)[1:]
		_, err := VerifyRequest(context.Background(), []byte(signJWS(t, requestHeader, payload, "PS256", softwareKey())), rules(t), noon)
		t.Run(name, func(t *testing.T) { wantRefusal(t, err, refusal.InvalidClientMetadata, "exp") })
	}
}

// Cheapest and least trusting first: which refusal a doubly bad request gets
// shows the order, and no key is asked for before its turn.
func TestVerifyRequestOrder(t *testing.T) {
	good := statement(t, ssaClaims)
	body := func(header string, c claims, alg string) []byte {
		return []byte(signJWS(t, header, jsonOf(c), alg, softwareKey()))
	}
	forged := signJWS(t, ssaHeader, jsonOf(ssaClaims), "PS256", softwareKey())
	elsewhere := statement(t, with(ssaClaims, "software_jwks_endpoint", "https://10.0.0.1/keys"))
	for _, tc := range []struct {
		name  string
		raw   []byte
		kind  refusal.Kind
		word  string
		asked bool // for the software's keys
	}{
		{"not a JWS", []byte(jsonOf(requestClaims)), refusal.InvalidClientMetadata, "registration request is not a compact JWS", false},
		{"one dot", []byte("a.b"), refusal.InvalidClientMetadata, "three segments", false},
		{"nothing", nil, refusal.InvalidClientMetadata, "three segments", false},
		{"alg RS256", body(`{"alg":"RS256","kid":"tpp"}`, with(requestClaims, "software_statement", good), "RS256"), refusal.InvalidClientMetadata, "alg 'RS256'", false},
		{"no statement", body(requestHeader, requestClaims, "PS256"), refusal.InvalidSoftwareStatement, "software_statement: missing", false},
		{"statement an object", body(requestHeader, with(requestClaims, "software_statement", claims{}), "PS256"), refusal.InvalidSoftwareStatement, "software_statement: missing", false},
		{"statement null", body(requestHeader, with(requestClaims, "software_statement", nil), "PS256"), refusal.InvalidSoftwareStatement, "software_statement: missing", false},
		{"forged statement", body(requestHeader, with(requestClaims, "software_statement", forged), "PS256"), refusal.InvalidSoftwareStatement, "does not verify", false},
		{"statement over its cap", body(requestHeader, with(requestClaims, "software_statement", padded(t, MaxSoftwareStatement)+"A"), "PS256"), refusal.TooLarge, "software_statement", false},
		{"keys at another host", body(requestHeader, with(requestClaims, "software_statement", elsewhere), "PS256"), refusal.UnapprovedSoftwareStatement, "software_jwks_endpoint", true},
		{"no keys named", body(requestHeader, with(requestClaims, "software_statement", statement(t, with(ssaClaims, "software_jwks_endpoint", absent{}))), "PS256"), refusal.InvalidSoftwareStatement, "software_jwks_endpoint is missing", false},
		{"signed by the directory", []byte(signJWS(t, requestHeader, jsonOf(with(requestClaims, "software_statement", good, "exp", 1)), "PS256", directoryKey())), refusal.InvalidClientMetadata, "registration request has a signature", true},
		{"unknown kid", body(`{"alg":"PS256","kid":"x"}`, with(requestClaims, "software_statement", good), "PS256"), refusal.InvalidClientMetadata, "registration request is signed with a key that is not in the JWKS (kid 'x')", true},
		{"expired", body(requestHeader, with(requestClaims, "software_statement", good, "exp", 1), "PS256"), refusal.InvalidClientMetadata, "exp: expired", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, asked := rules(t), false
			keys := r.Issuers[1].SoftwareKeys
			r.Issuers[1].SoftwareKeys = func(endpoint string) (KeySource, error) {
				asked = true
				return keys(endpoint)
			}
			_, err := VerifyRequest(context.Background(), tc.raw, r, noon)
			wantRefusal(t, err, tc.kind, tc.word)
			if asked != tc.asked {
				t.Errorf("asked for the software's keys: %v", asked)
			}
		})
	}
}

func TestVerifyRequestKeys(t *testing.T) {
	raw := registration(t, requestClaims, with(ssaClaims, "software_jwks_endpoint", absent{}))
	t.Run("configured", func(t *testing.T) {
		r := rules(t)
		r.Keys = parseKeys(t, jwkOf(softwareKey().Public(), "kid", "tpp"))
		if got, err := VerifyRequest(context.Background(), raw, r, noon); err != nil || got.Unsigned {
			t.Errorf("got %+v, %v", got, err)
		}
	})
	t.Run("down", func(t *testing.T) {
		r := rules(t)
		r.Keys = &scriptedKeys{err: errors.New("down")}
		_, err := VerifyRequest(context.Background(), raw, r, noon)
		wantRefusal(t, err, refusal.Unavailable, "try again later")
	})
	t.Run("other algorithm configured", func(t *testing.T) {
		r := rules(t)
		r.Algorithms = []string{"ES256"}
		_, err := VerifyRequest(context.Background(), raw, r, noon)
		wantRefusal(t, err, refusal.InvalidClientMetadata, "alg 'PS256'; accepted are ES256")
	})
}
