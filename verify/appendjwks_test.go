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
