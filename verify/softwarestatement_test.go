package verify

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

type claims = map[string]any

// absent as a value takes a claim out.
type absent struct{}

// with is base with other values: name, value, name, value.
func with(base claims, pairs ...any) claims {
	out := maps.Clone(base)
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i].(string)] = pairs[i+1]
		if pairs[i+1] == (absent{}) {
			delete(out, pairs[i].(string))
		}
	}
	return out
}

// ssaClaims is a software statement of the Open Banking directory, shortened.
var ssaClaims = claims{
	"iss": "OpenBanking Ltd", "iat": noon.Unix() - 3600, "jti": "id12345685439487678",
	"software_id": "65d1f27c4aeA4549", "org_id": "0015800000jfQ9aAAE", "software_client_name": "Example TPP",
	"software_redirect_uris": []string{"https://tpp.example/cb", "https://tpp.example/cb2"},
	"software_roles":         []string{"AISP", "PISP"},
	"software_jwks_endpoint": "https://keystore.example/0015/65d1.jwks",
}

const ssaHeader = `{"alg":"PS256","kid":"dir","typ":"JWT"}`

func statement(t testing.TB, c claims) string {
	return signJWS(t, ssaHeader, jsonOf(c), "PS256", directoryKey())
}

// directories are the accepted issuers of the tests.
func directories(t testing.TB) []*Issuer {
	return []*Issuer{
		{Name: "Other Directory", Keys: parseKeys(t, jwkOf(ecKey().Public(), "kid", "dir"))},
		{Name: "OpenBanking Ltd", Keys: parseKeys(t, jwkOf(directoryKey().Public(), "kid", "dir"))},
	}
}

func TestVerifySoftwareStatement(t *testing.T) {
	raw := statement(t, ssaClaims)
	issuers := directories(t)
	s, err := VerifySoftwareStatement(context.Background(), []byte(raw), issuers, noon)
	if err != nil {
		t.Fatal(err)
	}
	got := []any{string(s.Raw), s.Issuer, s.SoftwareID, s.OrgID, s.ClientName, s.JWKSEndpoint, s.RedirectURIs, s.Roles, s.Issued.Unix()}
	want := []any{raw, issuers[1], "65d1f27c4aeA4549", "0015800000jfQ9aAAE", "Example TPP", "https://keystore.example/0015/65d1.jwks",
		[]string{"https://tpp.example/cb", "https://tpp.example/cb2"}, []string{"AISP", "PISP"}, noon.Unix() - 3600}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if string(s.Claims.AppendJSON(nil)) != jsonOf(ssaClaims) {
		t.Errorf("claims %s", s.Claims.AppendJSON(nil))
	}
}

