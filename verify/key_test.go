package verify

import (
	"context"
	"crypto"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// verifyJWS goes the way of a request body: split, then verify with the keys.
func verifyJWS(t *testing.T, raw string, algorithms []string, keys KeySource) error {
	t.Helper()
	jws, err := SplitJWS([]byte(raw), algorithms, nil)
	if err != nil {
		t.Fatalf("not split: %v", err)
	}
	return jws.VerifyWith(context.Background(), keys)
}

func TestVerifyWithEveryAlgorithm(t *testing.T) {
	for _, tc := range []struct {
		alg string
		key crypto.Signer
	}{
		{"PS256", softwareKey()}, {"PS384", softwareKey()}, {"PS512", softwareKey()},
		{"RS256", softwareKey()}, {"RS384", softwareKey()}, {"RS512", softwareKey()},
		{"ES256", ecKey()}, {"ES384", ec384Key()}, {"ES512", ec521Key()}, {"EdDSA", edKey()},
	} {
		t.Run(tc.alg, func(t *testing.T) {
			keys := parseKeys(t, jwkOf(tc.key.Public(), "kid", "a"))
			raw := signJWS(t, `{"alg":"`+tc.alg+`","kid":"a"}`, plainPayload, tc.alg, tc.key)
			if err := verifyJWS(t, raw, SupportedAlgorithms, keys); err != nil {
				t.Errorf("refused: %v", err)
			}
			if err := verifyJWS(t, raw+"\r\n", SupportedAlgorithms, keys); err != nil {
				t.Errorf("refused with CRLF at the end: %v", err)
			}
			for i, part := range strings.Split(raw, ".") {
				tampered := strings.Split(raw, ".")
				switch i {
				case 0:
					tampered[0] = b64(`{"alg":"` + tc.alg + `","kid":"a","x":1}`)
				case 1:
					tampered[1] = b64(`{"iss":"y"}`)
				case 2:
					tampered[2] = "AAAA" + part[4:]
				}
				if err := verifyJWS(t, strings.Join(tampered, "."), SupportedAlgorithms, keys); !errors.Is(err, errSignature) {
					t.Errorf("segment %d changed: got %v", i, err)
				}
			}
			input, encoded := raw[:strings.LastIndexByte(raw, '.')], raw[strings.LastIndexByte(raw, '.')+1:]
			signature, err := base64.RawURLEncoding.DecodeString(encoded)
			if err != nil {
				t.Fatal(err)
			}
			for name, other := range map[string][]byte{
				"cut": signature[:len(signature)-1], "longer": append(signature[:len(signature):len(signature)], 0),
				"zero in front": append([]byte{0}, signature...), "zeros": make([]byte, len(signature)),
			} {
				if err := verifyJWS(t, input+"."+b64(other), SupportedAlgorithms, keys); !errors.Is(err, errSignature) {
					t.Errorf("signature %s: got %v", name, err)
				}
			}
		})
	}
}

// Each token here is signed correctly with the key's private half, so that only
// the rule of the row can refuse it.
func TestVerifyWithRefuses(t *testing.T) {
	rsaPub, ecPub := softwareKey().Public(), ecKey().Public()
	for _, tc := range []struct {
		name, header, alg string
		key               crypto.Signer
		jwks              []string
		want              string
	}{
		{"RSA-1024", `{"alg":"PS256","kid":"a"}`, "PS256", shortKey(), []string{jwkOf(shortKey().Public(), "kid", "a")}, "RSA key of 1024 bits"},
		{"RSA-1024 without kid", `{"alg":"PS256"}`, "PS256", shortKey(), []string{jwkOf(shortKey().Public())}, "not in the JWKS"},
		{"P-384 for ES256", `{"alg":"ES256","kid":"a"}`, "ES256", ec384Key(), []string{jwkOf(ec384Key().Public(), "kid", "a")}, "does not fit its EC key"},
		{"P-256 for ES384", `{"alg":"ES384","kid":"a"}`, "ES384", ecKey(), []string{jwkOf(ecPub, "kid", "a")}, "does not fit its EC key"},
		{"EC key for PS256", `{"alg":"PS256","kid":"a"}`, "ES256", ecKey(), []string{jwkOf(ecPub, "kid", "a")}, "does not fit its EC key"},
		{"RSA key for ES256", `{"alg":"ES256","kid":"a"}`, "PS256", softwareKey(), []string{jwkOf(rsaPub, "kid", "a")}, "does not fit its RSA key"},
		{"Ed25519 key for ES256", `{"alg":"ES256","kid":"a"}`, "EdDSA", edKey(), []string{jwkOf(edKey().Public(), "kid", "a")}, "does not fit its OKP key"},
		{"PS256 header, RS256 signature", `{"alg":"PS256","kid":"a"}`, "RS256", softwareKey(), []string{jwkOf(rsaPub, "kid", "a")}, "does not verify"},
		{"PS256 header, PS384 signature", `{"alg":"PS256","kid":"a"}`, "PS384", softwareKey(), []string{jwkOf(rsaPub, "kid", "a")}, "does not verify"},
		{"key is for another alg", `{"alg":"PS256","kid":"a"}`, "PS256", softwareKey(), []string{jwkOf(rsaPub, "kid", "a", "alg", "RS256")}, "its key is for"},
		{"key is for encryption by alg", `{"alg":"PS256","kid":"a"}`, "PS256", softwareKey(), []string{jwkOf(rsaPub, "kid", "a", "alg", "RSA-OAEP-256")}, "its key is for"},
		{"use enc", `{"alg":"PS256","kid":"a"}`, "PS256", softwareKey(), []string{jwkOf(rsaPub, "kid", "a", "use", "enc")}, "use is"},
		{"use tls", `{"alg":"PS256","kid":"a"}`, "PS256", softwareKey(), []string{jwkOf(rsaPub, "kid", "a", "use", "tls")}, "use is"},
		{"use in capitals", `{"alg":"PS256","kid":"a"}`, "PS256", softwareKey(), []string{jwkOf(rsaPub, "kid", "a", "use", "SIG")}, "use is"},
		{"use tls without kid", `{"alg":"PS256"}`, "PS256", softwareKey(), []string{jwkOf(rsaPub, "use", "tls")}, "not in the JWKS"},
		{"key_ops sign", `{"alg":"PS256","kid":"a"}`, "PS256", softwareKey(), []string{withOps(jwkOf(rsaPub, "kid", "a"), `["sign"]`)}, `key_ops are "sign", without verify`},
		{"key_ops of encryption", `{"alg":"PS256","kid":"a"}`, "PS256", softwareKey(), []string{withOps(jwkOf(rsaPub, "kid", "a"), `["wrapKey","encrypt"]`)}, `key_ops are "wrapKey encrypt"`},
		{"key_ops empty", `{"alg":"PS256","kid":"a"}`, "PS256", softwareKey(), []string{withOps(jwkOf(rsaPub, "kid", "a"), `[]`)}, `key_ops are ""`},
		{"key_ops in capitals", `{"alg":"PS256","kid":"a"}`, "PS256", softwareKey(), []string{withOps(jwkOf(rsaPub, "kid", "a"), `["VERIFY"]`)}, `key_ops are "VERIFY"`},
		{"key_ops sign, use sig", `{"alg":"PS256","kid":"a"}`, "PS256", softwareKey(), []string{withOps(jwkOf(rsaPub, "kid", "a", "use", "sig"), `["sign"]`)}, `key_ops are "sign"`},
		{"key_ops verify, use enc", `{"alg":"PS256","kid":"a"}`, "PS256", softwareKey(), []string{withOps(jwkOf(rsaPub, "kid", "a", "use", "enc"), `["verify"]`)}, "use is"},
		{"key_ops without kid", `{"alg":"PS256"}`, "PS256", softwareKey(), []string{withOps(jwkOf(rsaPub), `["sign"]`)}, "not in the JWKS"},
		{"unknown kid", `{"alg":"PS256","kid":"b"}`, "PS256", softwareKey(), []string{jwkOf(rsaPub, "kid", "a")}, "not in the JWKS (kid"},
		{"kid of another case", `{"alg":"PS256","kid":"A"}`, "PS256", softwareKey(), []string{jwkOf(rsaPub, "kid", "a")}, "not in the JWKS"},
		{"kid, but the key has none", `{"alg":"PS256","kid":"a"}`, "PS256", softwareKey(), []string{jwkOf(rsaPub)}, "not in the JWKS"},
		{"kid of another key", `{"alg":"PS256","kid":"b"}`, "PS256", softwareKey(), []string{jwkOf(rsaPub, "kid", "a"), jwkOf(directoryKey().Public(), "kid", "b")}, "does not verify"},
		{"kid of two other keys", `{"alg":"PS256","kid":"a"}`, "PS256", softwareKey(), []string{jwkOf(shortKey().Public(), "kid", "a"), jwkOf(directoryKey().Public(), "kid", "a"), jwkOf(rsaPub, "kid", "b")}, "does not verify"},
		{"no kid, no key verifies", `{"alg":"PS256"}`, "PS256", softwareKey(), []string{jwkOf(directoryKey().Public(), "kid", "b")}, "does not verify"},
		{"no kid, nine keys fit", `{"alg":"PS256"}`, "PS256", softwareKey(), append(keysOf(t, 9, ""), jwkOf(rsaPub, "use", "sig")), "more than 8 keys"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := verifyJWS(t, signJWS(t, tc.header, plainPayload, tc.alg, tc.key), SupportedAlgorithms, parseKeys(t, tc.jwks...))
			if err == nil {
				t.Fatal("verified")
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %q, want %q", err, tc.want)
			}
		})
	}
}

