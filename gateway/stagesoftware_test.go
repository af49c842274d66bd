package gateway

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
)

// signingKey is an RSA key with its kid.
type signingKey struct {
	kid     string
	private *rsa.PrivateKey
}

// Keys are made once per test binary, when the first test asks.
var (
	directoryKey = newSigningKey("directory")
	strangerKey  = newSigningKey("stranger")
	softwareKey  = newSigningKey("software")
	transportKey = newSigningKey("transport")
	clientCA     = newClientCA("CA of the directory")
	otherCA      = newClientCA("CA of another directory")
)

func newSigningKey(kid string) func() signingKey {
	return sync.OnceValue(func() signingKey {
		private, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		return signingKey{kid, private}
	})
}

// jwk is the public JWK of the key. more are further members.
func (k signingKey) jwk(more map[string]any) map[string]any {
	b64 := base64.RawURLEncoding.EncodeToString
	m := map[string]any{"kty": "RSA", "kid": k.kid, "n": b64(k.private.N.Bytes()), "e": b64(big.NewInt(int64(k.private.E)).Bytes())}
	maps.Copy(m, more)
	return m
}

// sign makes a compact JWS with PS256, whatever the header says. more changes the header;
// nil removes a member.
func (k signingKey) sign(t testing.TB, claims, more map[string]any) string {
	t.Helper()
	header := changedClaims(map[string]any{"alg": "PS256", "kid": k.kid, "typ": "JWT"}, more)
	b64 := base64.RawURLEncoding.EncodeToString
	input := b64(jsonOf(t, header)) + "." + b64(jsonOf(t, claims))
	sum := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPSS(rand.Reader, k.private, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + b64(signature)
}

func jsonOf(t testing.TB, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// changedClaims sets claims; nil removes one (json.RawMessage("null") sets null).
func changedClaims(claims, changes map[string]any) map[string]any {
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	return claims
}

// certificateAuthority issues transport certificates.
type certificateAuthority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newClientCA(name string) func() certificateAuthority {
	return sync.OnceValue(func() certificateAuthority {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		template := &x509.Certificate{
			Subject: pkix.Name{CommonName: name}, SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true,
			KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			panic(err)
		}
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			panic(err)
		}
		return certificateAuthority{certificate, key}
	})
}

// attribute is one RDN of a certificate's subject.
type attribute struct {
	oid   asn1.ObjectIdentifier
	value string
}

var (
	oidCountry                = asn1.ObjectIdentifier{2, 5, 4, 6}
	oidOrganization           = asn1.ObjectIdentifier{2, 5, 4, 10}
	oidOrganizationIdentifier = asn1.ObjectIdentifier{2, 5, 4, 97}
	oidCommonName             = asn1.ObjectIdentifier{2, 5, 4, 3}
)

// issue makes a transport certificate. change alters it before it is signed, nil for nothing.
func (a certificateAuthority) issue(t testing.TB, subject []attribute, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	var name pkix.RDNSequence
	for _, at := range subject {
		name = append(name, pkix.RelativeDistinguishedNameSET{{Type: at.oid, Value: asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte(at.value)}}})
	}
	raw, err := asn1.Marshal(name)
	if err != nil {
		t.Fatal(err)
	}
	serial := uuid.New()
	template := &x509.Certificate{
		RawSubject: raw, SerialNumber: new(big.Int).SetBytes(serial[:]), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	if change != nil {
		change(template)
	}
	key := transportKey().private
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der, a.certificate.Raw}, PrivateKey: key, Leaf: leaf}
}

// software is a TPP's, enrolled at a directory.
type software struct {
	t          *testing.T
	issuer     string // of its statements
	statements signingKey
	requests   signingKey
	endpoint   string // of its JWKS, without what tells one software from another
	id, org    string
	subject    []attribute
	// issued is the one iat of all its statements: an older one than was used is refused.
	issued int64
	// transport is its certificate.
	transport tls.Certificate
}

// dn is the subject of its certificate as TPPs write it.
func (s *software) dn() string {
	return "CN=" + s.id + ",organizationIdentifier=" + s.subject[2].value + ",O=" + s.subject[1].value + ",C=GB"
}

// thumbprint is that of its certificate (RFC 8705 3.1).
func (s *software) thumbprint() string { return thumbprintOf(s.transport) }

func thumbprintOf(c tls.Certificate) string {
	sum := sha256.Sum256(c.Certificate[0])
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// statement is a software statement that the directory signs.
func (s *software) statement(changes map[string]any) string {
	s.t.Helper()
	return s.statements.sign(s.t, s.statementClaims(changes), nil)
}

func (s *software) statementClaims(changes map[string]any) map[string]any {
	return changedClaims(map[string]any{
		"iss": s.issuer, "iat": s.issued, "jti": uuid.NewString(),
		"software_mode": "Live", "software_id": s.id, "software_client_id": s.id, "software_client_name": "Accounts of " + s.org, "software_roles": []string{"AISP"},
		"software_redirect_uris": []string{"https://tpp.example/callback", "https://tpp.example/other"},
		"org_status":             "Active", "org_id": s.org, "org_name": s.subject[1].value,
		"software_jwks_endpoint": s.endpoint + s.id + ".jwks", "software_jwks_revoked_endpoint": s.endpoint + "revoked.jwks",
		"org_jwks_endpoint": s.endpoint + s.org + ".jwks", "org_jwks_revoked_endpoint": s.endpoint + "revoked.jwks",
	}, changes)
}

// request is a signed registration request.
func (s *software) request(changes map[string]any) string {
	s.t.Helper()
	return s.requests.sign(s.t, s.requestClaims(changes), nil)
}

func (s *software) requestClaims(changes map[string]any) map[string]any {
	s.t.Helper()
	claims := map[string]any{
		"iss": s.id, "aud": stageBank, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(), "jti": uuid.NewString(),
		"software_id": s.id, "redirect_uris": []string{"https://tpp.example/callback", "https://tpp.example/other"},
		"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": s.dn(),
		"grant_types": []string{"authorization_code", "refresh_token", "client_credentials"}, "response_types": []string{"code id_token"},
		"application_type": "web", "id_token_signed_response_alg": "PS256", "request_object_signing_alg": "PS256", "scope": "openid accounts",
	}
	if _, ok := changes["software_statement"]; !ok {
		claims["software_statement"] = s.statement(nil)
	}
	return changedClaims(claims, changes)
}

// assertion is a client assertion (RFC 7523) of its own, as form parameters.
func (s *software) assertion(clientID string, audience, typ any) string {
	s.t.Helper()
	signed := s.requests.sign(s.t, map[string]any{
		"iss": clientID, "sub": clientID, "aud": audience, "jti": uuid.NewString(), "iat": time.Now().Unix(), "exp": time.Now().Add(10 * time.Minute).Unix(),
	}, map[string]any{"typ": typ})
	return "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=" + signed
}
