package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

var assertionClaims = claims{
	"iss": "c", "sub": "c", "aud": "https://bank.example", "jti": "a-1", "iat": noon.Unix(), "exp": noon.Unix() + 60,
}

const assertionHeader = `{"alg":"PS256","kid":"tpp"}`

// assertion is what the client c sends with a signed assertion.
func assertion(t testing.TB, header string, c claims) *ClientAuthentication {
	t.Helper()
	return sent(t, AssertionType, signJWS(t, header, jsonOf(c), "PS256", softwareKey()))
}

func sent(t testing.TB, kind, text string) *ClientAuthentication {
	t.Helper()
	who, err := ReadClientAuthentication(nil, "", "client_assertion_type="+url.QueryEscape(kind)+"&client_assertion="+text)
	if err != nil {
		t.Fatal(err)
	}
	return who
}

func assertionRules(t testing.TB) *AssertionRules {
	return &AssertionRules{
		ClientID: "c", Issuer: "https://bank.example", Audiences: []string{"https://bank.example/token"},
		Keys: parseKeys(t, jwkOf(softwareKey().Public(), "kid", "tpp")),
	}
}

func TestVerifyClientAssertion(t *testing.T) {
	now := noon.Unix()
	for name, c := range map[string]claims{
		"issuer":             assertionClaims,
		"endpoint":           with(assertionClaims, "aud", "https://bank.example/token"),
		"a list":             with(assertionClaims, "aud", []string{"https://bank.example/token", "https://bank.example"}),
		"without iat":        with(assertionClaims, "iat", absent{}),
		"half an hour":       with(assertionClaims, "exp", now+1800),
		"an hour":            with(assertionClaims, "exp", now+3600),
		"a clock of its own": with(assertionClaims, "iat", now+60, "nbf", now+60, "exp", now+3660),
		"last second":        with(assertionClaims, "exp", now+1),
	} {
		t.Run(name, func(t *testing.T) {
			a, err := assertion(t, assertionHeader, c).VerifyClientAssertion(t.Context(), assertionRules(t), noon)
			if err != nil {
				t.Fatal(err)
			}
			if a.JTI != "a-1" || a.Expires.Unix() != c["exp"].(int64) {
				t.Errorf("got %+v", a)
			}
		})
	}
	t.Run("without kid", func(t *testing.T) {
		rules := assertionRules(t)
		rules.Keys = parseKeys(t, jwkOf(ecKey().Public(), "kid", "b"), jwkOf(softwareKey().Public(), "kid", "tpp"))
		if _, err := assertion(t, `{"alg":"PS256"}`, assertionClaims).VerifyClientAssertion(t.Context(), rules, noon); err != nil {
			t.Error(err)
		}
	})
}

