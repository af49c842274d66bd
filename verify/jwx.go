package verify

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	_ "crypto/sha256"
	_ "crypto/sha512"
	"errors"
	"fmt"

	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// This file is the only one that knows jwx. What it is trusted with is small on
// purpose: one JWK to one public key, one signature with one algorithm and one
// key. By itself jws.Verify takes "none" in the header, any crit, padded and
// non-canonical base64 and JSON serialization; here its verifier of one algorithm
// is asked, after SplitJWS and Key.fits.

// pssHashes are those of the PS algorithms.
var pssHashes = map[string]crypto.Hash{"PS256": crypto.SHA256, "PS384": crypto.SHA384, "PS512": crypto.SHA512}

// verifySignature verifies with exactly this algorithm and key.
func verifySignature(signed, signature []byte, alg string, key any) error {
	if hash, ok := pssHashes[alg]; ok { // jwx takes a salt of any length, RFC 7518 3.5 one as long as the hash
		pub, ok := key.(*rsa.PublicKey)
		if !ok {
			return fmt.Errorf("no RSA key but %T", key)
		}
		h := hash.New()
		h.Write(signed)
		return rsa.VerifyPSS(pub, hash, h.Sum(nil), signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	}
	verifier, err := jws.NewVerifier(jwa.SignatureAlgorithm(alg))
	if err != nil {
		return err
	}
	return verifier.Verify(signed, signature, key)
}

// maxExponent is F4: a larger one only costs more to verify with. jwx keeps the
// last 64 bits of an exponent, so that of more than exponentText characters,
// 8 bytes, it would read another number than is written.
const (
	maxExponent  = 65537
	exponentText = 11
)

// jwkMembers are those that jwx is shown. It takes names in any case, so that
// "KTY" would be one more way to write a key, and members that nobody needs here.
var jwkMembers = []string{"kty", "kid", "use", "alg", "crv", "n", "e", "x", "y"}

// materialMembers are those of them that make the key itself.
var materialMembers = []string{"kty", "crv", "n", "e", "x", "y"}

// parsePublic reads the key itself, and what jwx knows of the members about it.
func parsePublic(o strictjson.Object) (Key, error) {
	parsed, err := jwk.ParseKey(o.AppendJSON(nil))
	if err != nil {
		return Key{}, err
	}
	k := Key{ID: parsed.KeyID(), Use: parsed.KeyUsage(), Algorithm: parsed.Algorithm().String()}
	if err := parsed.Raw(&k.public); err != nil {
		return Key{}, err
	}
	switch pub := k.public.(type) {
	case *rsa.PublicKey:
		k.Type, k.Bits = "RSA", pub.N.BitLen()
		if e, _, err := o.Bytes("e"); err != nil || len(e) > exponentText || pub.E < 3 || pub.E%2 == 0 || pub.E > maxExponent {
			return Key{}, errors.New("rsa exponent")
		}
	case *ecdsa.PublicKey:
		k.Type, k.Curve = "EC", pub.Curve.Params().Name
		if _, err := pub.ECDH(); err != nil { // also says whether the point is on the curve
			return Key{}, err
		}
	case ed25519.PublicKey:
		k.Type, k.Curve = "OKP", "Ed25519"
		if len(pub) != ed25519.PublicKeySize { // the standard library panics over such a key
			return Key{}, errors.New("ed25519 key of another length")
		}
	default:
		return Key{}, fmt.Errorf("key type %T", pub)
	}
	return k, nil
}
