package verify

import (
	"bytes"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/dn/dntest"
)

func TestParseJWKS(t *testing.T) {
	rsaJWK, ecJWK := jwkOf(softwareKey().Public(), "kid", "a", "use", "sig", "alg", "PS256"), jwkOf(ecKey().Public(), "kid", "b")
	infinity := jwkOf(ecKey().Public(), "kid", "q", "x", b64(make([]byte, 32)), "y", b64(make([]byte, 32)))
	offCurve := jwkOf(ec384Key().Public(), "kid", "q", "y", b64(make([]byte, 48)))
	longExponent := append(make([]byte, 253), 1, 0, 1)
	longExponent[0] = 1
	for _, tc := range []struct {
		name, set string
		want      string // the kids, or the error
		ok        bool
	}{
		{"two keys", jwkSet(rsaJWK, ecJWK), "a b", true},
		{"other members", `{"issuer":"x","keys":[` + rsaJWK + `],"n":1}`, "a", true},
		{"unknown kty skipped", jwkSet(`{"kty":"AKP","alg":"ML-DSA-44","kid":"q","pub":"AAAA"}`, rsaJWK), "a", true},
		{"unknown curve skipped", jwkSet(`{"kty":"EC","crv":"P-999","kid":"q","x":"AA","y":"AA"}`, rsaJWK), "a", true},
		{"key agreement curve skipped", jwkSet(`{"kty":"OKP","crv":"X25519","kid":"q","x":"`+b64(make([]byte, 32))+`"}`, rsaJWK), "a", true},
		{"kty missing skipped", jwkSet(`{"kid":"q"}`, rsaJWK), "a", true},
		{"kty in lower case skipped", jwkSet(strings.Replace(ecJWK, `"EC"`, `"ec"`, 1), rsaJWK), "a", true},
		{"modulus missing skipped", jwkSet(`{"kty":"RSA","e":"AQAB"}`, rsaJWK), "a", true},
		{"exponent 1 skipped", jwkSet(strings.Replace(jwkOf(softwareKey().Public(), "kid", "q"), "AQAB", "AQ", 1), rsaJWK), "a", true},
		{"exponent over 65537 skipped", jwkSet(strings.Replace(jwkOf(softwareKey().Public(), "kid", "q"), "AQAB", "AQAD", 1), rsaJWK), "a", true},
		{"even exponent skipped", jwkSet(strings.Replace(jwkOf(softwareKey().Public(), "kid", "q"), "AQAB", "AQAC", 1), rsaJWK), "a", true},
		{"exponent of 9 bytes that end like a good one skipped", jwkSet(strings.Replace(jwkOf(softwareKey().Public(), "kid", "q"), "AQAB", "AQAAAAAAAAABAAE", 1), rsaJWK), "a", true},
		{"exponent with zeros in front, as some software writes it", jwkSet(strings.Replace(jwkOf(softwareKey().Public(), "kid", "q"), "AQAB", "AAEAAQ", 1), rsaJWK), "q a", true},
		{"exponent with as many zeros as 64 bits have room for", jwkSet(strings.Replace(jwkOf(softwareKey().Public(), "kid", "q"), "AQAB", "AAAAAAABAAE", 1), rsaJWK), "q a", true},
		{"exponent 2 skipped", jwkSet(strings.Replace(jwkOf(softwareKey().Public(), "kid", "q"), "AQAB", "Ag", 1), rsaJWK), "a", true},
		{"exponent 0 skipped", jwkSet(strings.Replace(jwkOf(softwareKey().Public(), "kid", "q"), "AQAB", "AA", 1), rsaJWK), "a", true},
		{"exponent beyond 63 bits skipped", jwkSet(strings.Replace(jwkOf(softwareKey().Public(), "kid", "q"), "AQAB", "gAAAAAABAAE", 1), rsaJWK), "a", true},
		{"exponent as long as the modulus skipped", jwkSet(strings.Replace(jwkOf(softwareKey().Public(), "kid", "q"), "AQAB", b64(longExponent), 1), rsaJWK), "a", true},
		{"point off the curve skipped", jwkSet(offCurve, rsaJWK), "a", true},
		{"point at infinity skipped", jwkSet(infinity, rsaJWK), "a", true},
		{"coordinate beyond the field skipped", jwkSet(jwkOf(ecKey().Public(), "kid", "q", "x", b64(bytes.Repeat([]byte{0xff}, 32))), rsaJWK), "a", true},
		{"coordinate of 100 bytes skipped", jwkSet(jwkOf(ecKey().Public(), "kid", "q", "x", b64(bytes.Repeat([]byte{1}, 100))), rsaJWK), "a", true},
		{"point of another curve skipped", jwkSet(jwkOf(ec384Key().Public(), "kid", "q", "crv", "P-256"), rsaJWK), "a", true},
		{"y missing skipped", jwkSet(`{"kty":"EC","crv":"P-256","kid":"q","x":"`+b64(make([]byte, 32))+`"}`, rsaJWK), "a", true},
		{"P-224 skipped", jwkSet(`{"kty":"EC","crv":"P-224","kid":"q","x":"AA","y":"AA"}`, rsaJWK), "a", true},
		{"x5c not base64, the key still is one", jwkSet(`{"x5c":["*"],`+jwkOf(softwareKey().Public(), "kid", "q")[1:], rsaJWK), "q a", true},
		{"x5c no certificate, the key still is one", jwkSet(`{"x5c":["AAAA"],`+jwkOf(softwareKey().Public(), "kid", "q")[1:], rsaJWK), "q a", true},
		{"x5c of wrong type, the key still is one", jwkSet(`{"x5c":5,`+jwkOf(softwareKey().Public(), "kid", "q")[1:], rsaJWK), "q a", true},
		{"null for all that need not be there", jwkSet(`{"d":null,"k":null,"x5c":null,"use":null,"alg":null,"key_ops":null,"x":null,` + jwkOf(softwareKey().Public(), "kid", "q")[1:]), "q", true},
		{"use of wrong type skipped", jwkSet(`{"use":5,`+jwkOf(softwareKey().Public(), "kid", "q")[1:], rsaJWK), "a", true},
		{"alg of wrong type skipped", jwkSet(`{"alg":{},`+jwkOf(softwareKey().Public(), "kid", "q")[1:], rsaJWK), "a", true},
		{"kid of wrong type is none", jwkSet(`{"kid":5,`+jwkOf(softwareKey().Public())[1:], rsaJWK), " a", true},
		{"a string and null skipped", `{"keys":["a",null,` + rsaJWK + `]}`, "a", true},
		{"what is no JSON ends the set", `{"keys":[{"kid":"q",},` + rsaJWK + `]}`, "member name is missing", false},
		{"a member twice, with different values, skipped", jwkSet(`{"alg":"ES256",`+jwkOf(softwareKey().Public(), "kid", "q", "alg", "PS256")[1:], rsaJWK), "a", true},
		{"a member twice, with one value", jwkSet(`{"use":"sig",` + rsaJWK[1:]), "a", true},
		{"private, and twice", jwkSet(rsaJWK, `{"d":null,"d":"AQAB",`+ecJWK[1:]), "private or symmetric", false},
		{"key_ops of wrong type skipped", jwkSet(withOps(rsaJWK, `"verify"`), withOps(rsaJWK, `[1]`), ecJWK), "b", true},
		{"key_ops in capitals is another member", jwkSet(`{"KEY_OPS":["sign"],` + rsaJWK[1:]), "a", true},
		{"names are case-sensitive", `{"Keys":[` + ecJWK + `],"keys":[` + rsaJWK + `]}`, "a", true},
		{"Ed25519 key of no length skipped", jwkSet(`{"kty":"OKP","crv":"Ed25519","x":""}`, rsaJWK), "a", true},
		{"Ed25519 key too short skipped", jwkSet(`{"kty":"OKP","crv":"Ed25519","x":"`+b64(make([]byte, 31))+`"}`, rsaJWK), "a", true},
		{"Ed25519 key too long skipped", jwkSet(`{"kty":"OKP","crv":"Ed25519","x":"`+b64(make([]byte, 33))+`"}`, rsaJWK), "a", true},
		{"names of a key are case-sensitive", jwkSet(strings.Replace(ecJWK, `"kty"`, `"KTY"`, 1), `{"KID":"q",`+rsaJWK[1:]), "a", true},
		{"members of nobody's", jwkSet(`{"x5t":5,"D":"AQAB",` + rsaJWK[1:]), "a", true},
		{"hundred keys", jwkSet(repeat(100, rsaJWK)...), strings.TrimSpace(strings.Repeat("a ", 100)), true},

		{"hundred and one keys", jwkSet(repeat(101, rsaJWK)...), "101 keys, at most 100", false},
		{"ten thousand keys", jwkSet(repeat(10_000, `{}`)...), "more than 4096 items", false},
		{"bound counts unknown ones", jwkSet(repeat(101, `{"kty":"x"}`)...), "101 keys", false},
		{"no keys", `{"keys":[]}`, "no usable key", false},
		{"only unknown keys", jwkSet(`{"kty":"AKP"}`), "no usable key", false},
		{"private RSA", jwkSet(rsaJWK, `{"d":"AQAB",`+ecJWK[1:]), "private or symmetric", false},
		{"symmetric", jwkSet(rsaJWK, `{"kty":"oct","k":"AAAA"}`), "private or symmetric", false},
		{"private of unknown kty", jwkSet(rsaJWK, `{"kty":"new","d":"AAAA"}`), "private or symmetric", false},
		{"keys missing", `{}`, "keys: missing", false},
		{"keys an object", `{"keys":{}}`, "keys: is an object", false},
		{"keys of strings", `{"keys":["a"]}`, "no usable key", false},
		{"keys twice", `{"keys":[` + ecJWK + `],"keys":[` + rsaJWK + `]}`, "more than once", false},
		{"kid twice is none", jwkSet(`{"kid":"x",` + rsaJWK[1:]), "", true},
		{"one key is no set", rsaJWK, "missing", false},
		{"array", `[` + rsaJWK + `]`, "not a JSON object", false},
		{"too deep", jwkSet(`{"x":` + strings.Repeat("[", 15) + strings.Repeat("]", 15) + `,` + rsaJWK[1:]), "nested too deep", false},
		{"very deep", `{"keys":` + strings.Repeat("[", 100_000), "nested too deep", false},
		{"page", `<html>`, "not a JSON object", false},
		{"nothing", ``, "not a JSON object", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			keys, err := ParseJWKS([]byte(tc.set))
			if err != nil {
				if tc.ok || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("refused with %v, want %q", err, tc.want)
				}
				return
			}
			kids := make([]string, len(keys))
			for i, k := range keys {
				kids[i] = k.ID
			}
			if got := strings.Join(kids, " "); !tc.ok || got != tc.want {
				t.Errorf("read %q, want %q", got, tc.want)
			}
		})
	}
}

func TestParseJWKSMembers(t *testing.T) {
	leaf := issue(t, dntest.Subject(t, dntest.RDN(dntest.UTF8String("2.5.4.3", "x"))), ecKey())
	keys := parseKeys(t,
		jwkOf(softwareKey().Public(), "kid", "a", "use", "sig", "alg", "PS256"),
		`{"x5c":["`+stdBase64(leaf.Raw)+`"],`+jwkOf(ecKey().Public(), "kid", "b", "use", "tls")[1:],
		jwkOf(edKey().Public()))
	if k := keys[0]; k.ID != "a" || k.Use != "sig" || k.Algorithm != "PS256" || k.Type != "RSA" || k.Bits != 2048 || k.Certificates != nil {
		t.Errorf("RSA: %+v", k)
	}
	if k := keys[1]; k.ID != "b" || k.Use != "tls" || k.Algorithm != "" || k.Type != "EC" || k.Curve != "P-256" ||
		len(k.Certificates) != 1 || string(k.Certificates[0]) != string(leaf.Raw) {
		t.Errorf("EC: %+v", k)
	}
	if k := keys[2]; k.ID != "" || k.Type != "OKP" || k.Curve != "Ed25519" {
		t.Errorf("OKP: %+v", k)
	}
}