// TestTypedClientAssertion: RFC 10070 has a typ, and with that the issuer as the only aud;
// without the typ the endpoints count as before, unless the operator takes them away.
func TestTypedClientAssertion(t *testing.T) {
	const issuer, endpoint = "https://bank.example", "https://bank.example/token"
	for _, tc := range []struct {
		typ        string // JSON, empty for none
		aud        any
		issuerOnly bool
		form       AssertionForm // empty: refused
		word       string
	}{
		{`"client-authentication+jwt"`, issuer, false, AssertionTyped, ""},
		{`"client-authentication+jwt"`, []string{issuer}, true, AssertionTyped, ""},
		{`"application/client-authentication+jwt"`, issuer, false, AssertionTyped, ""},
		{`"Client-Authentication+JWT"`, issuer, false, AssertionTyped, ""},
		{`"client-authentication+jwt"`, endpoint, false, "", "with this typ send the issuer 'https://bank.example' alone"},
		{`"APPLICATION/Client-Authentication+jwt"`, endpoint, false, "", "with this typ"},
		{`"client-authentication+jwt"`, []string{issuer, endpoint}, false, "", "with this typ"},
		{`"client-authentication+jwt"`, []string{issuer, issuer}, false, "", "with this typ"},
		{`"client-authentication+jwt"`, []string{}, false, "", "with this typ"},
		{`"client-authentication+jwt"`, absent{}, false, "", "with this typ"},
		{"", issuer, false, AssertionIssuer, ""},
		{`"JWT"`, []string{issuer}, true, AssertionIssuer, ""},
		{"", endpoint, false, AssertionEndpoint, ""},
		{`"JWT"`, []string{endpoint, issuer}, false, AssertionEndpoint, ""},
		{"", endpoint, true, "", "send the issuer 'https://bank.example' alone"},
		{`"application/jwt"`, []string{endpoint, issuer}, true, "", "alone"},
		{"", absent{}, true, "", "no aud"},
	} {
		header := assertionHeader
		if tc.typ != "" {
			header = `{"alg":"PS256","kid":"tpp","typ":` + tc.typ + "}"
		}
		who := assertion(t, header, with(assertionClaims, "aud", tc.aud))
		rules := assertionRules(t)
		if tc.issuerOnly {
			rules.Audiences = nil
		}
		here, err := who.VerifyClientAssertion(t.Context(), rules, noon)
		form, atTheAS := who.CheckAssertionAudience(issuer, tc.issuerOnly)
		if tc.form == "" {
			wantRefusal(t, err, refusal.InvalidClient, tc.word)
			wantRefusal(t, atTheAS, refusal.InvalidClient, tc.word)
			continue
		}
		if err != nil || atTheAS != nil || here.Form != tc.form || form != tc.form {
			t.Errorf("typ %s and aud %v: %+v, %v; at the AS %q, %v", tc.typ, tc.aud, here, err, form, atTheAS)
		}
	}
}

