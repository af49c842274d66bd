package verify

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"hash"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// A secret of the gateway's is the same in HTTP Basic with and without form-encoding.
func TestNewClientSecret(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		s := NewClientSecret()
		if len(s) != 32 || url.QueryEscape(s) != s || url.PathEscape(s) != s || seen[s] {
			t.Fatalf("%q, want 32 characters that no URL escapes, another one each time", s)
		}
		seen[s] = true
	}
}

// TestSecretMethods: a client with a secret sends it in the one way that it is registered
// for, with its certificate, and nobody else's secret will do.
func TestSecretMethods(t *testing.T) {
	const secret, other = "0123456789abcdefghijklmnopqrst-_", "0123456789abcdefghijklmnopqrst_-"
	subject := nameOf(t, "CN=x,O=Bank,C=GB")
	cert, foreign := &Certificate{Subject: subject}, &Certificate{Subject: nameOf(t, "CN=y,O=Bank,C=GB")}
	basic := func(id, password string) []string {
		return []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+password))}
	}
	assertion := "client_assertion_type=" + url.QueryEscape(AssertionType) + "&client_assertion=" + assertionOf(`{"sub":"c"}`)
	const grant = "grant_type=client_credentials"
	for _, tc := range []struct {
		name   string
		header []string
		query  string
		form   string
		cert   *Certificate
		// wants are, by method, the words of the refusal; empty for none.
		basic, post, jwt string
	}{
		{"Basic", basic("c", secret), "", grant, cert, "", "as client_secret in the body", "never send that"},
		{"Basic, and the client_id", basic("c", secret), "", grant + "&client_id=c", cert, "", "as client_secret in the body", "never send that"},
		{"post", nil, "", grant + "&client_id=c&client_secret=" + secret, cert, "in Authorization: Basic", "", "never send that"},
		{"both", basic("c", secret), "", grant + "&client_secret=" + secret, cert, "no other credential", "no other credential", "never send that"},
		{"an assertion", nil, "", assertion, cert, "in Authorization: Basic", "as client_secret in the body", ""},
		{"Basic and an assertion", basic("c", secret), "", assertion, cert, "no other credential", "as client_secret in the body", "never send that"},
		{"post and an assertion", nil, "", assertion + "&client_secret=" + secret, cert, "in Authorization: Basic", "no other credential", "never send that"},
		{"the id alone", nil, "", "client_id=c", cert, "in Authorization: Basic", "as client_secret in the body", "send a client_assertion"},
		{"Basic, wrong", basic("c", other), "", grant, cert, "is not the secret", "as client_secret in the body", "never send that"},
		{"post, wrong", nil, "", "client_id=c&client_secret=" + other, cert, "in Authorization: Basic", "is not the secret", "never send that"},
		{"Basic, empty", basic("c", ""), "", grant, cert, "send its secret", "as client_secret in the body", "never send that"},
		{"Basic, wrongly encoded", basic("c", secret+"%"), "", grant, cert, "send its secret", "as client_secret in the body", "never send that"},
		{"Basic, with more behind it", basic("c", secret+" "), "", grant, cert, "is not the secret", "as client_secret in the body", "never send that"},
		{"Basic, its hash", basic("c", url.QueryEscape(string(SecretHash(secret)))), "", grant, cert, "is not the secret", "as client_secret in the body", "never send that"},
		{"Basic, no certificate", basic("c", secret), "", grant, nil, "presents its certificate", "as client_secret in the body", "never send that"},
		{"post, another certificate", nil, "", "client_id=c&client_secret=" + secret, foreign, "in Authorization: Basic", "is not that of the certificate", "never send that"},
		{"Basic, wrong, another certificate", basic("c", other), "", grant, foreign, "is not that of the certificate", "as client_secret in the body", "never send that"},
		{"post in the address", nil, "client_secret=" + secret, "client_id=c", cert, "in the address", "in the address", "in the address"},
		{"post twice", nil, "", "client_id=c&client_secret=" + secret + "&client_secret=" + secret, cert, "more than once", "more than once", "more than once"},
		{"Basic of one, id of another", basic("d", secret), "", "client_id=c", cert, "different clients", "different clients", "different clients"},
	} {
		who, err := ReadClientAuthentication(tc.header, tc.query, tc.form)
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		for method, words := range map[string]string{ClientSecretBasic: tc.basic, ClientSecretPost: tc.post, ClientSecretJWT: tc.jwt} {
			a := &Authenticator{ClientID: "c", Method: method, Subject: subject, NeedsCertificate: true}
			if method != ClientSecretJWT {
				a.SecretHash = SecretHash(secret)
			}
			err := who.CheckClient(a, tc.cert)
			if err != nil {
				record(refusal.From(err))
			}
			switch {
			case words == "" && err != nil:
				t.Errorf("%s, %s: %v", tc.name, method, err)
			case words != "" && (err == nil || !strings.Contains(err.Error(), words)):
				t.Errorf("%s, %s: %v, want %q", tc.name, method, err, words)
			}
		}
	}
	who, err := ReadClientAuthentication(basic("c", secret), "", grant)
	if err != nil {
		t.Fatal(err)
	}
	if err := who.CheckClient(&Authenticator{ClientID: "c", Method: ClientSecretBasic, SecretHash: SecretHash(secret)}, nil); err != nil {
		t.Errorf("without a certificate, where none is needed: %v", err)
	}
	wantRefusal(t, who.CheckClient(&Authenticator{ClientID: "c", Method: ClientSecretBasic}, cert), refusal.InvalidClient, "is not the secret") // nothing is kept
}

