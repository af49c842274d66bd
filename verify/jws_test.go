package verify

import (
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

const (
	plainHeader  = `{"alg":"PS256","kid":"a","typ":"JWT"}`
	plainPayload = `{"iss":"x"}`
)

// The front entryPoint: what is not a compact JWS in its one spelling does not get in.
func TestSplitJWSRefuses(t *testing.T) {
	h, p, s := b64(plainHeader), b64(plainPayload), b64("signature")
	if len(p)%4 == 0 || len(s)%4 != 0 {
		t.Fatal("fixture: the payload needs unused bits, the signature none")
	}
	withHeader := func(header string) string { return b64(header) + "." + p + "." + s }
	for _, tc := range []struct{ name, raw, want string }{
		{"nothing", "", "three segments"},
		{"line end only", "\r\n", "three segments"},
		{"one segment", h, "three segments"},
		{"two segments", h + "." + p, "three segments"},
		{"four segments", h + "." + p + "." + s + "." + s, "three segments"},
		{"four segments, last empty", h + "." + p + "." + s + ".", "three segments"},
		{"JWE of five", h + "." + p + "." + s + "." + s + "." + s, "three segments"},
		{"JSON serialization", `{"payload":"` + p + `","signatures":[{"protected":"` + h + `","signature":"` + s + `"}]}`, "three segments"},
		{"empty header", "." + p + "." + s, "empty header"},
		{"empty payload", h + ".." + s, "empty payload"},
		{"empty signature", h + "." + p + ".", "empty signature"},
		{"all empty", "..", "empty header"},
		{"header padded", b64(`{"alg":"PS256"}1`) + "==." + p + "." + s, "header that is not base64url"},
		{"payload padded", h + "." + p + "=." + s, "payload that is not base64url"},
		{"signature padded", h + "." + p + "." + s[:10] + "==", "signature that is not base64url"},
		{"plus of plain base64", h + "." + p + "." + "ab+d", "signature that is not base64url"},
		{"slash of plain base64", h + "." + p + "." + "ab/d", "signature that is not base64url"},
		{"line feed inside header", h[:4] + "\n" + h[4:] + "." + p + "." + s, "header that is not base64url"},
		{"carriage return inside payload", h + "." + p[:4] + "\r" + p[4:] + "." + s, "payload that is not base64url"},
		{"CRLF inside signature", h + "." + p + "." + s[:4] + "\r\n" + s[4:], "signature that is not base64url"},
		{"blank inside", h + ". " + p + "." + s, "payload that is not base64url"},
		{"leading blank", " " + h + "." + p + "." + s, "header that is not base64url"},
		{"trailing blank", h + "." + p + "." + s + " ", "signature that is not base64url"},
		{"two trailing CRLF", h + "." + p + "." + s + "\r\n\r\n", "signature that is not base64url"},
		{"trailing LF CRLF", h + "." + p + "." + s + "\n\r\n", "signature that is not base64url"},
		{"trailing CR", h + "." + p + "." + s + "\r", "signature that is not base64url"},
		{"byte order mark", "\ufeff" + h + "." + p + "." + s, "header that is not base64url"},
		{"payload of 4n+1 characters", h + ".AAAAA." + s, "payload that is not canonical"},
		{"signature of 4n+1 characters", h + "." + p + ".AAAAA", "signature that is not canonical"},
		{"last character of payload", h + "." + nextCharacter(p) + "." + s, "payload that is not canonical"},
		{"last character of signature, 2 bits", h + "." + p + ".AAB", "signature that is not canonical"},
		{"last character of signature, 4 bits", h + "." + p + ".AAAAAB", "signature that is not canonical"},

		{"header is an array", withHeader(`["PS256"]`), "no acceptable JSON object"},
		{"header is a string", withHeader(`"PS256"`), "no acceptable JSON object"},
		{"alg twice", withHeader(`{"alg":"PS256","alg":"none"}`), "'alg' twice"},
		{"alg twice, once escaped", withHeader(`{"alg":"PS256","\u0061lg":"none"}`), "'alg' twice"},
		{"duplicate below", withHeader(`{"alg":"PS256","x":{"a":1,"a":2}}`), "'a' twice"},
		{"trailing text in header", withHeader(`{"alg":"PS256"}{}`), "text after the object"},
		{"header not UTF-8", withHeader("{\"alg\":\"PS256\",\"x\":\"\xff\"}"), "not UTF-8"},
		{"no alg", withHeader(`{"kid":"a"}`), "no alg"},
		{"alg in capitals only", withHeader(`{"ALG":"PS256"}`), "no alg"},
		{"alg with capital", withHeader(`{"Alg":"PS256"}`), "no alg"},
		{"alg null", withHeader(`{"alg":null}`), "no alg"},
		{"alg a list", withHeader(`{"alg":["PS256"]}`), "no alg"},
		{"alg empty", withHeader(`{"alg":""}`), "has alg ''"},
		{"alg none", withHeader(`{"alg":"none"}`), "has alg 'none'; accepted are PS256, ES256"},
		{"alg None", withHeader(`{"alg":"None"}`), "has alg 'None'"},
		{"alg HS256", withHeader(`{"alg":"HS256"}`), "has alg 'HS256'"},
		{"alg RS256", withHeader(`{"alg":"RS256"}`), "has alg 'RS256'"},
		{"alg lower case", withHeader(`{"alg":"ps256"}`), "has alg 'ps256'"},
		{"alg with blank", withHeader(`{"alg":"PS256 "}`), "has alg 'PS256 '"},
		{"alg not in the list", withHeader(`{"alg":"PS384"}`), "has alg 'PS384'"},
		{"kid a number", withHeader(`{"alg":"PS256","kid":1}`), "kid that is a number"},
		{"jku", withHeader(`{"alg":"PS256","jku":"https://evil.example/keys"}`), "'jku'"},
		{"jwk", withHeader(`{"alg":"PS256","jwk":{}}`), "'jwk'"},
		{"jwk null", withHeader(`{"alg":"PS256","jwk":null}`), "'jwk'"},
		{"x5u", withHeader(`{"alg":"PS256","x5u":"https://evil.example/"}`), "'x5u'"},
		{"x5c", withHeader(`{"alg":"PS256","x5c":[]}`), "'x5c'"},
		{"escaped name of jku", withHeader(`{"alg":"PS256","j\u006bu":"https://evil.example/keys"}`), "'jku'"},
		{"crit", withHeader(`{"alg":"PS256","crit":["exp"],"exp":1}`), "'crit'"},
		{"crit empty", withHeader(`{"alg":"PS256","crit":[]}`), "'crit'"},
		{"b64 false", withHeader(`{"alg":"PS256","b64":false}`), "'b64'"},
		{"b64 true", withHeader(`{"alg":"PS256","b64":true}`), "'b64'"},
		{"typ at+jwt", withHeader(`{"alg":"PS256","typ":"at+jwt"}`), "typ 'at+jwt'"},
		{"typ AT+JWT", withHeader(`{"alg":"PS256","typ":"AT+JWT"}`), "typ 'AT+JWT'"},
		{"typ dpop+jwt", withHeader(`{"alg":"PS256","typ":"dpop+jwt"}`), "typ 'dpop+jwt'"},
		{"typ logout+jwt", withHeader(`{"alg":"PS256","typ":"logout+jwt"}`), "typ 'logout+jwt'"},
		{"typ application/at+jwt", withHeader(`{"alg":"PS256","typ":"application/at+jwt"}`), "typ 'application/at+jwt'"},
		{"typ of a client assertion", withHeader(`{"alg":"PS256","typ":"client-authentication+jwt"}`), "another kind of token"},
		{"typ of application/ alone", withHeader(`{"alg":"PS256","typ":"application/"}`), "typ 'application/'"},
		{"typ application/ twice", withHeader(`{"alg":"PS256","typ":"application/application/jwt"}`), "another kind of token"},
		{"typ empty", withHeader(`{"alg":"PS256","typ":""}`), "typ ''"},
		{"typ null", withHeader(`{"alg":"PS256","typ":null}`), "typ that is null"},

		{"payload is an array", h + "." + b64(`["x"]`) + "." + s, "payload that is no acceptable JSON object"},
		{"payload is a string", h + "." + b64(`"x"`) + "." + s, "payload that is no acceptable JSON object"},
		{"payload is text", h + "." + b64(`hello`) + "." + s, "payload that is no acceptable JSON object"},
		{"payload has a duplicate", h + "." + b64(`{"iss":"x","iss":"y"}`) + "." + s, "'iss' twice"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := SplitJWS([]byte(tc.raw), DefaultAlgorithms, nil)
			if err == nil {
				t.Fatalf("accepted as %+v", got)
			}
			if text := refusal.New(refusal.InvalidClientMetadata, "x", "%w", err).Description; !strings.Contains(text, tc.want) {
				t.Errorf("refused with %q, want %q", text, tc.want)
			}
		})
	}
}