// withOps is the JWK with a key_ops.
func withOps(jwk, ops string) string { return `{"key_ops":` + ops + "," + jwk[1:] }

// A key that says what it is for, and says verify, is as good as one that does not say.
func TestKeyOps(t *testing.T) {
	for _, ops := range []string{`["verify"]`, `["verify","sign"]`, `["encrypt","verify"]`} {
		keys := parseKeys(t, withOps(jwkOf(softwareKey().Public(), "kid", "a"), ops))
		if err := verifyJWS(t, signJWS(t, `{"alg":"PS256","kid":"a"}`, plainPayload, "PS256", softwareKey()), DefaultAlgorithms, keys); err != nil {
			t.Errorf("%s: %v", ops, err)
		}
	}
}

func repeat(n int, jwk string) (list []string) {
	for range n {
		list = append(list, jwk)
	}
	return list
}

// Without a kid the keys that cannot have signed do not count.
func TestVerifyWithoutKid(t *testing.T) {
	jwks := []string{
		jwkOf(directoryKey().Public(), "kid", "b"), jwkOf(ecKey().Public(), "kid", "c"), jwkOf(softwareKey().Public(), "kid", "d", "use", "enc"),
		jwkOf(softwareKey().Public(), "kid", "e", "use", "tls"), jwkOf(softwareKey().Public(), "kid", "f", "alg", "RS256"), jwkOf(shortKey().Public()),
		jwkOf(softwareKey().Public(), "kid", "a", "use", "sig", "alg", "PS256"),
	}
	for range 8 { // none of these fits PS256, so the bound on tries does not count them
		jwks = append(jwks, jwkOf(ec384Key().Public()))
	}
	for _, header := range []string{`{"alg":"PS256"}`, `{"alg":"PS256","kid":""}`} {
		if err := verifyJWS(t, signJWS(t, header, plainPayload, "PS256", softwareKey()), DefaultAlgorithms, parseKeys(t, jwks...)); err != nil {
			t.Errorf("%s: %v", header, err)
		}
	}
}

