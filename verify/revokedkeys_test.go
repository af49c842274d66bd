package verify

import (
	"context"
	"crypto/elliptic"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

func TestParseRevokedJWKS(t *testing.T) {
	rsaJWK := jwkOf(softwareKey().Public(), "kid", "a", "use", "sig", "alg", "PS256")
	numbered := func(n int) string {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprintf(`{"kid":"k%d"}`, i)
		}
		return jwkSet(list...)
	}
	for _, tc := range []struct {
		name, set string
		want      int // keys
		word      string
	}{
		{"empty, as it usually is", `{"keys":[]}`, 0, ""},
		{"one", jwkSet(rsaJWK), 1, ""},
		{"other members", `{"updated":1,"keys":[` + rsaJWK + `]}`, 1, ""},
		{"unknown kty", jwkSet(`{"kty":"AKP","kid":"q","pub":"AAAA"}`), 1, ""},
		{"a kid alone", jwkSet(`{"kid":"q"}`), 1, ""},
		{"a private key", jwkSet(`{"d":"AQAB",` + rsaJWK[1:]), 1, ""},
		{"a symmetric key", jwkSet(`{"kty":"oct","kid":"q","k":"AAAA"}`), 1, ""},
		{"members of wrong types", jwkSet(`{"use":1,"alg":[],"key_ops":"x","x5c":5,` + jwkOf(ecKey().Public())[1:]), 1, ""},
		{"kid of a wrong type, the key can be read", jwkSet(`{"kid":1,` + jwkOf(ecKey().Public())[1:]), 1, ""},
		{"kid twice, the key can be read", jwkSet(`{"kid":"b",` + rsaJWK[1:]), 1, ""},
		{"a thousand", numbered(1000), 1000, ""},

		{"a thousand and one", numbered(1001), 0, "1001 keys, at most 1000"},
		{"ten thousand", numbered(10_000), 0, "more than 4096 items"},
		{"neither kid nor key", jwkSet(rsaJWK, `{"kty":"AKP"}`), 0, "without kid"},
		{"kid of a wrong type, no key", jwkSet(`{"kid":1,"kty":"AKP"}`), 0, "without kid"},
		{"keys missing", `{}`, 0, "keys: missing"},
		{"keys null", `{"keys":null}`, 0, "keys: missing"},
		{"keys of strings", `{"keys":["a"]}`, 0, "without kid"},
		{"keys in capitals", `{"KEYS":[]}`, 0, "keys: missing"},
		{"keys twice", `{"keys":[` + rsaJWK + `],"keys":[]}`, 0, "more than once"},
		{"kid twice, no key", jwkSet(`{"kid":"b","kid":"c","kty":"AKP"}`), 0, "without kid"},
		{"null in it", `{"keys":[null]}`, 0, "without kid"},
		{"array", `[]`, 0, "not a JSON object"},
		{"page", `<html>`, 0, "not a JSON object"},
		{"nothing", ``, 0, "not a JSON object"},
		{"very deep", `{"keys":` + strings.Repeat("[", 100_000), 0, "nested too deep"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			keys, err := ParseRevokedJWKS([]byte(tc.set))
			if tc.word != "" {
				if err == nil || !strings.Contains(err.Error(), tc.word) {
					t.Errorf("got %d keys, %v", len(keys), err)
				}
				return
			}
			if err != nil || keys == nil || len(keys) != tc.want {
				t.Errorf("got %d keys (nil: %v), %v", len(keys), keys == nil, err)
			}
		})
	}
}