// nextCharacter sets the lowest unused bit of the last character: lenient
// decoders give the same bytes.
func nextCharacter(segment string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, segment[len(segment)-1])
	return segment[:len(segment)-1] + string(alphabet[last+1])
}

func TestSplitJWSAccepts(t *testing.T) {
	p, s := b64(plainPayload), b64("signature")
	for _, tc := range []struct{ name, header, end string }{
		{"typ JWT", plainHeader, ""},
		{"typ absent", `{"alg":"PS256","kid":"a"}`, ""},
		{"typ jose in capitals", `{"alg":"PS256","kid":"a","typ":"JOSE"}`, ""},
		{"typ application/jwt", `{"alg":"PS256","kid":"a","typ":"application/jwt"}`, ""},
		{"typ application/jws", `{"alg":"PS256","kid":"a","typ":"Application/JWS"}`, ""},
		{"other names in capitals do not count", `{"alg":"PS256","kid":"a","KID":"b","ALG":"none","JKU":"https://evil.example/"}`, ""},
		{"cty", `{"alg":"PS256","kid":"a","cty":"json"}`, ""},
		{"one trailing CRLF", plainHeader, "\r\n"},
		{"one trailing LF", plainHeader, "\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			raw := b64(tc.header) + "." + p + "." + s
			got, err := SplitJWS([]byte(raw+tc.end), DefaultAlgorithms, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got.Algorithm != "PS256" || got.KeyID != "a" || string(got.Raw) != raw {
				t.Errorf("got alg %q, kid %q, raw %q", got.Algorithm, got.KeyID, got.Raw)
			}
			if iss, ok, err := got.Claims.String("iss"); iss != "x" || !ok || err != nil {
				t.Errorf("got iss %q, %v, %v", iss, ok, err)
			}
		})
	}
}