func TestRSABounds(t *testing.T) {
	for bits, ok := range map[int]bool{1024: false, 2047: false, 2048: true, 4096: true, 8192: true, 8193: false, 16384: false} {
		for _, alg := range []string{"PS256", "RS256"} {
			if err := (Key{Type: "RSA", Bits: bits}).fits(alg); (err == nil) != ok {
				t.Errorf("%s with %d bits: %v", alg, bits, err)
			}
		}
	}
	// The same from a JWKS, to see that Bits is the modulus'.
	n := make([]byte, 1025) // 8193 bits
	n[0], n[1024] = 1, 1
	keys := parseKeys(t, `{"kty":"RSA","kid":"a","e":"AQAB","n":"`+b64(n)+`"}`)
	raw := b64(`{"alg":"PS256","kid":"a"}`) + "." + b64(plainPayload) + "." + b64(n)
	if err := verifyJWS(t, raw, DefaultAlgorithms, keys); err == nil || !strings.Contains(err.Error(), "8193 bits") {
		t.Errorf("RSA-8193: %v", err)
	}
}

// What is no algorithm of the list fits no key, however its name begins, and
// although the key itself does not say what it is for.
func TestNoOtherAlgorithmFits(t *testing.T) {
	for _, alg := range []string{"", "none", "HS256", "PS", "PS1", "RS1", "RS", "RSA1_5", "RSA-OAEP", "ES", "ES256K", "EdDSA ", "Ed25519", "Ed448", "ps256", "ECDH-ES", "A128KW"} {
		for _, kind := range kinds {
			if err := kind.key.fits(alg); err == nil {
				t.Errorf("%q fits %+v", alg, kind.key)
			}
		}
	}
}