// hmacJWS signs what c says with a secret.
func hmacJWS(header, claims string, secret []byte, alg func() hash.Hash) string {
	signed := b64(header) + "." + b64(claims)
	mac := hmac.New(alg, secret)
	mac.Write([]byte(signed))
	return signed + "." + b64(string(mac.Sum(nil)))
}

// TestSecretAssertion: HS256 verifies with the secret of the client, and with nothing else;
// nothing but HS256 does.
func TestSecretAssertion(t *testing.T) {
	const secret = "0123456789abcdefghijklmnopqrst-_"
	claims, public := jsonOf(assertionClaims), softwareKey().Public()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	asPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	hs := func(header string, key []byte) string { return hmacJWS(header, claims, key, sha256.New) }
	for _, tc := range []struct {
		name, text   string
		secret, keys string // the words of the refusal of a client with client_secret_jwt, and with private_key_jwt
	}{
		{"its secret", hs(`{"alg":"HS256"}`, []byte(secret)), "", "alg 'HS256'"},
		{"its secret, and a kid of the JWKS", hs(`{"alg":"HS256","kid":"tpp"}`, []byte(secret)), "", "alg 'HS256'"},
		{"another's secret", hs(`{"alg":"HS256"}`, []byte("another")), "the client's secret does not make", "alg 'HS256'"},
		{"no secret", hs(`{"alg":"HS256"}`, nil), "the client's secret does not make", "alg 'HS256'"},
		{"the hash of the secret", hs(`{"alg":"HS256"}`, SecretHash(secret)), "the client's secret does not make", "alg 'HS256'"},
		{"the public key as secret", hs(`{"alg":"HS256","kid":"tpp"}`, asPEM), "the client's secret does not make", "alg 'HS256'"},
		{"the public key's DER as secret", hs(`{"alg":"HS256","kid":"tpp"}`, der), "the client's secret does not make", "alg 'HS256'"},
		{"RS256 in the header over an HMAC", hs(`{"alg":"RS256","kid":"tpp"}`, asPEM), "alg 'RS256'", "alg 'RS256'"},
		{"PS256 in the header over an HMAC", hs(`{"alg":"PS256","kid":"tpp"}`, asPEM), "alg 'PS256'", "signature"},
		{"HS512", hmacJWS(`{"alg":"HS512"}`, claims, []byte(secret), sha512.New), "alg 'HS512'", "alg 'HS512'"},
		{"none", hs(`{"alg":"none"}`, []byte(secret)), "alg 'none'", "alg 'none'"},
		{"a key of the software", signJWS(t, assertionHeader, claims, "PS256", softwareKey()), "alg 'PS256'", ""},
		{"the secret as a jwk", hs(`{"alg":"HS256","jwk":{"kty":"oct","k":"MDE"}}`, []byte(secret)), "jwk", "jwk"},
		{"another kind of token", hs(`{"alg":"HS256","typ":"at+jwt"}`, []byte(secret)), "another kind of token", "alg 'HS256'"},
	} {
		for words, change := range map[*string]func(*AssertionRules){
			&tc.secret: func(r *AssertionRules) { r.Secret, r.Algorithms = secret, []string{"PS256"} },
			&tc.keys:   func(*AssertionRules) {},
		} {
			rules := assertionRules(t)
			change(rules)
			_, err := sent(t, AssertionType, tc.text).VerifyClientAssertion(t.Context(), rules, noon)
			switch {
			case *words == "" && err != nil:
				t.Errorf("%s, with secret %q: %v", tc.name, rules.Secret, err)
			case *words != "":
				if wantRefusal(t, err, refusal.InvalidClient, *words); t.Failed() {
					t.Fatalf("%s, with secret %q", tc.name, rules.Secret)
				}
			}
		}
	}
	for name, c := range map[string]string{
		"another client's": jsonOf(with(assertionClaims, "iss", "d", "sub", "d")),
		"expired":          jsonOf(with(assertionClaims, "exp", noon.Unix())),
		"no jti":           jsonOf(with(assertionClaims, "jti", absent{})),
	} {
		rules := assertionRules(t)
		rules.Secret = secret
		if _, err := sent(t, AssertionType, hmacJWS(`{"alg":"HS256"}`, c, []byte(secret), sha256.New)).VerifyClientAssertion(t.Context(), rules, noon); err == nil {
			t.Errorf("%s passes", name)
		}
	}
	// Also where somebody lists it: no key verifies HS256.
	rules := assertionRules(t)
	rules.Algorithms = []string{"HS256"}
	for _, key := range [][]byte{nil, asPEM, der} {
		_, err := sent(t, AssertionType, hs(`{"alg":"HS256","kid":"tpp"}`, key)).VerifyClientAssertion(t.Context(), rules, noon)
		wantRefusal(t, err, refusal.InvalidClient, "does not fit its RSA key")
	}
	unkeyed, err := SplitJWS([]byte(hs(`{"alg":"HS256"}`, nil)), []string{SecretAlgorithm}, assertionTypes)
	if err != nil {
		t.Fatal(err)
	}
	if unkeyed.verifyWithSecret("") == nil {
		t.Error("an empty secret verifies")
	}
	if slices.Contains(SupportedAlgorithms, SecretAlgorithm) {
		t.Error("an operator may have requests and statements signed with secrets")
	}
}

