package verify

import (
	"fmt"
	"strings"
	"testing"
)

// kinds are the keys that can verify, with the algorithm that they are for.
var kinds = []struct {
	alg string
	key Key
}{
	{"PS256", Key{Type: "RSA", Bits: 2048}}, {"PS256", Key{Type: "RSA", Bits: 2049}}, {"RS512", Key{Type: "RSA", Bits: 3072}},
	{"PS256", Key{Type: "RSA", Bits: 4096}}, {"PS384", Key{Type: "RSA", Bits: 6144}}, {"PS256", Key{Type: "RSA", Bits: 8192}},
	{"ES256", Key{Type: "EC", Curve: "P-256"}}, {"ES384", Key{Type: "EC", Curve: "P-384"}}, {"ES512", Key{Type: "EC", Curve: "P-521"}},
	{"EdDSA", Key{Type: "OKP", Curve: "Ed25519"}},
}

// Without a kid the keys that are tried are bounded in number and in what they
// cost together; a rotation, two keys of one kind, is always within. With a kid
// one key is tried, however many there are.
func TestCostWithoutKid(t *testing.T) {
	most := map[string]int{"RSA 2049": 8, "RSA 3072": 8, "RSA 4096": 8, "RSA 6144": 3, "RSA 8192": 2, "EC P-384": 6, "EC P-521": 2}
	for _, kind := range kinds {
		name := kind.key.Type + " " + kind.key.Curve
		if kind.key.Bits > 0 {
			name += fmt.Sprint(kind.key.Bits)
		}
		t.Run(name, func(t *testing.T) {
			want, ok := most[name]
			if !ok {
				want = 8
			}
			for n := 1; n <= 100; n++ {
				keys := make([]Key, n)
				for i := range keys {
					keys[i] = kind.key
					keys[i].ID = fmt.Sprint("k", i)
				}
				tried, err := (&JWS{Algorithm: kind.alg}).candidates(keys)
				if (err == nil) != (n <= want) || err == nil && len(tried) != n {
					t.Errorf("%d keys: %d are tried, %v", n, len(tried), err)
				}
				if err != nil && !strings.Contains(err.Error(), "name the kid") {
					t.Errorf("%d keys: %v", n, err)
				}
				if tried, err := (&JWS{Algorithm: kind.alg, KeyID: "k0"}).candidates(keys); err != nil || len(tried) != 1 {
					t.Errorf("%d keys, with a kid: %d are tried, %v", n, len(tried), err)
				}
			}
		})
	}
}

// The same for mixed sets, and it is the sum that counts: 16 is what an RSA key
// of 8192 bits costs.
func TestCostOfMixedKeys(t *testing.T) {
	rsa := func(sizes ...int) (keys []Key) {
		for _, bits := range sizes {
			keys = append(keys, Key{Type: "RSA", Bits: bits})
		}
		return keys
	}
	for name, tc := range map[string]struct {
		keys []Key
		ok   bool
	}{
		"two of the dearest":                {rsa(8192, 8192), true},
		"and a small one":                   {rsa(8192, 8192, 2048), false},
		"a small one first":                 {rsa(2048, 8192, 8192), false},
		"one, and four of 4096":             {rsa(8192, 4096, 4096, 4096, 4096), true},
		"one, and five of 4096":             {rsa(8192, 4096, 4096, 4096, 4096, 4096), false},
		"keys that do not fit cost nothing": {append(rsa(8192, 8192, 16384, 1024), Key{Type: "EC", Curve: "P-521"}, Key{Type: "RSA", Bits: 8192, Use: "enc"}), true},
	} {
		t.Run(name, func(t *testing.T) {
			tried, err := (&JWS{Algorithm: "PS256"}).candidates(tc.keys)
			if (err == nil) != tc.ok {
				t.Errorf("%d are tried, %v", len(tried), err)
			}
		})
	}
}
