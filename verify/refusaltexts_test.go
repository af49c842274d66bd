package verify

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/dn"
	"github.com/caddy-dcr/caddy-dcr/verify/dn/dntest"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// The low-level readers have tests of their own; here is what a TPP is told when
// its request does not get past them, each text once.

func TestRefusalsOfJSON(t *testing.T) {
	manyMembers := "{}"
	for i := range strictjson.MaxMembers + 1 {
		manyMembers = fmt.Sprintf(`{"m%d":0,%s`, i, manyMembers[1:])
	}
	manyMembers = strings.Replace(manyMembers, ",}", "}", 1)
	deep := strings.Repeat("[", 20) + strings.Repeat("]", 20)
	for name, payload := range map[string]string{
		"number": `{"a":01.}`, "number without digits": `{"a":-}`, "no colon": `{"a"}`, "no value": `{"a":}`, "another word": `{"a":nil}`,
		"no end of a string": `{"a":"b`, "control character": "{\"a\":\"\t\"}", "unknown escape": `{"a":"\x"}`, "half a pair": `{"a":"\ud800"}`,
		"no comma in an object": `{"a":1 "b":2}`, "no comma in an array": `{"a":[1 2]}`, "no name": `{1:2}`, "trailing comma": `{"a":1,}`,
		"too deep": `{"a":` + deep + `}`, "many items": `{"a":[` + strings.Repeat("1,", strictjson.MaxItems) + `1]}`, "many members": manyMembers,
		"twice": `{"a":1,"a":2}`, "twice inside": `{"a":{"b":1,"b":2}}`, "a list": `[]`, "text after": `{} x`, "not UTF-8": "{\"a\":\"\xff\"}",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := VerifyRequest(context.Background(), []byte(signJWS(t, requestHeader, payload, "PS256", softwareKey())), rules(t), noon)
			wantRefusal(t, err, refusal.InvalidClientMetadata, "registration request has a payload that is no acceptable JSON object (")
		})
	}
}

func TestRefusalsOfJWS(t *testing.T) {
	good := jsonOf(with(requestClaims, "software_statement", statement(t, ssaClaims)))
	for _, tc := range []struct{ name, raw, word string }{
		{"header no JSON", signJWS(t, `{"alg"}`, good, "PS256", softwareKey()), "has a header that is no acceptable JSON object (at byte 6: a colon is missing)"},
		{"no alg", signJWS(t, `{"kid":"tpp"}`, good, "PS256", softwareKey()), "has no alg in its header"},
		{"none", signJWS(t, `{"alg":"none"}`, good, "PS256", softwareKey()), "has alg 'none'; accepted are PS256, ES256"},
		{"crit", signJWS(t, `{"alg":"PS256","crit":["x"]}`, good, "PS256", softwareKey()), "has the header member 'crit', which is not supported"},
		{"jwk", signJWS(t, `{"alg":"PS256","jwk":{}}`, good, "PS256", softwareKey()), "has the header member 'jwk'; keys come from the registered JWKS only, leave it out"},
		{"kid a number", signJWS(t, `{"alg":"PS256","kid":1}`, good, "PS256", softwareKey()), "has a kid that is a number, not a string"},
		{"typ a list", signJWS(t, `{"alg":"PS256","kid":"tpp","typ":[]}`, good, "PS256", softwareKey()), "has a typ that is an array, not a string"},
		{"typ of an access token", signJWS(t, `{"alg":"PS256","kid":"tpp","typ":"at+jwt"}`, good, "PS256", softwareKey()), "has typ 'at+jwt', which is another kind of token"},
		{"padded", signJWS(t, requestHeader, good, "PS256", softwareKey()) + "==", "has a signature that is not base64url"},
		{"not canonical", "e30.e30.AB", "has a signature that is not canonical base64url"},
		{"empty segment", "e30..AA", "has an empty payload"},
		{"JSON serialization", `{"payload":"e30","protected":"e30","signature":"AA"}`, "is not a compact JWS of three segments"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := VerifyRequest(context.Background(), []byte(tc.raw), rules(t), noon)
			wantRefusal(t, err, refusal.InvalidClientMetadata, "registration request "+tc.word)
		})
	}
	for name, raw := range map[string]string{"header's alphabet": "e30=.e30.", "payload's alphabet": "e30.e30=.", "header": b64(`{"alg"}`) + ".e30.", "payload": b64(`{"alg":"none"}`) + "." + b64("[]") + ".", "segments": "e30."} {
		t.Run("unsigned statement, "+name, func(t *testing.T) {
			_, err := VerifySoftwareStatement(context.Background(), []byte(raw), directories(t), noon)
			wantRefusal(t, err, refusal.InvalidSoftwareStatement, "software_statement: ")
		})
	}
}