func TestSoftwareStatementClaims(t *testing.T) {
	for _, tc := range []struct {
		name string
		ssa  claims
		word string // empty: accepted
	}{
		{"software_id missing", with(ssaClaims, "software_id", absent{}), "software_id is missing"},
		{"software_id empty", with(ssaClaims, "software_id", ""), "software_id is missing"},
		{"software_id a number", with(ssaClaims, "software_id", 1), "software_id is a number"},
		{"software_id in capitals", with(ssaClaims, "software_id", absent{}, "SOFTWARE_ID", "x"), "software_id is missing"},
		{"org_id missing", with(ssaClaims, "org_id", absent{}), "org_id is missing"},
		{"org_id null", with(ssaClaims, "org_id", nil), "org_id is missing"},
		{"software_client_name missing", with(ssaClaims, "software_client_name", absent{}), "software_client_name is missing"},
		{"jwks endpoint missing", with(ssaClaims, "software_jwks_endpoint", absent{}), ""},
		{"jwks endpoint a list", with(ssaClaims, "software_jwks_endpoint", []string{"x"}), "software_jwks_endpoint is an array"},
		{"redirect URIs missing", with(ssaClaims, "software_redirect_uris", absent{}), ""},
		{"redirect URIs a string", with(ssaClaims, "software_redirect_uris", "x"), "software_redirect_uris is a string"},
		{"redirect URIs mixed", with(ssaClaims, "software_redirect_uris", []any{"x", 1}), "software_redirect_uris holds a number"},
		{"roles missing", with(ssaClaims, "software_roles", absent{}), ""},
		{"roles a string", with(ssaClaims, "software_roles", "AISP"), "software_roles is a string"},
		{"iat missing", with(ssaClaims, "iat", absent{}), "iat is missing"},
		{"iat a string", with(ssaClaims, "iat", "1772366400"), "iat is a string, not a number of seconds"},
		{"iat Go's zero time", with(ssaClaims, "iat", -62135596800), "iat is before 1970"},
		{"iat with fraction", with(ssaClaims, "iat", 1772366400.5), ""},
		{"iat at the skew", with(ssaClaims, "iat", noon.Unix()+60), ""},
		{"iat beyond the skew", with(ssaClaims, "iat", noon.Unix()+61), "iat is in the future"},
		{"iat long ago", with(ssaClaims, "iat", 1), ""},
		{"exp absent", with(ssaClaims, "exp", absent{}), ""},
		{"exp in a second", with(ssaClaims, "exp", noon.Unix()+1), ""},
		{"exp now", with(ssaClaims, "exp", noon.Unix()), "expired at 2026-03-01T12:00:00Z"},
		{"exp null", with(ssaClaims, "exp", nil), ""},
		{"null for all that it need not say", with(ssaClaims, "exp", nil, "org_jwks_endpoint", nil, "software_jwks_revoked_endpoint", nil, "org_status", nil), ""},
		{"dates with a fraction", with(ssaClaims, "iat", json.RawMessage("1.7723663995e9"), "exp", json.RawMessage("1772366400.5")), ""},
		{"exp with a fraction, over", with(ssaClaims, "exp", json.RawMessage("1772366399.5")), "expired at 2026-03-01T11:59:59Z"},
		{"exp a string", with(ssaClaims, "exp", "1772366401"), "exp is a string, not a number of seconds"},
		{"unknown claims", with(ssaClaims, "x", claims{"y": 1}), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := VerifySoftwareStatement(context.Background(), []byte(statement(t, tc.ssa)), directories(t), noon)
			if tc.word != "" {
				wantRefusal(t, err, refusal.InvalidSoftwareStatement, "software_statement: "+tc.word)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSoftwareStatementMaxAge(t *testing.T) {
	for name, tc := range map[string]struct {
		age, most time.Duration
		refused   bool
	}{
		"no limit":     {365 * 24 * time.Hour, 0, false},
		"at the limit": {time.Hour, time.Hour, false},
		"older":        {time.Hour + time.Second, time.Hour, true},
	} {
		issuers := directories(t)
		issuers[1].MaxAge = tc.most
		_, err := VerifySoftwareStatement(context.Background(), []byte(statement(t, with(ssaClaims, "iat", noon.Add(-tc.age).Unix()))), issuers, noon)
		if tc.refused {
			wantRefusal(t, err, refusal.InvalidSoftwareStatement, "issued at 2026-03-01T10:59:59Z", "1h0m0s")
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Its iss, unverified, selects one configured issuer and nothing else.
func TestSoftwareStatementTrust(t *testing.T) {
	good := jsonOf(ssaClaims)
	named := func(iss any) string { return jsonOf(with(ssaClaims, "iss", iss)) }
	down := errors.New("down")
	for _, tc := range []struct {
		name   string
		raw    string
		change func([]*Issuer)
		kind   refusal.Kind
		word   string
	}{
		{"empty", "", nil, refusal.InvalidSoftwareStatement, "not a compact JWS"},
		{"an object", good, nil, refusal.InvalidSoftwareStatement, "not a compact JWS"},
		{"one dot", "a.b", nil, refusal.InvalidSoftwareStatement, "not a compact JWS"},
		{"at+jwt", signJWS(t, `{"alg":"PS256","kid":"dir","typ":"at+jwt"}`, good, "PS256", directoryKey()), nil, refusal.InvalidSoftwareStatement, "another kind of token"},
		{"jku", signJWS(t, `{"alg":"PS256","kid":"dir","jku":"https://evil.example"}`, good, "PS256", directoryKey()), nil, refusal.InvalidSoftwareStatement, "'jku'"},
		{"alg none", b64(`{"alg":"none"}`) + "." + b64(good) + "." + b64("x"), nil, refusal.InvalidSoftwareStatement, "alg 'none'"},
		{"alg RS256", signJWS(t, `{"alg":"RS256","kid":"dir"}`, good, "RS256", directoryKey()), nil, refusal.InvalidSoftwareStatement, "has alg 'RS256'; accepted are PS256, ES256"},
		{"alg of another issuer", signJWS(t, `{"alg":"RS256","kid":"dir"}`, good, "RS256", directoryKey()), func(i []*Issuer) { i[0].Algorithms = []string{"RS256"} }, refusal.InvalidSoftwareStatement, "alg 'RS256'; this issuer signs with PS256, ES256"},
		{"alg of the issuer's list", signJWS(t, `{"alg":"RS256","kid":"dir"}`, good, "RS256", directoryKey()), func(i []*Issuer) { i[1].Algorithms = []string{"RS256"} }, 0, ""},
		{"alg of another issuer's list", signJWS(t, `{"alg":"RS256","kid":"dir"}`, good, "RS256", directoryKey()), func(i []*Issuer) { i[0].Algorithms = []string{"RS256"} }, refusal.InvalidSoftwareStatement, "signs with"},
		{"alg not in the issuer's list", signJWS(t, ssaHeader, good, "PS256", directoryKey()), func(i []*Issuer) { i[1].Algorithms = []string{"ES256"} }, refusal.InvalidSoftwareStatement, "signs with ES256"},
		{"unknown issuer", signJWS(t, ssaHeader, named("Evil"), "PS256", directoryKey()), nil, refusal.UnapprovedSoftwareStatement, "'Evil'"},
		{"issuer in another case", signJWS(t, ssaHeader, named("openbanking ltd"), "PS256", directoryKey()), nil, refusal.UnapprovedSoftwareStatement, "issuer"},
		{"no issuer", signJWS(t, ssaHeader, jsonOf(with(ssaClaims, "iss", absent{})), "PS256", directoryKey()), nil, refusal.UnapprovedSoftwareStatement, "it names no issuer (iss)"},
		{"no issuer, and one without name", signJWS(t, ssaHeader, named(""), "PS256", directoryKey()), func(i []*Issuer) { i[1].Name = "" }, refusal.UnapprovedSoftwareStatement, "it names no issuer (iss)"},
		{"issuer a list", signJWS(t, ssaHeader, named([]string{"OpenBanking Ltd"}), "PS256", directoryKey()), nil, refusal.InvalidSoftwareStatement, "iss is an array"},
		{"key of another issuer", signJWS(t, `{"alg":"ES256","kid":"dir"}`, good, "ES256", ecKey()), nil, refusal.InvalidSoftwareStatement, "does not fit"},
		{"issuer of another key", signJWS(t, ssaHeader, named("Other Directory"), "PS256", directoryKey()), nil, refusal.InvalidSoftwareStatement, "does not fit"},
		{"signed by the software", signJWS(t, ssaHeader, good, "PS256", softwareKey()), nil, refusal.InvalidSoftwareStatement, "does not verify"},
		{"unknown kid", signJWS(t, `{"alg":"PS256","kid":"x"}`, good, "PS256", directoryKey()), nil, refusal.InvalidSoftwareStatement, "not in the JWKS"},
		{"directory down", statement(t, ssaClaims), func(i []*Issuer) { i[1].Keys = &scriptedKeys{err: down} }, refusal.Unavailable, "try again later"},
		{"at the size cap", padded(t, MaxSoftwareStatement), nil, 0, ""},
		{"over the size cap", padded(t, MaxSoftwareStatement) + "A", nil, refusal.TooLarge, "32769 bytes, at most 32768"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			issuers := directories(t)
			if tc.change != nil {
				tc.change(issuers)
			}
			_, err := VerifySoftwareStatement(context.Background(), []byte(tc.raw), issuers, noon)
			if tc.kind == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantRefusal(t, err, tc.kind, tc.word)
		})
	}
}

// padded is a good statement of exactly this length.
func padded(t testing.TB, length int) string {
	t.Helper()
	for n := (length - 2000) / 4 * 3; ; n++ {
		raw := statement(t, with(ssaClaims, "x", strings.Repeat("x", n)))
		switch missing := length - len(raw); {
		case missing == 0:
			return raw
		case missing < 0:
			t.Fatalf("no statement of %d bytes", length)
		case missing > 8:
			n += missing/4*3 - 4
		}
	}
}
