package verify

import (
	"crypto"
	"crypto/elliptic"
	"testing"
)

// What is written is read as the same keys, but for those that do not sign.
func TestAppendJWKS(t *testing.T) {
	keys := parseKeys(t,
		jwkOf(softwareKey().Public(), "kid", "a", "use", "sig", "alg", "PS256"), jwkOf(ecKey().Public(), "kid", "b \"c\""),
		jwkOf(curveKey(elliptic.P521())().Public()), jwkOf(softwareKey().Public(), "kid", "t", "use", "tls"), jwkOf(softwareKey().Public(), "kid", "e", "use", "enc"))
	text := AppendJWKS(nil, keys)
	again, err := ParseJWKS(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if len(again) != 3 {
		t.Fatalf("%d keys of %s", len(again), text)
	}
	for i, k := range again {
		want := keys[i]
		if k.ID != want.ID || k.Use != want.Use || k.Algorithm != want.Algorithm || k.Type != want.Type || k.Curve != want.Curve || k.Bits != want.Bits ||
			!k.public.(interface{ Equal(x crypto.PublicKey) bool }).Equal(want.public) {
			t.Errorf("got %+v, want %+v", k, want)
		}
	}
	if KeysName(keys) != KeysName(again) || KeysName(keys) == KeysName(keys[1:]) || KeysName(nil) == KeysName(keys) {
		t.Error("names of sets")
	}
	if got := string(AppendJWKS(nil, nil)); got != `{"keys":[]}` {
		t.Errorf("no keys: %s", got)
	}
}

// A key without an alg gets the one that fits it, and only where that is one alone.
func TestWithAlgorithms(t *testing.T) {
	keys := parseKeys(t,
		jwkOf(softwareKey().Public(), "kid", "rsa"), jwkOf(ecKey().Public(), "kid", "ec", "use", "sig"), jwkOf(softwareKey().Public(), "kid", "named", "alg", "RS256"),
		jwkOf(softwareKey().Public(), "kid", "e", "use", "enc"), jwkOf(curveKey(elliptic.P521())().Public(), "kid", "p521"))
	for _, c := range []struct {
		algorithms []string
		want       [5]string
	}{
		{nil, [5]string{"", "", "RS256", "", ""}},
		{[]string{"PS256"}, [5]string{"PS256", "", "RS256", "", ""}},
		{[]string{"PS256", "", "PS256"}, [5]string{"PS256", "", "RS256", "", ""}},
		{[]string{"ES256", "PS256"}, [5]string{"PS256", "ES256", "RS256", "", ""}},
		{[]string{"PS256", "PS384"}, [5]string{"", "", "RS256", "", ""}},
		{[]string{"HS256", "none", "ES512"}, [5]string{"", "", "RS256", "", "ES512"}},
	} {
		named := WithAlgorithms(keys, c.algorithms...)
		for i, k := range named {
			if k.Algorithm != c.want[i] {
				t.Errorf("%q: key %s has alg %q, want %q", c.algorithms, k.ID, k.Algorithm, c.want[i])
			}
		}
		if keys[0].Algorithm != "" {
			t.Fatal("the keys themselves were changed")
		}
	}
}