// With a list of types an absent typ is none of them.
func TestSplitJWSNamedTypes(t *testing.T) {
	for _, tc := range []struct {
		name, header string
		ok           bool
	}{
		{"at+jwt", `{"alg":"PS256","typ":"at+jwt"}`, true},
		{"any case", `{"alg":"PS256","typ":"At+JWT"}`, true},
		{"the whole media type", `{"alg":"PS256","typ":"Application/at+JWT"}`, true},
		{"absent", `{"alg":"PS256"}`, false},
		{"neutral", `{"alg":"PS256","typ":"JWT"}`, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := SplitJWS([]byte(b64(tc.header)+"."+b64(plainPayload)+"."+b64("s")), DefaultAlgorithms, DefaultTokenTypes)
			if (err == nil) != tc.ok {
				t.Errorf("got %v", err)
			}
		})
	}
}

// The result of UnverifiedClaims names the client at the token endpoint: it is
// as strict about spelling as SplitJWS.
func TestUnverifiedClaims(t *testing.T) {
	for _, tc := range []struct {
		name, raw string
		ok        bool
	}{
		{"plain", "e30." + b64(plainPayload) + ".c2ln", true},
		{"two segments", "e30." + b64(plainPayload), false},
		{"JWE", "e30." + b64(plainPayload) + ".a.b.c", false},
		{"padded", "e30." + b64(plainPayload) + "=.c2ln", false},
		{"line end inside", "e30." + b64(plainPayload) + "\n.c2ln", false},
		{"duplicate", "e30." + b64(`{"iss":"x","iss":"y"}`) + ".c2ln", false},
		{"not an object", "e30." + b64(`[]`) + ".c2ln", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			claims, err := UnverifiedClaims([]byte(tc.raw))
			if (err == nil) != tc.ok {
				t.Fatalf("got %v", err)
			}
			if iss, _, _ := claims.String("iss"); tc.ok && iss != "x" {
				t.Errorf("got iss %q", iss)
			}
		})
	}
}
