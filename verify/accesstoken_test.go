package verify

import (
	"context"
	"crypto/elliptic"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

func TestBearerToken(t *testing.T) {
	longest := strings.Repeat("x", 8<<10)
	for _, tc := range []struct {
		name   string
		header []string
		want   string
		kind   refusal.Kind
	}{
		{"token", []string{"Bearer abc.DEF-_~+/="}, "abc.DEF-_~+/=", 0},
		{"lower case scheme", []string{"bearer abc"}, "abc", 0},
		{"capitals", []string{"BEARER abc"}, "abc", 0},
		{"more blanks", []string{"Bearer   abc"}, "abc", 0},
		{"longest", []string{"Bearer " + longest}, longest, 0},
		{"no header", nil, "", refusal.NoToken},
		{"too long", []string{"Bearer x" + longest}, "", refusal.InvalidToken},
		{"empty header", []string{""}, "", refusal.InvalidToken},
		{"scheme alone", []string{"Bearer"}, "", refusal.InvalidToken},
		{"empty token", []string{"Bearer "}, "", refusal.InvalidToken},
		{"Basic", []string{"Basic YTpi"}, "", refusal.InvalidToken},
		{"token without scheme", []string{"abc"}, "", refusal.InvalidToken},
		{"two headers", []string{"Bearer abc", "Bearer abc"}, "", refusal.InvalidToken},
		{"two in one header", []string{"Bearer abc, Bearer def"}, "", refusal.InvalidToken},
		{"two words", []string{"Bearer abc def"}, "", refusal.InvalidToken},
		{"tab", []string{"Bearer\tabc"}, "", refusal.InvalidToken},
		{"trailing blank", []string{"Bearer abc "}, "", refusal.InvalidToken},
		{"quotes", []string{`Bearer "abc"`}, "", refusal.InvalidToken},
		{"character outside b64token", []string{"Bearer abc!"}, "", refusal.InvalidToken},
		{"character inside that is outside b64token", []string{"Bearer a%b"}, "", refusal.InvalidToken},
		{"not ASCII", []string{"Bearer aéb"}, "", refusal.InvalidToken},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := BearerToken(tc.header)
			if tc.kind != 0 {
				wantRefusal(t, err, tc.kind, "access token", "Authorization: Bearer")
				return
			}
			if err != nil || got != tc.want {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

// Spellings that some AS takes for one token have a key in common.
func TestTokenKeys(t *testing.T) {
	jwt := b64([]byte(`{"alg":"PS256","typ":"at+jwt"}`)) + "." + b64([]byte(`{"jti":"6f1cb1f6-66e9-4f3e-9a51-a0d1ba8c3f20"}`))
	const opaque = "c29tZSByYW5kb20gYnl0ZXMgdGhhdCBubyBvdGhlciBoYXM" // 35 bytes: unused bits in the last character
	share := func(a, b AccessToken) bool {
		return slices.ContainsFunc(a.Keys(), func(k string) bool { return slices.Contains(b.Keys(), k) })
	}
	for name, pair := range map[string][2]AccessToken{
		"the same":                        {{Raw: "opaque"}, {Raw: "opaque"}},
		"another spelling of a signature": {{Raw: jwt + ".c2lnQQ"}, {Raw: jwt + ".c2lnQR"}},
		"the jti of a JWT":                {{Raw: jwt + ".c2lnQQ"}, {Raw: "6f1cb1f6-66e9-4f3e-9a51-a0d1ba8c3f20"}},
		"the jti that the AS says":        {{Raw: "one", ID: "id"}, {Raw: "another", ID: "id"}},
		"the tag of a JWE":                {{Raw: "eyJhbGciOiJkaXIifQ..aXYtb2YtMTI4LWJpdA.Y2lwaGVydGV4dA.dGFnQQ"}, {Raw: "eyJhbGciOiJkaXIifQ..aXYtb2YtMTI4LWJpdA.Y2lwaGVydGV4dA.dGFnQR"}},
		"another case":                    {{Raw: "AbCdEf"}, {Raw: "aBcDeF"}},
		"the last segment alone counts":   {{Raw: "ory_at_one." + opaque}, {Raw: "one." + opaque}},
		"padding":                         {{Raw: opaque}, {Raw: opaque + "="}},
		"unused bits":                     {{Raw: opaque}, {Raw: opaque[:len(opaque)-1] + "N"}},
	} {
		if !share(pair[0], pair[1]) {
			t.Errorf("%s: registers twice", name)
		}
	}
	different := []AccessToken{
		{Raw: jwt + ".c2lnQQ"}, {Raw: b64([]byte(`{"alg":"PS256","typ":"at+jwt"}`)) + ".e30.c2lnQQ"}, {Raw: opaque}, {Raw: "x" + opaque},
		{Raw: "v4.local.one"}, {Raw: "v4.local.two"}, {Raw: "0b2b0a5c-6f3e-4d0e-9d3b-1f9f4f6c2a11.one"}, {Raw: "0b2b0a5c-6f3e-4d0e-9d3b-1f9f4f6c2a11.two"},
		{Raw: "a.b"}, {Raw: "a.c"}, {Raw: "opaque"},
	}
	for i, a := range different {
		for _, b := range different[:i] {
			if share(a, b) {
				t.Errorf("%s and %s are taken for one token", a.Raw, b.Raw)
			}
		}
		for _, k := range a.Keys() {
			if len(k) != 64 {
				t.Errorf("%s: key %s is no hash", a.Raw, k)
			}
		}
	}
}

func TestEmptySegments(t *testing.T) {
	for _, raw := range []string{".", "a.", ".a", "a.b.c.", "a.b.c..", "a..c", "a..c.d.", "a.b..d.e"} {
		_, err := BearerToken([]string{"Bearer " + raw})
		wantRefusal(t, err, refusal.InvalidToken, "access token", "empty segment")
	}
	if _, err := BearerToken([]string{"Bearer a..c.d.e"}); err != nil {
		t.Errorf("a JWE with direct encryption: %v", err)
	}
}

func TestReadAccessToken(t *testing.T) {
	for _, tc := range []struct {
		name, claims string
		want         AccessToken
		refused      string
	}{
		{"all", `{"client_id":"c","azp":"a","sub":"s","aud":"z","scope":"x dcr_register","exp":1772366400,"cnf":{"x5t#S256":"t"}}`,
			AccessToken{ClientID: "c", Subject: "s", Scopes: []string{"x", "dcr_register"}, Expires: noon, Thumbprint: "t"}, ""},
		{"azp before sub", `{"azp":"a","sub":"s"}`, AccessToken{ClientID: "a", Subject: "s"}, ""},
		{"sub", `{"sub":"s"}`, AccessToken{ClientID: "s", Subject: "s"}, ""},
		{"never aud", `{"aud":"z"}`, AccessToken{}, ""},
		{"names in capitals", `{"CLIENT_ID":"c","Scope":"dcr_register"}`, AccessToken{}, ""},
		{"empty client_id", `{"client_id":"","sub":"s"}`, AccessToken{ClientID: "s", Subject: "s"}, ""},
		{"scope a list", `{"scope":["x","dcr_register"]}`, AccessToken{Scopes: []string{"x", "dcr_register"}}, ""},
		{"scope empty", `{"scope":""}`, AccessToken{}, ""},
		{"no-break space separates no scopes", `{"scope":"x\u00a0dcr_register"}`, AccessToken{Scopes: []string{"x\u00a0dcr_register"}}, ""},
		{"exp a string", `{"exp":"1772366400"}`, AccessToken{}, "exp"},
		{"exp with exponent", `{"exp":1.7723664e9}`, AccessToken{Expires: noon}, ""},
		{"exp with a fraction", `{"exp":1772366400.25}`, AccessToken{Expires: noon.Add(time.Second / 4)}, ""},
		{"null for everything", `{"client_id":null,"azp":null,"sub":null,"scope":null,"exp":null,"jti":null,"iat":null,"cnf":null}`, AccessToken{}, ""},
		{"client_id a number", `{"client_id":1,"sub":"s"}`, AccessToken{}, "client_id"},
		{"sub an object", `{"client_id":"c","sub":{}}`, AccessToken{}, "sub"},
		{"jti a number", `{"jti":1}`, AccessToken{}, "jti"},
		{"scope a number", `{"scope":1}`, AccessToken{}, "scope"},
		{"scope a mixed list", `{"scope":["dcr_register",1]}`, AccessToken{}, "scope"},
		{"cnf a string", `{"cnf":"t"}`, AccessToken{}, "cnf"},
		{"bound to a DPoP key", `{"cnf":{"jkt":"t"}}`, AccessToken{}, "bound to something else"},
		{"bound to nothing", `{"cnf":{}}`, AccessToken{}, ""},
		{"bound to null", `{"cnf":{"x5t#S256":null}}`, AccessToken{}, ""},
		{"bound to an empty thumbprint", `{"cnf":{"x5t#S256":""}}`, AccessToken{}, "cnf: x5t#S256 is empty"},
		{"thumbprint a number", `{"cnf":{"x5t#S256":1}}`, AccessToken{}, "cnf: x5t#S256 is a number"},
		{"thumbprint in another case", `{"cnf":{"x5t#s256":"t"}}`, AccessToken{}, "bound to something else"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ReadAccessToken("raw", objectOf(t, tc.claims))
			switch full := (*refusal.Error)(nil); {
			case errors.As(err, &full) && tc.refused == "bound to something else":
				wantRefusal(t, err, refusal.InvalidToken, tc.refused)
				return
			case tc.refused != "":
				if err == nil || errors.As(err, &full) || !strings.HasPrefix(err.Error(), tc.refused) {
					t.Errorf("got %v, want a plain error that begins with %q", err, tc.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			tc.want.Claims = got.Claims // as sent
			if tc.want.Raw = "raw"; len(got.Scopes) == 0 && len(tc.want.Scopes) == 0 {
				got.Scopes = nil
			}
			if !got.Expires.Equal(tc.want.Expires) {
				t.Errorf("expires %s", got.Expires)
			}
			if got.Expires = tc.want.Expires; !reflect.DeepEqual(*got, tc.want) {
				t.Errorf("got %+v, want %+v", *got, tc.want)
			}
		})
	}
}

func TestCheckRegistration(t *testing.T) {
	cert := &Certificate{Thumbprint: "t"}
	for _, tc := range []struct {
		name  string
		token AccessToken
		cert  *Certificate
		kind  refusal.Kind
		word  string
	}{
		{"good", AccessToken{Scopes: []string{"openid", "dcr_register"}, Expires: noon.Add(1)}, nil, 0, ""},
		{"without exp", AccessToken{Scopes: []string{"dcr_register"}}, nil, 0, ""},
		{"bound", AccessToken{Scopes: []string{"dcr_register"}, Thumbprint: "t"}, cert, 0, ""},
		{"unbound with certificate", AccessToken{Scopes: []string{"dcr_register"}}, cert, 0, ""},
		{"expires now", AccessToken{Scopes: []string{"dcr_register"}, Expires: noon}, nil, refusal.InvalidToken, "expired"},
		{"bound to another", AccessToken{Scopes: []string{"dcr_register"}, Thumbprint: "T"}, cert, refusal.InvalidToken, "another certificate"},
		{"bound, no certificate", AccessToken{Scopes: []string{"dcr_register"}, Thumbprint: "t"}, nil, refusal.InvalidToken, "another certificate"},
		{"no scope", AccessToken{}, nil, refusal.InsufficientScope, "dcr_register"},
		{"scope is a prefix", AccessToken{Scopes: []string{"dcr_register2", "xdcr_register", "DCR_REGISTER"}}, nil, refusal.InsufficientScope, "dcr_register"},
		{"expired and no scope", AccessToken{Expires: noon}, nil, refusal.InvalidToken, "expired"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := tc.token.CheckRegistration(tc.cert, noon)
			if tc.kind != 0 {
				wantRefusal(t, err, tc.kind, tc.word)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// Whatever is wrong, the answer is the same, byte for byte.
func TestCheckManagement(t *testing.T) {
	cert := &Certificate{Thumbprint: "t"}
	answer := *NotYours(nil)
	for _, tc := range []struct {
		name     string
		token    AccessToken
		clientID string
		ok       bool
	}{
		{"own", AccessToken{ClientID: "c"}, "c", true},
		{"own, sub is the client", AccessToken{ClientID: "c", Subject: "c", Thumbprint: "t"}, "c", true},
		{"another client's", AccessToken{ClientID: "d"}, "c", false},
		{"client id in another case", AccessToken{ClientID: "C"}, "c", false},
		{"a person's", AccessToken{ClientID: "c", Subject: "alice"}, "c", false},
		{"of nobody", AccessToken{}, "", false},
		{"of nobody, for a client", AccessToken{}, "c", false},
		{"expired", AccessToken{ClientID: "c", Expires: noon}, "c", false},
		{"bound to another certificate", AccessToken{ClientID: "c", Thumbprint: "u"}, "c", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := tc.token.CheckManagement(tc.clientID, cert, noon)
			if tc.ok {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantRefusal(t, err, refusal.InvalidToken, "client credentials token")
			if e := refusal.From(err); e.Cause == nil || e.Description != answer.Description || e.RuleName() != answer.RuleName() {
				t.Errorf("got %+v", e)
			}
		})
	}
}

func TestVerifyAccessToken(t *testing.T) {
	rules := TokenRules{Issuer: "https://bank.example", Keys: parseKeys(t, jwkOf(ecKey().Public(), "kid", "a"))}
	const header = `{"alg":"ES256","kid":"a","typ":"at+jwt"}`
	claims := func(more string) string {
		return `{"iss":"https://bank.example","client_id":"c","scope":"dcr_register","exp":` + fmt.Sprint(noon.Unix()+1) + more + `}`
	}
	for _, tc := range []struct {
		name, header, claims string
		change               func(*TokenRules)
		refused              string
	}{
		{"good", header, claims(""), nil, ""},
		{"application/at+jwt", `{"alg":"ES256","kid":"a","typ":"application/at+jwt"}`, claims(""), nil, ""},
		{"typ JWT", `{"alg":"ES256","kid":"a","typ":"JWT"}`, claims(""), nil, "not a token of this"},
		{"no typ", `{"alg":"ES256","kid":"a"}`, claims(""), nil, "not a token of this"},
		{"typ JWT that the operator named", `{"alg":"ES256","kid":"a","typ":"JWT"}`, claims(""), func(r *TokenRules) { r.Types = []string{"jwt"} }, ""},
		{"alg not in the list", header, claims(""), func(r *TokenRules) { r.Algorithms = []string{"PS256"} }, "not a token of this"},
		{"unknown kid", `{"alg":"ES256","kid":"b","typ":"at+jwt"}`, claims(""), nil, "not a token of this"},
		{"nonce", header, claims(`,"nonce":"n"`), nil, "an ID token"},
		{"at_hash", header, claims(`,"at_hash":"n"`), nil, "an ID token"},
		{"c_hash", header, claims(`,"c_hash":"n"`), nil, "an ID token"},
		{"auth_time", header, claims(`,"auth_time":1`), nil, "an ID token"},
		{"another issuer", header, strings.Replace(claims(""), "bank.example", "bank.example/", 1), nil, "another issuer"},
		{"no issuer", header, `{"exp":1772366401}`, nil, "another issuer"},
		{"audience string", header, claims(`,"aud":"x"`), func(r *TokenRules) { r.Audiences = []string{"y", "x"} }, ""},
		{"audience list", header, claims(`,"aud":["w","x"]`), func(r *TokenRules) { r.Audiences = []string{"y", "x"} }, ""},
		{"audience not looked at", header, claims(`,"aud":"z"`), nil, ""},
		{"another audience", header, claims(`,"aud":["xy"]`), func(r *TokenRules) { r.Audiences = []string{"x"} }, "another audience"},
		{"no audience", header, claims(""), func(r *TokenRules) { r.Audiences = []string{"x"} }, "without an audience"},
		{"no audience in the list", header, claims(`,"aud":[]`), func(r *TokenRules) { r.Audiences = []string{"x"} }, "another audience"},
		{"expires now", header, strings.Replace(claims(""), "401", "400", 1), nil, "expired"},
		{"no exp", header, `{"iss":"https://bank.example"}`, nil, "expired"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := rules
			if tc.change != nil {
				tc.change(&r)
			}
			raw := signJWS(t, tc.header, tc.claims, "ES256", ecKey())
			got, err := VerifyAccessToken(context.Background(), raw, &r, noon)
			if tc.refused != "" {
				wantRefusal(t, err, refusal.InvalidToken, tc.refused)
				return
			}
			if err != nil || got.Raw != raw || got.ClientID != "c" || !got.Expires.Equal(noon.Add(time.Second)) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	for name, c := range map[string]string{
		"cnf: x5t#S256 is a number, not a string":            claims(`,"cnf":{"x5t#S256":1}`),
		"cnf: x5t#S256 is empty":                             claims(`,"cnf":{"x5t#S256":""}`),
		"cnf is a string, not an object":                     claims(`,"cnf":"t"`),
		"aud is a number, not an array of strings":           claims(`,"aud":1`),
		"aud holds an object, not only strings":              claims(`,"aud":["x",{}]`),
		"iss is an object, not a string":                     `{"iss":{},"exp":1772366401}`,
		"sub is there more than once, with different values": claims(`,"sub":"a","sub":"b"`),
		"iat is there more than once, with different values": claims(`,"iat":1,"iat":2`),
		"exp is too large for a number of seconds":           strings.Replace(claims(""), "1772366401", "1e999", 1),
	} {
		t.Run(name, func(t *testing.T) {
			r := rules
			r.Audiences = []string{"x"}
			if !strings.HasPrefix(name, "aud") {
				c = strings.TrimSuffix(c, "}") + `,"aud":"x"}`
			}
			_, err := VerifyAccessToken(context.Background(), signJWS(t, header, c, "ES256", ecKey()), &r, noon)
			wantRefusal(t, err, refusal.Unavailable, "the authorization server's access token cannot be read")
			if cause := refusal.From(err).Cause; cause == nil || !strings.HasPrefix(cause.Error(), "a token of https://bank.example: "+name) {
				t.Errorf("cause: %v", cause)
			}
			// Nobody is believed before the signature is.
			_, err = VerifyAccessToken(context.Background(), signJWS(t, header, c, "ES256", curveKey(elliptic.P256())()), &r, noon)
			wantRefusal(t, err, refusal.InvalidToken, "not a token of this")
		})
	}
	t.Run("a member twice with one value, and one that nobody needs", func(t *testing.T) {
		raw := signJWS(t, header, claims(`,"client_id":"c","x":1,"x":2,"sub":null`), "ES256", ecKey())
		if got, err := VerifyAccessToken(context.Background(), raw, &rules, noon); err != nil || got.ClientID != "c" {
			t.Errorf("got %+v, %v", got, err)
		}
	})
	t.Run("bad signature", func(t *testing.T) {
		raw := signJWS(t, header, claims(""), "ES256", ecKey())
		_, err := VerifyAccessToken(context.Background(), raw[:strings.LastIndexByte(raw, '.')+1]+b64(make([]byte, 64)), &rules, noon)
		wantRefusal(t, err, refusal.InvalidToken, "not a token of this")
	})
	t.Run("no keys", func(t *testing.T) {
		r := rules
		r.Keys = &scriptedKeys{err: errors.New("down")}
		_, err := VerifyAccessToken(context.Background(), signJWS(t, header, claims(""), "ES256", ecKey()), &r, noon)
		wantRefusal(t, err, refusal.Unavailable, "try again later")
	})
}
