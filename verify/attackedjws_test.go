package verify

import (
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/dn/dntest"
)

// The algorithm is the key's, never the token's choice.
func TestAlgorithms(t *testing.T) {
	headed := func(header string) func(t *testing.T, d entryPoint) string {
		return func(t *testing.T, d entryPoint) string {
			return d.sign(t, strings.ReplaceAll(header, "KID", d.kid), d.payload)
		}
	}
	signedWith := func(alg string) func(t *testing.T, d entryPoint) string {
		return func(t *testing.T, d entryPoint) string {
			return signJWS(t, `{"alg":"`+alg+`","kid":"`+d.kid+`"}`, d.payload, alg, d.key)
		}
	}
	as := func(members ...string) func(d entryPoint) []string {
		return func(d entryPoint) []string { return []string{d.jwk(members...)} }
	}
	ecKid := func(d entryPoint) []string { return []string{jwkOf(ecKey().Public(), "kid", d.kid)} }
	runAttacks(t, []attack{
		{name: "none without signature", want: "empty signature", make: func(_ *testing.T, d entryPoint) string {
			return b64(`{"alg":"none"}`) + "." + b64(d.payload) + "."
		}},
		{name: "none with a byte of signature", want: "alg 'none'", make: func(_ *testing.T, d entryPoint) string {
			return b64(`{"alg":"none"}`) + "." + b64(d.payload) + ".AA"
		}},
		{name: "none over a good signature", want: "alg 'none'", make: headed(`{"alg":"none","kid":"KID"}`)},
		{name: "NONE over a good signature", want: "alg 'NONE'", make: headed(`{"alg":"NONE","kid":"KID"}`)},
		{name: "no alg over a good signature", want: "no alg", make: headed(`{"kid":"KID"}`)},
		{name: "empty alg over a good signature", want: "alg ''", make: headed(`{"alg":"","kid":"KID"}`)},
		{name: "RS256 and signed so", want: "RS256", make: signedWith("RS256")},
		{name: "PS384 and signed so", want: "PS384", make: signedWith("PS384")},
		{name: "RS256 signature under PS256", want: "does not verify", make: func(t *testing.T, d entryPoint) string {
			return signJWS(t, d.header(), d.payload, "RS256", d.key)
		}},
		{name: "PS512 signature under PS256", want: "does not verify", make: func(t *testing.T, d entryPoint) string {
			return signJWS(t, d.header(), d.payload, "PS512", d.key)
		}},
		{name: "ES256 header, RSA key", want: "does not fit its RSA key", make: headed(`{"alg":"ES256","kid":"KID"}`)},
		{name: "PS256 header, EC key and signature", want: "does not fit its EC key", jwks: ecKid, make: func(t *testing.T, d entryPoint) string {
			return signJWS(t, d.header(), d.payload, "ES256", ecKey())
		}},
		{name: "ES256 header, P-384 key and signature", want: "does not fit its EC key", make: func(t *testing.T, d entryPoint) string {
			return signJWS(t, `{"alg":"ES256","kid":"`+d.kid+`"}`, d.payload, "ES256", ec384Key())
		}, jwks: func(d entryPoint) []string { return []string{jwkOf(ec384Key().Public(), "kid", d.kid)} }},
		{name: "ES256 and an EC key", jwks: ecKid, make: func(t *testing.T, d entryPoint) string {
			return signJWS(t, `{"alg":"ES256","kid":"`+d.kid+`"}`, d.payload, "ES256", ecKey())
		}},
		{name: "JWK is for PS384", want: "its key is for", jwks: as("alg", "PS384"), make: signedWith("PS256")},
		{name: "JWK is for RS256", want: "its key is for", jwks: as("alg", "RS256"), make: signedWith("PS256")},
		{name: "JWK is for encryption", want: "its key is for", jwks: as("alg", "RSA-OAEP"), make: signedWith("PS256")},
		{name: "JWK is for PS256", jwks: as("alg", "PS256"), make: signedWith("PS256")},
		{name: "use tls", want: "use is 'tls'", jwks: as("use", "tls"), make: signedWith("PS256")},
		{name: "use enc", want: "use is 'enc'", jwks: as("use", "enc"), make: signedWith("PS256")},
		{name: "key_ops encrypt", want: "key_ops", jwks: func(d entryPoint) []string { return []string{withOps(d.jwk(), `["encrypt"]`)} }, make: signedWith("PS256")},
		{name: "salt of no length", want: "does not verify", make: func(t *testing.T, d entryPoint) string {
			key := d.key.(*rsa.PrivateKey)
			input := b64(d.header()) + "." + b64(d.payload)
			return input + "." + b64(signPSS(t, key, pssHashes["PS256"], input, 0))
		}},
		{name: "RSA-1024", want: "RSA key of 1024 bits", make: func(t *testing.T, d entryPoint) string {
			return signJWS(t, d.header(), d.payload, "PS256", shortKey())
		}, jwks: func(d entryPoint) []string { return []string{jwkOf(shortKey().Public(), "kid", d.kid)} }},
		{name: "RSA-16384", want: "RSA key of 16384 bits", make: signedWith("PS256"), jwks: func(d entryPoint) []string {
			n := make([]byte, 2048)
			n[0], n[2047] = 0x80, 1
			return []string{`{"kty":"RSA","kid":"` + d.kid + `","e":"AQAB","n":"` + b64(n) + `"}`}
		}},
	})
}