// The key that has verified is asked for among the revoked ones.
func TestCheckRevoked(t *testing.T) {
	rsaPub, ecPub := softwareKey().Public(), ecKey().Public()
	rsaJWK, ecJWK, edJWK := jwkOf(rsaPub, "kid", "a"), jwkOf(ecPub, "kid", "a"), jwkOf(edKey().Public(), "kid", "a")
	for _, tc := range []struct {
		name, key, set string
		revoked        bool
	}{
		{"nothing is revoked", rsaJWK, jwkSet(), false},
		{"another", rsaJWK, jwkSet(jwkOf(directoryKey().Public(), "kid", "b")), false},
		{"it", rsaJWK, jwkSet(rsaJWK), true},
		{"it, after another", rsaJWK, jwkSet(jwkOf(directoryKey().Public(), "kid", "b"), rsaJWK), true},
		{"RSA key under another kid", rsaJWK, jwkSet(jwkOf(rsaPub, "kid", "b")), true},
		{"RSA key without kid", rsaJWK, jwkSet(jwkOf(rsaPub)), true},
		{"EC key under another kid", ecJWK, jwkSet(jwkOf(ecPub, "kid", "b")), true},
		{"Ed25519 key under another kid", edJWK, jwkSet(jwkOf(edKey().Public(), "kid", "b")), true},
		{"key with other use and alg", rsaJWK, jwkSet(jwkOf(rsaPub, "kid", "b", "use", "enc", "alg", "RSA-OAEP")), true},
		{"key with members that cannot be read", rsaJWK, jwkSet(`{"x5c":5,"use":1,"kid":"b",` + jwkOf(rsaPub)[1:]), true},
		{"modulus with zeros in front", rsaJWK, jwkSet(strings.Replace(jwkOf(rsaPub, "kid", "b"), `"n":"`, `"n":"AAAA`, 1)), true},
		{"another key under its kid", rsaJWK, jwkSet(jwkOf(directoryKey().Public(), "kid", "a")), true},
		{"a key of an unknown type under its kid", rsaJWK, jwkSet(`{"kty":"AKP","kid":"a"}`), true},
		{"a kid alone", rsaJWK, jwkSet(`{"kid":"a"}`), true},
		{"kid in another case", rsaJWK, jwkSet(`{"kid":"A"}`), false},
		{"neither has a kid", jwkOf(rsaPub), jwkSet(jwkOf(directoryKey().Public())), false},
		{"neither has a kid, same key", jwkOf(rsaPub), jwkSet(jwkOf(rsaPub)), true},
		{"a kid that is empty", jwkOf(rsaPub, "kid", ""), jwkSet(jwkOf(directoryKey().Public(), "kid", "")), false},
		{"another of the same type and length", ecJWK, jwkSet(jwkOf(curveKey(elliptic.P256())().Public(), "kid", "b")), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			revoked, err := ParseRevokedJWKS([]byte(tc.set))
			if err != nil {
				t.Fatal(err)
			}
			err = parseKeys(t, tc.key)[0].CheckRevoked(context.Background(), FixedKeys(revoked))
			if errors.Is(err, errRevokedKey) != tc.revoked || (err == nil) == tc.revoked {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestRevokedUnderAnotherKid: a key that its set has twice is revoked under each kid.
func TestRevokedUnderAnotherKid(t *testing.T) {
	keys := parseKeys(t, jwkOf(softwareKey().Public(), "kid", "a"), jwkOf(softwareKey().Public(), "kid", "b"))
	token, err := SplitJWS([]byte(signJWS(t, `{"alg":"PS256"}`, plainPayload, "PS256", softwareKey())), DefaultAlgorithms, nil)
	if err != nil {
		t.Fatal(err)
	}
	by, err := token.VerifiedBy(context.Background(), FixedKeys(keys))
	if err != nil {
		t.Fatal(err)
	}
	for kid, want := range map[string]bool{"a": true, "b": true, "c": false} {
		revoked, err := ParseRevokedJWKS([]byte(jwkSet(`{"kid":"` + kid + `"}`)))
		if err != nil {
			t.Fatal(err)
		}
		if err := by.CheckRevoked(context.Background(), FixedKeys(revoked)); errors.Is(err, errRevokedKey) != want {
			t.Errorf("%s: %v, want a revoked key: %t", kid, err, want)
		}
	}
}

// Without the list nothing is known about any key.
func TestCheckRevokedUnavailable(t *testing.T) {
	down := errors.New("connection refused by 10.0.0.1")
	source := &scriptedKeys{err: down}
	err := parseKeys(t, jwkOf(ecKey().Public(), "kid", "a"))[0].CheckRevoked(context.Background(), source)
	wantRefusal(t, err, refusal.Unavailable, "revoked keys cannot be fetched now; try again later")
	if e := refusal.From(err); !errors.Is(err, down) || e.RetryAfter < time.Second || strings.Contains(e.Description, "10.0.0.1") || e.RuleName() != "revoked_jwks" {
		t.Errorf("got %+v", e)
	}
	if source.asked != 1 || source.askedRefresh != 0 {
		t.Errorf("asked %d times and %d for a refresh", source.asked, source.askedRefresh)
	}
}

// The list of revoked keys given for the list of keys makes no key of them.
func TestRevokedKeysVerifyNothing(t *testing.T) {
	revoked, err := ParseRevokedJWKS([]byte(jwkSet(jwkOf(softwareKey().Public(), "kid", "a"))))
	if err != nil {
		t.Fatal(err)
	}
	for _, header := range []string{`{"alg":"PS256","kid":"a"}`, `{"alg":"PS256"}`} {
		if err := verifyJWS(t, signJWS(t, header, plainPayload, "PS256", softwareKey()), DefaultAlgorithms, FixedKeys(revoked)); err == nil {
			t.Errorf("%s: verified", header)
		}
	}
}

// VerifiedBy names the key that has verified, with a kid or without.
func TestVerifiedBy(t *testing.T) {
	keys := parseKeys(t, jwkOf(directoryKey().Public(), "kid", "a"), jwkOf(softwareKey().Public(), "kid", "b"), jwkOf(ecKey().Public()))
	old := parseKeys(t, jwkOf(directoryKey().Public(), "kid", "a"))
	for _, tc := range []struct {
		name, header string
		source       scriptedKeys
		want         string
	}{
		{"with a kid", `{"alg":"PS256","kid":"b"}`, scriptedKeys{keys: keys}, "b"},
		{"without", `{"alg":"PS256"}`, scriptedKeys{keys: keys}, "b"},
		{"after a refresh", `{"alg":"PS256","kid":"b"}`, scriptedKeys{keys: old, refreshed: keys}, "b"},
		{"kid of another", `{"alg":"PS256","kid":"a"}`, scriptedKeys{keys: keys}, ""},
		{"unknown kid", `{"alg":"PS256","kid":"c"}`, scriptedKeys{keys: keys, refreshed: keys}, ""},
		{"none verifies", `{"alg":"PS256"}`, scriptedKeys{keys: old}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			jws, err := SplitJWS([]byte(signJWS(t, tc.header, plainPayload, "PS256", softwareKey())), DefaultAlgorithms, nil)
			if err != nil {
				t.Fatal(err)
			}
			k, err := jws.VerifiedBy(context.Background(), &tc.source)
			if k.ID != tc.want || (err == nil) != (tc.want != "") || (k.public != nil) != (err == nil) {
				t.Errorf("got %q, %v", k.ID, err)
			}
		})
	}
}