func TestRefusalsOfDN(t *testing.T) {
	cert := &Certificate{Leaf: issue(t, dntest.Subject(t, dntest.RDN(dntest.UTF8String("2.5.4.3", "tpp"))), ecKey()), Subject: dn.Name{{{OID: "2.5.4.3", Value: "tpp"}}}}
	for _, text := range []string{
		"tpp", "CN=", "XX=tpp", "CN=#zz", "CN=#0c0161 x", "CN=#0c0261", "CN=#0c01ff", "CN=#1301ff", "CN=#1e0161", "CN=#1c0161", "CN=#1e02d800",
		`CN="tpp`, `CN="tpp"x`, `CN=t"pp`, `CN=tpp\`, `CN=\ff`, "/tpp", "/CN=", "/CN=a/O=", "CN=" + strings.Repeat("x", dn.MaxLength), "CN=x\xff",
	} {
		t.Run(text[:min(len(text), 12)], func(t *testing.T) {
			in := metadataInput(t, with(requestClaims, "token_endpoint_auth_method", "tls_client_auth"), ssaClaims)
			in.Request.Claims = in.Request.Claims.With("tls_client_auth_subject_dn", strictjson.AppendString(nil, text))
			in.Certificate = cert
			_, err := CheckMetadata(context.Background(), in)
			wantRefusal(t, err, refusal.InvalidClientMetadata, "tls_client_auth_subject_dn: ")
		})
	}
}

func TestRefusalsOfKeys(t *testing.T) {
	own := func(members ...string) string { return jwkOf(softwareKey().Public(), members...) }
	other := func(members ...string) string { return jwkOf(directoryKey().Public(), members...) }
	ninth, same := keysOf(t, maxTries+1, ""), keysOf(t, maxTries+1, "tpp")
	large := make([]string, 3)
	for i := range large {
		large[i] = jwkOf(&rsa.PublicKey{N: oddNumber(t, 8192), E: 65537})
	}
	const kid, anonymous = requestHeader, `{"alg":"PS256"}`
	for _, tc := range []struct {
		name, header string
		keys         []string
		word         string
	}{
		{"another key", kid, []string{other("kid", "tpp")}, "has a signature that does not verify"},
		{"unknown kid", kid, []string{own("kid", "x")}, "is signed with a key that is not in the JWKS (kid 'tpp')"},
		{"no kid, another key", anonymous, []string{other()}, "has no kid, and a signature that does not verify with exactly one of the keys of the JWKS that fit; name the kid, and sign with its key"},
		{"no kid, none fits", anonymous, []string{jwkOf(ecKey().Public())}, "is signed with a key that is not in the JWKS: it names no kid, and no key there fits its alg"},
		{"use enc", kid, []string{own("kid", "tpp", "use", "enc")}, "is signed with a key whose use is 'enc', not sig"},
		{"use tls", kid, []string{own("kid", "tpp", "use", "tls")}, "is signed with a key whose use is 'tls', not sig"},
		{"key_ops", kid, []string{`{"key_ops":["sign"],` + own("kid", "tpp")[1:]}, "is signed with a key whose key_ops are 'sign', without verify"},
		{"alg of the key", kid, []string{own("kid", "tpp", "alg", "RS256")}, "has alg PS256, but its key is for 'RS256'"},
		{"type of the key", kid, []string{jwkOf(ecKey().Public(), "kid", "tpp")}, "has alg PS256, which does not fit its EC key"},
		{"short key", kid, []string{jwkOf(shortKey().Public(), "kid", "tpp")}, "is signed with an RSA key of 1024 bits; 2048 to 8192 are accepted"},
		{"kid of many", kid, same, "names kid 'tpp', which more keys of the JWKS have than are tried; give each key a kid of its own"},
		{"no kid, many", anonymous, ninth, "has no kid, and more than 8 keys of the JWKS fit; name the kid"},
		{"no kid, large", anonymous, large, "has no kid, and the keys of the JWKS that fit are too large to try them all; name the kid"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := rules(t)
			r.Keys = parseKeys(t, tc.keys...)
			raw := signJWS(t, tc.header, jsonOf(with(requestClaims, "software_statement", statement(t, ssaClaims))), "PS256", softwareKey())
			_, err := VerifyRequest(context.Background(), []byte(raw), r, noon)
			wantRefusal(t, err, refusal.InvalidClientMetadata, "registration request "+tc.word)
		})
	}
}

// What is no refusal is a fault on our side, and tells nothing of it.
func TestFaultTellsTheTPPNothing(t *testing.T) {
	e := refusal.From(errors.New("disk full at 10.0.0.1"))
	wantRefusal(t, e, refusal.Unavailable, "try again later")
	if strings.Contains(e.Description, "10.0.0.1") || !strings.Contains(e.Error(), "10.0.0.1") {
		t.Errorf("told %q, logged %q", e.Description, e.Error())
	}
}