// An unknown kid asks the source once more, and only an unknown kid does.
func TestVerifyWithRefresh(t *testing.T) {
	oldKey, newKey := parseKeys(t, jwkOf(directoryKey().Public(), "kid", "old")), parseKeys(t, jwkOf(softwareKey().Public(), "kid", "new"))
	good := signJWS(t, `{"alg":"PS256","kid":"new"}`, plainPayload, "PS256", softwareKey())
	bad := signJWS(t, `{"alg":"PS256","kid":"new"}`, plainPayload, "PS256", directoryKey())
	down := fmt.Errorf("connection refused by 10.0.0.1")
	for _, tc := range []struct {
		name    string
		raw     string
		source  scriptedKeys
		want    error
		refresh int
	}{
		{"known kid", good, scriptedKeys{keys: newKey}, nil, 0},
		{"new kid after refresh", good, scriptedKeys{keys: oldKey, refreshed: newKey}, nil, 1},
		{"unknown after refresh", good, scriptedKeys{keys: oldKey, refreshed: oldKey}, errUnknownKey, 1},
		{"bad signature does not refresh", bad, scriptedKeys{keys: newKey, refreshed: newKey}, errSignature, 0},
		{"no keys", good, scriptedKeys{err: down}, down, 0},
		{"no keys at refresh", good, scriptedKeys{keys: oldKey, refreshErr: down}, down, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := verifyJWS(t, tc.raw, DefaultAlgorithms, &tc.source)
			if !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			if tc.source.askedRefresh != tc.refresh || tc.source.asked != 1 {
				t.Errorf("asked %d times and %d for a refresh", tc.source.asked, tc.source.askedRefresh)
			}
			if !errors.Is(tc.want, down) {
				return
			}
			wantRefusal(t, err, refusal.Unavailable, "try again later")
			if e := refusal.From(err); e.RetryAfter < time.Second || strings.Contains(e.Description, "10.0.0.1") {
				t.Errorf("got %+v", e)
			}
		})
	}
}