func TestVerifyClientAssertionRefuses(t *testing.T) {
	now := noon.Unix()
	noKeys := &scriptedKeys{err: errors.New("down")}
	other := parseKeys(t, jwkOf(ecKey().Public(), "kid", "other"))
	for _, tc := range []struct {
		name   string
		who    *ClientAuthentication
		change func(*AssertionRules)
		kind   refusal.Kind
		word   string
	}{
		{"another type", sent(t, "urn:ietf:params:oauth:client-assertion-type:saml2-bearer", assertionOf(`{"sub":"c"}`)), nil, refusal.MalformedRequest, "client_assertion_type"},
		{"no type", sent(t, "", assertionOf(`{"sub":"c"}`)), nil, refusal.MalformedRequest, "client_assertion_type"},
		{"alg none", sent(t, AssertionType, b64(`{"alg":"none"}`)+"."+b64(jsonOf(assertionClaims))+"."+b64("s")), nil, refusal.InvalidClient, "alg 'none'"},
		{"an alg that the client did not register", assertion(t, assertionHeader, assertionClaims), func(r *AssertionRules) { r.Algorithms = []string{"ES256"} }, refusal.InvalidClient, "accepted are ES256"},
		{"key in the header", assertion(t, `{"alg":"PS256","kid":"tpp","jku":"https://evil.example"}`, assertionClaims), nil, refusal.InvalidClient, "jku"},
		{"crit", assertion(t, `{"alg":"PS256","kid":"tpp","crit":["exp"]}`, assertionClaims), nil, refusal.InvalidClient, "crit"},
		{"a request object", assertion(t, `{"alg":"PS256","kid":"tpp","typ":"oauth-authz-req+jwt"}`, assertionClaims), nil, refusal.InvalidClient, "another kind of token"},
		{"unknown kid", assertion(t, `{"alg":"PS256","kid":"x"}`, assertionClaims), nil, refusal.InvalidClient, "not in the JWKS"},
		{"another software's key", assertion(t, `{"alg":"PS256"}`, assertionClaims), func(r *AssertionRules) { r.Keys = other }, refusal.InvalidClient, "JWKS"},
		{"a key for encryption", assertion(t, assertionHeader, assertionClaims), func(r *AssertionRules) {
			r.Keys = parseKeys(t, jwkOf(softwareKey().Public(), "kid", "tpp", "use", "enc"))
		}, refusal.InvalidClient, "use"},
		{"changed signature", sent(t, AssertionType, assertionOf(jsonOf(assertionClaims))), nil, refusal.InvalidClient, "signature"},
		{"no keys", assertion(t, assertionHeader, assertionClaims), func(r *AssertionRules) { r.Keys = noKeys }, refusal.Unavailable, "cannot be fetched"},
		{"a revoked key", assertion(t, assertionHeader, assertionClaims), func(r *AssertionRules) { r.Revoked = r.Keys }, refusal.InvalidClient, "revoked"},
		{"no list of revoked keys", assertion(t, assertionHeader, assertionClaims), func(r *AssertionRules) { r.Revoked = noKeys }, refusal.Unavailable, "revoked"},
		{"another client's", assertion(t, assertionHeader, with(assertionClaims, "sub", "d", "iss", "d")), nil, refusal.InvalidClient, "another iss"},
		{"no iss", assertion(t, assertionHeader, with(assertionClaims, "iss", absent{})), nil, refusal.InvalidClient, "another iss"},
		{"aud of another server", assertion(t, assertionHeader, with(assertionClaims, "aud", "https://bank.example.evil")), nil, refusal.InvalidClient, "aud"},
		{"aud with a slash more", assertion(t, assertionHeader, with(assertionClaims, "aud", "https://bank.example/")), nil, refusal.InvalidClient, "aud"},
		{"aud of another server too", assertion(t, assertionHeader, with(assertionClaims, "aud", []string{"https://bank.example", "https://other.example"})), nil, refusal.InvalidClient, "alone"},
		{"no aud in a list", assertion(t, assertionHeader, with(assertionClaims, "aud", []string{})), nil, refusal.InvalidClient, "aud"},
		{"no aud", assertion(t, assertionHeader, with(assertionClaims, "aud", absent{})), nil, refusal.InvalidClient, "aud"},
		{"aud of another type", assertion(t, assertionHeader, with(assertionClaims, "aud", 1)), nil, refusal.InvalidClient, "aud"},
		{"no jti", assertion(t, assertionHeader, with(assertionClaims, "jti", absent{})), nil, refusal.InvalidClient, "jti"},
		{"empty jti", assertion(t, assertionHeader, with(assertionClaims, "jti", "")), nil, refusal.InvalidClient, "jti"},
		{"no exp", assertion(t, assertionHeader, with(assertionClaims, "exp", absent{})), nil, refusal.InvalidClient, "no exp"},
		{"exp as text", assertion(t, assertionHeader, with(assertionClaims, "exp", "1")), nil, refusal.InvalidClient, "exp"},
		{"expired", assertion(t, assertionHeader, with(assertionClaims, "exp", now)), nil, refusal.InvalidClient, "expired"},
		{"too long", assertion(t, assertionHeader, with(assertionClaims, "exp", now+3661)), nil, refusal.InvalidClient, "more than 1h0m0s ahead"},
		{"iat ahead", assertion(t, assertionHeader, with(assertionClaims, "iat", now+61)), nil, refusal.InvalidClient, "iat"},
		{"nbf ahead", assertion(t, assertionHeader, with(assertionClaims, "nbf", now+61)), nil, refusal.InvalidClient, "nbf"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rules := assertionRules(t)
			if tc.change != nil {
				tc.change(rules)
			}
			a, err := tc.who.VerifyClientAssertion(context.Background(), rules, noon)
			if err == nil {
				t.Fatalf("verified as %+v", a)
			}
			wantRefusal(t, err, tc.kind, tc.word)
		})
	}
}

// The skew is the operator's.
func TestAssertionSkew(t *testing.T) {
	rules := assertionRules(t)
	rules.Skew = time.Second
	_, err := assertion(t, assertionHeader, with(assertionClaims, "iat", noon.Unix()+2)).VerifyClientAssertion(t.Context(), rules, noon)
	wantRefusal(t, err, refusal.InvalidClient, "iat")
}