// A public key is no secret: whatever form of it somebody takes for the key of an
// HMAC, the algorithm is not accepted, and its signature is none under another name.
func TestPublicKeyAsSecret(t *testing.T) {
	for name, secret := range map[string]func(d entryPoint) []byte{
		"PEM": func(d entryPoint) []byte {
			return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(d.key.Public()))})
		},
		"PEM of PKCS 1": func(d entryPoint) []byte {
			return pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(d.key.Public().(*rsa.PublicKey))})
		},
		"DER":          func(d entryPoint) []byte { return must(x509.MarshalPKIXPublicKey(d.key.Public())) },
		"DER, PKCS 1":  func(d entryPoint) []byte { return x509.MarshalPKCS1PublicKey(d.key.Public().(*rsa.PublicKey)) },
		"JWK":          func(d entryPoint) []byte { return []byte(d.jwk()) },
		"JWK set":      func(d entryPoint) []byte { return []byte(jwkSet(d.jwk())) },
		"modulus":      func(d entryPoint) []byte { return d.key.Public().(*rsa.PublicKey).N.Bytes() },
		"modulus text": func(d entryPoint) []byte { return []byte(b64(d.key.Public().(*rsa.PublicKey).N.Bytes())) },
		"nothing":      func(entryPoint) []byte { return nil },
	} {
		mac := func(alg string) func(t *testing.T, d entryPoint) string {
			return func(_ *testing.T, d entryPoint) string {
				input := b64(`{"alg":"`+alg+`","kid":"`+d.kid+`"}`) + "." + b64(d.payload)
				h := hmac.New(sha256.New, secret(d))
				h.Write([]byte(input))
				return input + "." + b64(h.Sum(nil))
			}
		}
		runAttacks(t, []attack{
			{name: name + ", HS256", make: mac("HS256"), want: "alg 'HS256'"},
			{name: name + ", named PS256", make: mac("PS256"), want: "does not verify"},
		})
		// Not even where a caller would list it.
		d := entryPoints(t)[0]
		if err := verifyJWS(t, mac("HS256")(t, d), []string{"HS256", "none"}, parseKeys(t, d.jwk())); err == nil {
			t.Errorf("%s: verified as HS256", name)
		}
	}
	if _, err := ParseJWKS([]byte(jwkSet(`{"kty":"oct","kid":"tpp","k":"AAAA","alg":"HS256"}`))); err == nil {
		t.Error("a symmetric key was read")
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// The sender does not choose the key, and no address of it is asked for one.
func TestEmbeddedKeys(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var connections atomic.Int32
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			conn.Close()
		}
	}()
	chain := stdBase64(issue(t, dntest.Subject(t, dntest.RDN(dntest.UTF8String("2.5.4.3", "x"))), ecKey()).Raw)
	mine := jwkOf(ecKey().Public(), "kid", "mine")
	var attacks []attack
	for name, header := range map[string]string{
		"jwk": `,"jwk":` + mine, "jwk without kid": `,"jwk":` + jwkOf(ecKey().Public()), "jwk empty": `,"jwk":{}`, "jwk null": `,"jwk":null`,
		"jku": `,"jku":"https://` + l.Addr().String() + `/keys"`, "jku http": `,"jku":"http://` + l.Addr().String() + `/keys"`, "jku empty": `,"jku":""`,
		"x5u": `,"x5u":"https://` + l.Addr().String() + `/chain"`, "x5c": `,"x5c":["` + chain + `"]`, "x5c empty": `,"x5c":[]`,
		"jku escaped": `,"\u006aku":"https://` + l.Addr().String() + `/keys"`,
	} {
		member := strings.Fields(name)[0]
		// Once signed with the sender's own key, once with the right one: it is the
		// member that is refused.
		attacks = append(attacks, attack{name: name + ", own key", want: "'" + member + "'", make: func(t *testing.T, d entryPoint) string {
			return signJWS(t, `{"alg":"ES256","kid":"mine"`+header+`}`, d.payload, "ES256", ecKey())
		}}, attack{name: name + ", right key", want: "'" + member + "'", make: func(t *testing.T, d entryPoint) string {
			return d.sign(t, strings.TrimSuffix(d.header(), "}")+header+"}", d.payload)
		}})
	}
	for _, name := range []string{"JKU", "Jwk", "X5U", "x5C", "jkU", " jku", "jku\\u0000"} { // other names, which nobody reads
		attacks = append(attacks, attack{name: "other name " + name, make: func(t *testing.T, d entryPoint) string {
			return d.sign(t, d.header(name, `"https://`+l.Addr().String()+`/keys"`), d.payload)
		}})
	}
	for _, name := range []string{"x5t", "x5t#S256"} { // of a certificate, names no key by itself
		attacks = append(attacks, attack{name: name, make: func(t *testing.T, d entryPoint) string { return d.sign(t, d.header(name, `"AAAA"`), d.payload) }})
	}
	runAttacks(t, attacks)
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections to an address of a header", n)
	}
}
