package verify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/dn/dntest"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// TestLeftOutKeys: each with its reason, and those that count count.
func TestLeftOutKeys(t *testing.T) {
	good, leaf := jwkOf(softwareKey().Public(), "kid", "good"), stdBase64(issue(t, dntest.Subject(t, dntest.RDN(dntest.UTF8String("2.5.4.3", "x"))), ecKey()).Raw)
	with := func(members string) string { return `{` + members + `,` + jwkOf(ecKey().Public(), "kid", "q")[1:] }
	for _, tc := range []struct{ name, key, want string }{
		{"a use of another type", with(`"use":["sig"]`), `kid "q": use is an array, not a string`},
		{"an alg twice", with(`"alg":"ES256","alg":"PS256"`), `kid "q": alg is there more than once, with different values`},
		{"key_ops of another type", with(`"key_ops":"verify"`), `kid "q": key_ops is a string, not an array of strings`},
		{"an x5c that is no list", with(`"x5c":"` + leaf + `"`), `kid "q": its x5c alone: is a string, not an array of strings`},
		{"PEM at the end of an x5c", with(`"x5c":["` + leaf + `-----END CERTIFICATE-----"]`), `kid "q": its x5c alone: holds as number 1 what is not base64`},
		{"PEM after the first of an x5c", with(`"x5c":["` + leaf + `","-----BEGIN"]`), `kid "q": its x5c alone: holds as number 2 what is not base64`},
		{"no object", `"q"`, `kid "": not a JSON object`},
		{"null", `null`, `kid "": not a JSON object`},
		{"a kid that is no string, and no key", `{"kid":5,"kty":"AKP"}`, `kid "": `},
		{"an unknown type", `{"kid":"q","kty":"AKP"}`, `kid "q": `},
	} {
		t.Run(tc.name, func(t *testing.T) {
			keys, leftOut, err := ReadJWKS([]byte(jwkSet(tc.key, good)))
			if err != nil || len(leftOut) != 1 || !strings.HasPrefix(leftOut[0].String(), tc.want) {
				t.Fatalf("%v, left out %q, want %q", err, leftOut, tc.want)
			}
			partly := leftOut[0].Certificates
			if want := 1; partly {
				want++
				if len(keys) != want || keys[0].ID != "q" || len(keys[0].Certificates) != strings.Count(tc.want, "number 2") {
					t.Errorf("keys %+v", keys)
				}
			} else if len(keys) != want || keys[0].ID != "good" {
				t.Errorf("keys %+v", keys)
			}
		})
	}
}

// TestUnreadableX5CStillSigns: the UK sandbox's directory once had such a key, and no other.
func TestUnreadableX5CStillSigns(t *testing.T) {
	for _, d := range entryPoints(t) {
		jwk := `{"x5c":["AAAA-----END CERTIFICATE-----"],"d":null,` + d.jwk("use", "sig")[1:]
		if err := d.submit(t, d.sign(t, d.header(), d.payload), jwk); err != nil {
			t.Errorf("%s: %v", d.name, err)
		}
	}
}

// TestSignedByLeftOutKey: whoever owns the key is told what is wrong with it.
func TestSignedByLeftOutKey(t *testing.T) {
	for _, d := range entryPoints(t) {
		err := d.submit(t, d.sign(t, d.header(), d.payload), jwkOf(ecKey().Public(), "kid", "other"), `{"use":5,`+d.jwk()[1:])
		wantRefusal(t, err, d.kind, "is signed with a key that is not in the JWKS (kid '"+d.kid+"') as one that counts: there it cannot be read: use is a number, not a string; ")
	}
}

func TestUnusableKeys(t *testing.T) {
	var keys []string
	for n := range 50 {
		keys = append(keys, fmt.Sprintf(`{"kid":"%s%d","kty":"%s"}`, strings.Repeat("k", 100), n, strings.Repeat("T", 1000)))
	}
	_, leftOut, err := ReadJWKS([]byte(jwkSet(keys...)))
	if unusable := (*UnusableKeys)(nil); !errors.As(err, &unusable) || len(leftOut) != 50 || len(unusable.LeftOut) != 50 {
		t.Fatalf("%v, %d left out", err, len(leftOut))
	}
	if text := err.Error(); len(text) > 500 || !strings.Contains(text, ", 48 more") {
		t.Errorf("%d bytes: %s", len(text), text)
	}
	r := rules(t)
	r.Issuers[1].SoftwareKeys = func(string) (KeySource, error) { return &scriptedKeys{err: err, refreshErr: err}, nil }
	_, got := VerifyRequest(context.Background(), registration(t, requestClaims, ssaClaims), r, noon)
	wantRefusal(t, got, refusal.InvalidClientMetadata, "the software's JWKS has no usable key: kid 'kkkk", ", 48 more; publish a public key as RFC 7517 says")
}
