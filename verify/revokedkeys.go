package verify

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// MaxRevokedKeys is the number of keys in one JWKS of revoked keys, at most. It is
// larger than MaxKeys because such a set only grows, and nobody registers while it
// is too large.
const MaxRevokedKeys = 1000

// ParseRevokedJWKS reads the JWK set of a software_jwks_revoked_endpoint: keys that
// must not be believed any more. Unlike ParseJWKS it takes the empty set, which is
// the normal one, and never skips a key: one that cannot be read, or is of an
// unknown type, counts by its kid, and without one the set is an error. What it returns is for Key.CheckRevoked, and
// verifies nothing. It is never nil without an error.
func ParseRevokedJWKS(data []byte) ([]Key, error) {
	raws, err := readSet(data, MaxRevokedKeys)
	if err != nil {
		return nil, fmt.Errorf("revoked jwks: %w", err)
	}
	keys := make([]Key, 0, len(raws))
	for _, raw := range raws {
		o, err := strictjson.ParseAnswer(raw)
		id, _, _ := o.String("kid") // "" when it is no string, as when there is none
		var k Key
		if err == nil {
			k, err = parsePublic(o.Only(materialMembers...))
		}
		if err != nil && id == "" {
			return nil, fmt.Errorf("revoked jwks: a key without kid that cannot be read: %w", err)
		}
		if err != nil {
			k = Key{}
		}
		k.ID, k.revoked = id, true
		keys = append(keys, k)
	}
	return keys, nil
}

// CheckRevoked refuses a key that has verified a signature when the set of revoked
// keys holds the same public key (the one of the same RFC 7638 thumbprint), under
// whatever kid, or another under the same kid. The error's text continues a
// sentence that begins with the name of the thing that was signed; it is an *Error
// of kind Unavailable when the set cannot be fetched: then nothing is known, and
// no key is believed.
func (k Key) CheckRevoked(ctx context.Context, revoked KeySource) error {
	keys, err := revoked.Keys(ctx)
	if err != nil {
		e := refusal.New(refusal.Unavailable, "revoked_jwks", "the list of revoked keys cannot be fetched now; try again later").Because(err)
		e.RetryAfter = retryKeys
		return e
	}
	for _, r := range keys {
		if r.ID != "" && (k.ID == r.ID || slices.Contains(k.aliases, r.ID)) || k.same(r) {
			return fmt.Errorf("%w (kid %s); sign with a current one", errRevokedKey, refusal.Quote(k.ID))
		}
	}
	return nil
}

var errRevokedKey = errors.New("is signed with a key that the directory has revoked")

// same tells whether both are one public key.
func (k Key) same(other Key) bool {
	pub, ok := k.public.(interface{ Equal(crypto.PublicKey) bool })
	return ok && other.public != nil && pub.Equal(other.public)
}
