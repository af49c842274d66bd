package selftest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// signingKey signs JWTs.
type signingKey struct {
	id        string
	algorithm string
	private   any
}

// curves of the algorithms of RFC 7518 3.4.
var curves = map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()}

// rsaBits is the size of RSA keys.
const rsaBits = 2048

func newSigningKey(algorithm string) (*signingKey, error) {
	var private crypto.Signer
	var err error
	switch {
	case curves[algorithm] != nil:
		private, err = ecdsa.GenerateKey(curves[algorithm], rand.Reader)
	case algorithm == "EdDSA":
		_, private, err = ed25519.GenerateKey(rand.Reader)
	case strings.HasPrefix(algorithm, "PS"), strings.HasPrefix(algorithm, "RS"):
		private, err = rsa.GenerateKey(rand.Reader, rsaBits)
	default:
		err = fmt.Errorf("no keys are made for %s", algorithm)
	}
	return &signingKey{rand.Text(), algorithm, private}, err
}

// sign makes a compact JWS with kid and typ JWT. header sets members, or replaces them, alg
// too (the signature stays the key's own); nil takes one away.
func (k *signingKey) sign(claims any, header map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	return k.signPayload(payload, header)
}

func (k *signingKey) signPayload(payload []byte, header map[string]any) (string, error) {
	members := map[jose.HeaderKey]any{"typ": "JWT", "kid": k.id}
	for name, value := range header {
		if value == nil {
			delete(members, jose.HeaderKey(name))
			continue
		}
		members[jose.HeaderKey(name)] = value
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(k.algorithm), Key: k.private}, &jose.SignerOptions{ExtraHeaders: members})
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

// jwk is the public key.
func (k *signingKey) jwk() jose.JSONWebKey {
	return jose.JSONWebKey{Key: k.private.(crypto.Signer).Public(), KeyID: k.id, Algorithm: k.algorithm, Use: "sig"}
}

// confused is a key whose secret is the public key of another: who verifies without a look
// at alg takes its signature (CVE-2015-9235).
func (k *signingKey) confused() (*signingKey, error) {
	der, err := x509.MarshalPKIXPublicKey(k.private.(crypto.Signer).Public())
	return &signingKey{k.id, "HS256", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})}, err
}

// unsigned is a JWS with alg none (RFC 7515 appendix A.5).
func unsigned(claims any) (string, error) {
	payload, err := json.Marshal(claims)
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"none"}`)) + "." + encode(payload) + ".", err
}

// altered is a JWS with another character in the middle of its signature.
func altered(jws string) string {
	at := strings.LastIndexByte(jws, '.') + 10
	if at >= len(jws) {
		return jws + "AAAA"
	}
	other := "A"
	if jws[at] == 'A' {
		other = "B"
	}
	return jws[:at] + other + jws[at+1:]
}
