package directory

import (
	"crypto"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// A Key signs JWTs.
type Key struct {
	// ID is the kid: the RFC 7638 thumbprint.
	ID string
	// Algorithm is PS256 for an RSA key, ES256 for one on P-256.
	Algorithm jose.SignatureAlgorithm
	// Private may also be a []byte with an HS algorithm, for hostile tests.
	Private any
}

// NewKey makes a key that nobody else has: RSA-2048 for PS256, P-256 for ES256.
func NewKey(algorithm jose.SignatureAlgorithm) (Key, error) {
	return newKey(algorithm, KeyType.generate)
}

func newKey(algorithm jose.SignatureAlgorithm, generate func(KeyType) (crypto.Signer, error)) (Key, error) {
	var keyType KeyType
	switch algorithm {
	case jose.PS256:
		keyType = RSA2048
	case jose.ES256:
		keyType = P256
	default:
		return Key{}, fmt.Errorf("no keys are made for %s", algorithm)
	}
	private, err := generate(keyType)
	if err != nil {
		return Key{}, err
	}
	jwk := jose.JSONWebKey{Key: private.Public()}
	id, err := thumbprint(&jwk)
	return Key{ID: id, Algorithm: algorithm, Private: private}, err
}

// Sign makes a compact JWS with kid and typ JWT. header sets members or replaces
// them, alg too (the signature stays the key's own); nil removes kid and typ.
func (k Key) Sign(claims any, header map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("claims: %w", err)
	}
	return k.SignPayload(payload, header)
}

// SignPayload is Sign for a payload that need not be JSON.
func (k Key) SignPayload(payload []byte, header map[string]any) (string, error) {
	members := map[jose.HeaderKey]any{"typ": "JWT", "kid": k.ID}
	for name, value := range header {
		if value == nil {
			delete(members, jose.HeaderKey(name))
			continue
		}
		members[jose.HeaderKey(name)] = value
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: k.Algorithm, Key: k.Private}, &jose.SignerOptions{ExtraHeaders: members})
	if err != nil {
		return "", fmt.Errorf("signer: %w", err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	return signed.CompactSerialize()
}

// JWK is the public key with use sig.
func (k Key) JWK() (jose.JSONWebKey, error) {
	private, ok := k.Private.(crypto.Signer)
	if !ok {
		return jose.JSONWebKey{}, fmt.Errorf("a %T has no public key", k.Private)
	}
	return jose.JSONWebKey{Key: private.Public(), KeyID: k.ID, Algorithm: string(k.Algorithm), Use: "sig"}, nil
}

// transportJWK is a transport certificate as the Open Banking directory
// publishes it: use tls, with x5c.
func transportJWK(certificate tls.Certificate) (jose.JSONWebKey, error) {
	certificates, err := chain(certificate)
	if err != nil {
		return jose.JSONWebKey{}, err
	}
	jwk := jose.JSONWebKey{Key: certificates[0].PublicKey, Use: "tls", Certificates: certificates}
	jwk.KeyID, err = thumbprint(&jwk)
	return jwk, err
}

func thumbprint(jwk *jose.JSONWebKey) (string, error) {
	sum, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("thumbprint: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}