// TestSecretSigningAlg: HS256 can be registered for client_secret_jwt alone, which takes
// the algorithms of keys too: the official tool names PS256 and signs with HS256.
func TestSecretSigningAlg(t *testing.T) {
	all := append([]string{"tls_client_auth", "private_key_jwt"}, SecretMethods...)
	for _, tc := range []struct {
		method string
		alg    any
		words  string
	}{
		{ClientSecretJWT, "HS256", ""},
		{ClientSecretJWT, "PS256", ""},
		{ClientSecretJWT, absent{}, "missing; client_secret_jwt needs one of PS256, ES256, HS256"},
		{ClientSecretJWT, "HS512", "'HS512' is not accepted"},
		{ClientSecretJWT, "RS256", "'RS256' is not accepted"},
		{ClientSecretJWT, "none", "'none' is not accepted"},
		{"private_key_jwt", "HS256", "'HS256' is not accepted"},
		{"tls_client_auth", "HS256", "'HS256' is not accepted"},
		{ClientSecretBasic, "HS256", "'HS256' is not accepted"},
		{ClientSecretBasic, "PS256", ""},
		{ClientSecretBasic, absent{}, ""},
		{ClientSecretPost, absent{}, ""},
	} {
		in := metadataInput(t, with(requestClaims, "token_endpoint_auth_method", tc.method, "token_endpoint_auth_signing_alg", tc.alg), ssaClaims)
		in.Supported.AuthMethods = all
		out, err := CheckMetadata(t.Context(), in)
		if tc.words != "" {
			wantRefusal(t, err, refusal.InvalidClientMetadata, tc.words)
			continue
		}
		if err != nil {
			t.Errorf("%s with %v: %v", tc.method, tc.alg, err)
			continue
		}
		if m := out.Metadata; m.TokenEndpointAuthMethod != tc.method || tc.alg != (absent{}) && m.TokenEndpointSigningAlg != tc.alg || m.TLSClientAuthSubjectDN != "" && tc.method != "tls_client_auth" {
			t.Errorf("%s with %v: %+v", tc.method, tc.alg, m)
		}
	}
	if a := (&SupportedMetadata{AuthMethods: all, AuthSigningAlgs: []string{"PS256"}}); !slices.Equal(a.AssertionAlgs(), []string{"PS256", "HS256"}) {
		t.Errorf("%v, want PS256 and HS256", a.AssertionAlgs())
	}
	if a := DefaultSupportedMetadata(); slices.Contains(a.AssertionAlgs(), "HS256") || slices.ContainsFunc(a.AuthMethods, HasSecret) {
		t.Error("secrets are on by default")
	}
}

// The id in Basic is form-encoded (RFC 6749 2.3.1), and some clients do not encode it:
// where the gateway itself reads it, either is the client, and nobody else.
func TestEncodedIDInBasic(t *testing.T) {
	const secret = "0123456789abcdefghijklmnopqrst-_"
	for _, tc := range []struct {
		sent, id string
		method   string
		form     string
		want     bool
	}{
		{"a%2Fb%40c", "a/b@c", ClientSecretBasic, "", true},
		{"a/b@c", "a/b@c", ClientSecretBasic, "", true},
		{"a%2Fb%40c", "a/b@c", ClientSecretBasic, "client_id=a%2Fb%40c", true},
		{"a%2Fb", "a%2Fb", ClientSecretBasic, "", true}, // not encoded, and an id like that
		{"urn%3Ax%3A1", "urn:x:1", ClientSecretBasic, "", true},
		{"a%2Fb", "a/c", ClientSecretBasic, "", false},
		{"a%2Fb", "a/b", ClientSecretBasic, "client_id=c", false},
		{"a%2Fb", "c", ClientSecretBasic, "client_id=c", false},
		{"a%2Fb", "a/b", "tls_client_auth", "", false},
	} {
		who, err := ReadClientAuthentication([]string{basicHeader(tc.sent + ":" + secret)}, "", tc.form)
		if err != nil {
			t.Fatal(err)
		}
		err = who.CheckClient(&Authenticator{ClientID: tc.id, Method: tc.method, SecretHash: SecretHash(secret)}, nil)
		if (err == nil) != tc.want {
			t.Errorf("%s as %s with %q: %v", tc.sent, tc.id, tc.form, err)
		}
	}
}