func TestWithoutCredentials(t *testing.T) {
	for _, tc := range []struct{ form, credentials, clientID string }{
		{"", "", ""},
		{"grant_type=client_credentials&scope=", "grant_type=client_credentials&scope=", "grant_type=client_credentials&scope="},
		{"client_id=c&x=1", "client_id=c&x=1", "x=1"},
		{"client_assertion=a.b.c&client_assertion_type=t&client_id=c&scope=a+b%20c", "client_id=c&scope=a+b%20c", "client_assertion=a.b.c&client_assertion_type=t&scope=a+b%20c"},
		{"x=1&client%5Fassertion=a&&y=2&client_secret", "x=1&&y=2", "x=1&client%5Fassertion=a&&y=2&client_secret"},
		{"clien%74_id=c&z", "clien%74_id=c&z", "z"},
		{"my_client_assertion=1&client_assertion_types=2", "my_client_assertion=1&client_assertion_types=2", "my_client_assertion=1&client_assertion_types=2"},
	} {
		if got := WithoutCredentials(tc.form); got != tc.credentials {
			t.Errorf("%q without credentials is %q, want %q", tc.form, got, tc.credentials)
		}
		if got := WithoutClientID(tc.form); got != tc.clientID {
			t.Errorf("%q without client_id is %q, want %q", tc.form, got, tc.clientID)
		}
	}
}

func TestWithoutEmpty(t *testing.T) {
	for form, want := range map[string]string{
		"":                           "",
		"client_id=c&client_secret=": "client_id=c",
		"client_assertion=&client_assertion_type=&client_id=c&scope=&x": "client_id=c&scope=&x",
		"client_secret&client%5Fid=&a=1":                                "a=1",
		"client_secret=+&client_id=0&client_secret=":                    "client_secret=+&client_id=0",
	} {
		if got := WithoutEmpty(form); got != want {
			t.Errorf("%q without empty credentials is %q, want %q", form, got, want)
		}
	}
}

// What is left of a form is what was there, in order, without credentials.
func FuzzWithoutCredentials(f *testing.F) {
	for _, seed := range []string{"", "a=b&client_assertion=x&c", "client%5fsecret=1&&client_id=2", "%zz=1&client_assertion_type", "a;client_secret=b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, form string) {
		before, err := url.ParseQuery(form)
		if err != nil {
			return // the guard refuses it
		}
		rest := WithoutCredentials(form)
		after, err := url.ParseQuery(rest)
		if err != nil {
			t.Fatalf("%q became %q: %v", form, rest, err)
		}
		for _, name := range credentials[1:] {
			if after.Has(name) {
				t.Fatalf("%q became %q, with %s", form, rest, name)
			}
			delete(before, name)
		}
		if before.Encode() != after.Encode() {
			t.Fatalf("%q became %q", form, rest)
		}
		pairs := strings.Split(form, "&")
		for pair := range strings.SplitSeq(rest, "&") {
			for len(pairs) > 0 && pairs[0] != pair {
				pairs = pairs[1:]
			}
			if len(pairs) == 0 && rest != "" {
				t.Fatalf("%q became %q, in another order or with other bytes", form, rest)
			}
		}
	})
}

// TestAssertionOfTheEpochsSecond: an epoch is whole seconds, so that a fraction of its last
// one is not later.
func TestAssertionOfTheEpochsSecond(t *testing.T) {
	rules := assertionRules(t)
	rules.Epoch = epoch
	for _, fraction := range []string{"", ".5", ".999999999"} {
		c := with(assertionClaims, "iat", json.RawMessage(fmt.Sprintf("%d%s", epoch.Unix(), fraction)))
		_, err := assertion(t, assertionHeader, c).VerifyClientAssertion(t.Context(), rules, noon)
		wantRefusal(t, err, refusal.InvalidClient, "may have been used before")
	}
	c := with(assertionClaims, "iat", epoch.Unix()+1)
	if _, err := assertion(t, assertionHeader, c).VerifyClientAssertion(t.Context(), rules, noon); err != nil {
		t.Errorf("a second later: %v", err)
	}
}
