package verify

import (
	"context"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// Which key is meant: the one of exactly this kid, or without a kid the one that
// verifies of few.
func TestKeyByKid(t *testing.T) {
	kid := func(text string) func(t *testing.T, d entryPoint) string { // JSON text of the kid, "" for none
		return func(t *testing.T, d entryPoint) string {
			if text == "" {
				return d.sign(t, `{"alg":"PS256"}`, d.payload)
			}
			return d.sign(t, `{"alg":"PS256","kid":`+text+`}`, d.payload)
		}
	}
	named := func(list ...string) func(d entryPoint) []string { // the entry point's key under each kid
		return func(d entryPoint) (jwks []string) {
			for _, id := range list {
				jwks = append(jwks, d.jwk("kid", id))
			}
			return jwks
		}
	}
	other := jwkOf(rsaKey(2048)().Public(), "kid", "x")
	huge := strings.Repeat("k", 10_000)
	runAttacks(t, []attack{
		{name: "missing, one key", make: kid("")},
		{name: "missing, another beside it", make: kid(""), jwks: func(d entryPoint) []string { return []string{other, d.jwk()} }},
		{name: "missing, the key twice", make: kid(""), jwks: named("a", "b")},
		{name: "missing, the same JWK many times", make: kid(""), jwks: func(d entryPoint) []string { return repeat(50, d.jwk()) }},
		{name: "the same JWK twice", make: kid(`"a"`), jwks: named("a", "a")},
		{name: "the same JWK many times", make: kid(`"a"`), jwks: func(d entryPoint) []string { return repeat(50, d.jwk("kid", "a")) }},
		{name: "missing, not there", make: kid(""), jwks: func(entryPoint) []string { return []string{other} }, want: "does not verify"},
		{name: "missing, nine keys", make: kid(""), jwks: func(d entryPoint) []string { return append(keysOf(t, 8, ""), d.jwk()) }, want: "more than 8 keys"},
		{name: "nine keys of one kid", make: kid(`"a"`), jwks: func(d entryPoint) []string { return append(keysOf(t, 8, "a"), d.jwk("kid", "a")) }, want: "names kid 'a', which more keys of the JWKS have than are tried"},
		{name: "eight keys of one kid", make: kid(`"a"`), jwks: func(d entryPoint) []string { return append(keysOf(t, 7, "a"), d.jwk("kid", "a")) }},
		{name: "large keys of one kid", make: kid(`"a"`), jwks: func(d entryPoint) []string {
			return append(repeat(1, d.jwk("kid", "a")), jwkOf(&rsa.PublicKey{N: oddNumber(t, 8192), E: 65537}, "kid", "a"), jwkOf(&rsa.PublicKey{N: oddNumber(t, 8190), E: 65537}, "kid", "a"))
		}, want: "names kid 'a', which more keys"},
		{name: "empty is missing", make: kid(`""`)},
		{name: "empty does not name a key without", make: kid(`""`), jwks: func(d entryPoint) []string { return []string{jwkOf(d.key.Public()), other} }},
		{name: "unknown", make: kid(`"nobody"`), want: "not in the JWKS (kid 'nobody')"},
		{name: "of another key", make: kid(`"x"`), jwks: func(d entryPoint) []string { return []string{other, d.jwk()} }, want: "does not verify"},
		{name: "of two keys", make: kid(`"a"`), jwks: func(d entryPoint) []string {
			return []string{strings.Replace(other, `"x"`, `"a"`, 1), d.jwk("kid", "a")}
		}},
		{name: "of two keys, neither signed", make: kid(`"x"`), jwks: func(d entryPoint) []string {
			return []string{other, strings.Replace(other, `"AQAB"`, `"Aw"`, 1), d.jwk("kid", "a")}
		}, want: "does not verify"},
		{name: "of two keys for two algorithms", make: kid(`"a"`), jwks: func(d entryPoint) []string {
			return []string{jwkOf(ecKey().Public(), "kid", "a", "alg", "ES256"), d.jwk("kid", "a", "alg", "RS256"), d.jwk("kid", "a", "alg", "PS256")}
		}},
		{name: "of a transport and a signing key", make: kid(`"a"`), jwks: func(d entryPoint) []string {
			return []string{jwkOf(rsaKey(2048)().Public(), "kid", "a", "use", "tls"), d.jwk("kid", "a", "use", "sig")}
		}},
		{name: "of two, one for encryption", make: kid(`"a"`), jwks: func(d entryPoint) []string {
			return []string{d.jwk("kid", "a", "use", "enc"), d.jwk("kid", "a", "use", "sig")}
		}},
		{name: "in another case", make: kid(`"A"`), jwks: named("a"), want: "not in the JWKS"},
		{name: "with a blank", make: kid(`"a "`), jwks: named("a"), want: "not in the JWKS"},
		{name: "escaped is the same", make: kid(`"\u0061"`), jwks: named("a")},
		{name: "in another normal form", make: kid(`"e\u0301"`), jwks: named("é"), want: "not in the JWKS"},
		{name: "with NUL", make: kid(`"a\u0000"`), jwks: named("a"), want: "not in the JWKS"},
		{name: "with line end", make: kid(`"x\r\nSet-Cookie: y"`), want: "not in the JWKS"},
		{name: "with escape sequence", make: kid(`"\u001b[2J"`), want: "not in the JWKS"},
		{name: "with quotes", make: kid(`"\"},\"alg\":\"none"`), want: "not in the JWKS"},
		{name: "a path", make: kid(`"../../dev/null"`), want: "not in the JWKS"},
		{name: "a URL", make: kid(`"https://evil.example/keys"`), want: "not in the JWKS"},
		{name: "SQL", make: kid(`"x' UNION SELECT 'secret"`), want: "not in the JWKS"},
		{name: "huge", make: kid(`"` + huge + `"`), want: "not in the JWKS (kid 'kkk"},
		{name: "huge and known", make: kid(`"` + huge + `"`), jwks: named(huge)},
		{name: "right to left", make: kid(`"\u202ea"`), jwks: named("a"), want: "not in the JWKS"},
		{name: "a number", make: kid(`1`), jwks: named("1"), want: "kid that is a number"},
		{name: "null", make: kid(`null`), want: "kid that is null"},
		{name: "a list", make: kid(`["a"]`), jwks: named("a"), want: "kid that is an array"},
		{name: "an object", make: kid(`{"a":1}`), want: "kid that is an object"},
	})
}

// keysOf are different keys that fit, each of this kid.
func keysOf(t *testing.T, n int, kid string) (jwks []string) {
	for range n {
		jwks = append(jwks, jwkOf(&rsa.PublicKey{N: oddNumber(t, 2048), E: 65537}, "kid", kid))
	}
	return jwks
}

// Keys that no set should hold, where the TPP or the directory publishes them: the
// set as a whole is unusable, or the key is not there.
func TestKeyOfKeySet(t *testing.T) {
	point := func(d entryPoint, x, y []byte) string {
		return jwkOf(ecKey().Public(), "kid", d.kid, "x", b64(x), "y", b64(y))
	}
	signedByEC := func(t *testing.T, d entryPoint) string {
		return signJWS(t, `{"alg":"ES256","kid":"`+d.kid+`"}`, d.payload, "ES256", ecKey())
	}
	good := func(t *testing.T, d entryPoint) string { return d.sign(t, d.header(), d.payload) }
	beside := jwkOf(rsaKey(2048)().Public(), "kid", "x") // or the set would have no key at all
	exponent := func(e string) func(d entryPoint) []string {
		return func(d entryPoint) []string { return []string{beside, strings.Replace(d.jwk(), `"AQAB"`, `"`+e+`"`, 1)} }
	}
	runAttacks(t, []attack{
		{name: "exponent 1", make: good, jwks: exponent("AQ"), want: "not in the JWKS"},
		{name: "exponent 2", make: good, jwks: exponent("Ag"), want: "not in the JWKS"},
		{name: "even exponent", make: good, jwks: exponent("AQAA"), want: "not in the JWKS"},
		{name: "huge exponent that ends like the right one", make: good, jwks: exponent("AQAAAAAAAAABAAE"), want: "not in the JWKS"},
		{name: "modulus of no bits", make: good, want: "RSA key of 0 bits", jwks: func(d entryPoint) []string {
			return []string{`{"kty":"RSA","kid":"` + d.kid + `","e":"AQAB","n":""}`}
		}},
		{name: "point off the curve", make: signedByEC, want: "not in the JWKS", jwks: func(d entryPoint) []string {
			y := make([]byte, 32)
			y[31] = 1
			return []string{beside, point(d, y, y)}
		}},
		{name: "point at infinity", make: signedByEC, want: "not in the JWKS", jwks: func(d entryPoint) []string {
			return []string{beside, point(d, make([]byte, 32), make([]byte, 32))}
		}},
		{name: "coordinates of the field's size", make: signedByEC, want: "not in the JWKS", jwks: func(d entryPoint) []string {
			p := elliptic.P256().Params().P.Bytes()
			return []string{beside, point(d, p, p)}
		}},
		{name: "curve of another name", make: signedByEC, want: "not in the JWKS", jwks: func(d entryPoint) []string {
			return []string{beside, jwkOf(ecKey().Public(), "kid", d.kid, "crv", "P-384")}
		}},
		{name: "kty in another case", make: good, want: "not in the JWKS", jwks: func(d entryPoint) []string {
			return []string{beside, d.jwk("kty", "rsa")}
		}},
	})
}

// A set that cannot be used is no key: the answer is that the keys cannot be had now, and
// never that the signature is bad. Where the sender keeps the set, and it was read whole,
// the answer says what is wrong with it.
func TestUnusableKeySets(t *testing.T) {
	private := `{"kty":"RSA","kid":"%s","e":"AQAB","n":"` + b64(make([]byte, 256)) + `","d":"AQAB"}`
	whole := map[string]string{
		"a private key": "it holds a private or symmetric key; publish public keys only", "its own private key": "it holds a private", "a symmetric key": "it holds a private",
		"a hundred and one": "it has 101 keys, at most 100 are read", "nothing": "it is empty; publish a public key", "a use of wrong type": "kid 'tpp': use is a number, not a string; publish",
	}
	for name, set := range map[string]func(d entryPoint) string{
		"a use of wrong type": func(d entryPoint) string { return jwkSet(`{"use":1,` + d.jwk()[1:]) },
		"a private key":       func(d entryPoint) string { return jwkSet(d.jwk(), fmt.Sprintf(private, "x")) },
		"its own private key": func(d entryPoint) string { return jwkSet(`{"d":"AQAB",` + d.jwk()[1:]) },
		"a symmetric key":     func(d entryPoint) string { return jwkSet(d.jwk(), `{"kty":"oct","kid":"x","k":"AAAA"}`) },
		"ten thousand keys":   func(d entryPoint) string { return jwkSet(append(repeat(9_999, `{"kty":"AKP"}`), d.jwk())...) },
		"a hundred and one":   func(d entryPoint) string { return jwkSet(repeat(101, d.jwk())...) },
		"a set cut off":       func(d entryPoint) string { return jwkSet(d.jwk())[:100] },
		"depth 17": func(d entryPoint) string {
			return jwkSet(`{"x":` + strings.Repeat("[", 15) + strings.Repeat("]", 15) + "," + d.jwk()[1:])
		},
		"depth 100000":          func(d entryPoint) string { return `{"x":` + strings.Repeat("[", 100_000) },
		"nothing":               func(entryPoint) string { return jwkSet() },
		"keys in another case":  func(d entryPoint) string { return `{"KEYS":[` + d.jwk() + `]}` },
		"a JWK instead of sets": func(d entryPoint) string { return d.jwk() },
	} {
		for _, d := range entryPoints(t) {
			t.Run(name+" "+d.name, func(t *testing.T) {
				_, err := ParseJWKS([]byte(set(d)))
				if err == nil {
					t.Fatal("read")
				}
				raw := d.sign(t, d.header(), d.payload)
				r := rules(t)
				source := &scriptedKeys{err: err, refreshErr: err}
				if d.name == "request" {
					r.Issuers[1].SoftwareKeys = func(string) (KeySource, error) { return source, nil }
				} else {
					raw = string(registration(t, with(requestClaims, "software_statement", raw), nil))
					r.Issuers[1].Keys = source
				}
				_, got := VerifyRequest(context.Background(), []byte(raw), r, noon)
				if word := whole[name]; word != "" && d.name == "request" {
					wantRefusal(t, got, refusal.InvalidClientMetadata, "registration request cannot be verified: the software's JWKS has no usable key: ", word)
					return
				}
				wantRefusal(t, got, refusal.Unavailable, "try again later")
				if !errors.Is(got, err) || strings.Contains(refusal.From(got).Description, err.Error()) {
					t.Errorf("got %v", got)
				}
			})
		}
	}
}
