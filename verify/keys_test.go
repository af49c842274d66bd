package verify

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// Keys are made once per test binary, when the first test asks.
var (
	directoryKey = rsaKey(2048)
	softwareKey  = rsaKey(2048)
	shortKey     = rsaKey(1024)
	ecKey        = curveKey(elliptic.P256())
	ec384Key     = curveKey(elliptic.P384())
	ec521Key     = curveKey(elliptic.P521())
	edKey        = sync.OnceValue(func() crypto.Signer {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			panic(err)
		}
		return key
	})
)

func rsaKey(bits int) func() crypto.Signer {
	return sync.OnceValue(func() crypto.Signer {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			panic(err)
		}
		return key
	})
}

func curveKey(curve elliptic.Curve) func() crypto.Signer {
	return sync.OnceValue(func() crypto.Signer {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			panic(err)
		}
		return key
	})
}

// noon is the time of all tests here.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// b64 is written apart from the code under test.
func b64[T ~string | ~[]byte](b T) string { return base64.RawURLEncoding.EncodeToString([]byte(b)) }

// signInput signs with the standard library only, so that the tests do not
// believe the library that the code believes.
func signInput(t testing.TB, input, alg string, key crypto.Signer) []byte {
	t.Helper()
	hash := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[alg[max(0, len(alg)-3):]]
	digest := []byte(input)
	if hash != 0 {
		h := hash.New()
		h.Write(digest)
		digest = h.Sum(nil)
	}
	var out []byte
	var err error
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if strings.HasPrefix(alg, "PS") {
			out, err = rsa.SignPSS(rand.Reader, key, hash, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		} else {
			out, err = rsa.SignPKCS1v15(nil, key, hash, digest)
		}
	case *ecdsa.PrivateKey:
		r, s, e := ecdsa.Sign(rand.Reader, key, digest)
		size := (key.Curve.Params().BitSize + 7) / 8
		err, out = e, append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
	case ed25519.PrivateKey:
		out = ed25519.Sign(key, []byte(input))
	default:
		t.Fatalf("no key of type %T", key)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// signJWS makes a compact JWS of header and payload as they are. The algorithm
// of the signature is that of the call, whatever the header says.
func signJWS(t testing.TB, header, payload, alg string, key crypto.Signer) string {
	t.Helper()
	input := b64(header) + "." + b64(payload)
	return input + "." + b64(signInput(t, input, alg, key))
}

// jwkOf is the public JWK of a key, with more members ("use", "sig", ...).
func jwkOf(key crypto.PublicKey, members ...string) string {
	m := map[string]any{}
	switch pub := key.(type) {
	case *rsa.PublicKey:
		m["kty"], m["n"], m["e"] = "RSA", b64(pub.N.Bytes()), b64(big.NewInt(int64(pub.E)).Bytes())
	case *ecdsa.PublicKey:
		point, err := pub.Bytes() // 4, x, y
		if err != nil {
			panic(err)
		}
		size := len(point) / 2
		m["kty"], m["crv"], m["x"], m["y"] = "EC", pub.Curve.Params().Name, b64(point[1:1+size]), b64(point[1+size:])
	case ed25519.PublicKey:
		m["kty"], m["crv"], m["x"] = "OKP", "Ed25519", b64(pub)
	default:
		panic(fmt.Sprintf("no JWK for %T", key))
	}
	for i := 0; i+1 < len(members); i += 2 {
		m[members[i]] = members[i+1]
	}
	text, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func jwkSet(jwks ...string) string { return `{"keys":[` + strings.Join(jwks, ",") + `]}` }

func parseKeys(t testing.TB, jwks ...string) FixedKeys {
	t.Helper()
	keys, err := ParseJWKS([]byte(jwkSet(jwks...)))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// jsonOf is the JSON of a fixture; members are in alphabetical order.
func jsonOf(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// scriptedKeys answers Keys and Refresh from what the test put in, and counts.
type scriptedKeys struct {
	keys, refreshed     []Key
	err, refreshErr     error
	asked, askedRefresh int
}

func (s *scriptedKeys) Keys(context.Context) ([]Key, error) {
	s.asked++
	return s.keys, s.err
}

func (s *scriptedKeys) Refresh(context.Context) ([]Key, error) {
	s.askedRefresh++
	return s.refreshed, s.refreshErr
}

// wantRefusal checks kind and words of an error. The words are those that tell
// a TPP what to mend.
func wantRefusal(t *testing.T, err error, kind refusal.Kind, words ...string) {
	t.Helper()
	e, ok := err.(*refusal.Error)
	if !ok {
		t.Fatalf("got %v, want an *Error", err)
	}
	record(e)
	if e.Kind != kind {
		t.Errorf("got kind %d (%s), want %d (%s): %v", e.Kind, e.Code(), kind, kind.Code(), e)
	}
	for _, w := range words {
		if !strings.Contains(e.Description, w) {
			t.Errorf("description %q does not say %q", e.Description, w)
		}
	}
	if len(e.Description) > refusal.MaxDescription {
		t.Errorf("description of %d bytes", len(e.Description))
	}
	for i := range len(e.Description) {
		if c := e.Description[i]; c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			t.Errorf("description %q has byte %#x", e.Description, c)
		}
	}
}
