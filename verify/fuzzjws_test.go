package verify

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"testing"
)

// An accepted JWS has one spelling: the one that its decoded parts encode to.
func FuzzSplitJWS(f *testing.F) {
	h, p, s := b64(plainHeader), b64(plainPayload), b64("signature")
	for _, seed := range []string{
		h + "." + p + "." + s, h + "." + p + "." + s + "\r\n", h + "." + p + "." + s + "\n\n", h + "." + p, h + "." + p + "." + s + "." + s, "..", ".", "",
		h + "." + nextCharacter(p) + "." + s, h + "." + p + ".AAB", h + "." + p + "=." + s, h + "\n." + p + "." + s, b64(`{"alg":"none"}`) + "." + p + "." + s,
		b64(`{"alg":"ES256","typ":"at+jwt"}`) + "." + p + "." + s, b64(`{"alg":"PS256","jku":""}`) + "." + p + "." + s,
		"=" + h + "." + p + "." + s, h + "." + p + "." + s + "%3D", h + "." + p + ".ab+/", h + ".." + s, h + "." + p + ".", b64(" ") + "." + p + "." + s,
		`{"protected":"` + h + `","payload":"` + p + `","signature":"` + s + `"}`, `{"payload":"` + p + `","signatures":[{"protected":"` + h + `","signature":"` + s + `"}]}`,
		h + "." + b64(`{"iss":"x","i\u0073s":"y"}`) + "." + s, h + "." + b64(`{"a":`+strings.Repeat("[", 17)+strings.Repeat("]", 17)+"}") + "." + s, h + "." + b64(`{"exp":1e999}`) + "." + s,
	} {
		f.Add([]byte(seed))
	}
	for _, member := range attackMembers {
		f.Add([]byte(b64(strings.TrimSuffix(plainHeader, "}")+","+member+"}") + "." + p + "." + s))
	}
	f.Fuzz(checkSplit)
}

// The same from what the segments hold, which a fuzzer changes more easily than
// their base64url.
func FuzzSplitJWSParts(f *testing.F) {
	for _, member := range attackMembers {
		f.Add(strings.TrimSuffix(plainHeader, "}")+","+member+"}", plainPayload, "signature")
		f.Add(plainHeader, strings.TrimSuffix(plainPayload, "}")+","+member+"}", "s")
	}
	f.Fuzz(func(t *testing.T, header, payload, signature string) {
		checkSplit(t, []byte(b64(header)+"."+b64(payload)+"."+b64(signature)))
	})
}

// attackMembers are what a header must not hold, or not mean.
var attackMembers = []string{
	`"alg":"none"`, `"\u0061lg":"ES256"`, `"ALG":"none"`, `"kid":"x"`, `"KID":"x"`, `"crit":["b64"],"b64":false`, `"jwk":{}`, `"x5u":""`, `"x5c":[]`, `"typ":"dpop+jwt"`, `"x":{"a":1,"a":2}`,
}

// checkSplit holds what must be true of every JWS that is accepted: it has no
// other spelling, its header is within the rules, and what counts is what is signed.
func checkSplit(t *testing.T, raw []byte) {
	t.Helper()
	jws, err := SplitJWS(raw, DefaultAlgorithms, nil)
	if err != nil {
		return
	}
	if end := string(raw[len(jws.Raw):]); !bytes.HasPrefix(raw, jws.Raw) || end != "" && end != "\n" && end != "\r\n" {
		t.Fatalf("%q became %q", raw, jws.Raw)
	}
	parts := strings.Split(string(jws.Raw), ".")
	if len(parts) != 3 {
		t.Fatalf("%d segments accepted", len(parts))
	}
	var decoded [3][]byte
	for i, part := range parts {
		if decoded[i], err = base64.RawURLEncoding.DecodeString(part); err != nil || b64(decoded[i]) != part || part == "" {
			t.Fatalf("segment %d, %q, also reads %q (%v)", i, part, b64(decoded[i]), err)
		}
	}
	if !bytes.Equal(jws.signature, decoded[2]) || string(jws.signed()) != parts[0]+"."+parts[1] {
		t.Fatalf("%q signs %q with %x", jws.Raw, jws.signed(), jws.signature)
	}
	header := objectOf(t, string(decoded[0]))
	if typ, ok, _ := header.String("typ"); ok && !slices.Contains([]string{"jwt", "jose", "jws", "application/jwt", "application/jose"}, strings.ToLower(typ)) {
		t.Fatalf("typ %q", typ)
	}
	if alg, _, _ := header.String("alg"); alg != jws.Algorithm || alg != "PS256" && alg != "ES256" {
		t.Fatalf("alg %q of header %s", jws.Algorithm, decoded[0])
	}
	if kid, _, _ := header.String("kid"); kid != jws.KeyID {
		t.Fatalf("kid %q of header %s", jws.KeyID, decoded[0])
	}
	for _, name := range []string{"jku", "jwk", "x5u", "x5c", "crit", "b64"} {
		if header.Has(name) {
			t.Fatalf("header %s", decoded[0])
		}
	}
	if payload := objectOf(t, string(decoded[1])); !bytes.Equal(payload.AppendJSON(nil), jws.Claims.AppendJSON(nil)) {
		t.Fatalf("claims %s of payload %s", jws.Claims.AppendJSON(nil), decoded[1])
	}
}
