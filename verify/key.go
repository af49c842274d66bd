package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// Bounds of keys and key sets.
const (
	MinRSABits = 2048
	// MaxRSABits caps the cost of one verification: 8192 bits cost about 1.4 ms.
	MaxRSABits = 8192
	// MaxKeys is the number of keys in one JWKS, at most.
	MaxKeys = 100
	// maxTries bounds the keys that are tried for a JWS, without a kid or of one kid.
	maxTries = 8
	// maxCost bounds the cost of trying them: twice that of the dearest key, so that
	// a rotation of any kind of key has room, and about 3 ms at most.
	maxCost = 32
)

// Key is one public key of a JWKS. Keys come from ParseJWKS, or from
// ParseRevokedJWKS as those that no longer count.
type Key struct {
	// ID is the kid, may be empty.
	ID string
	// Use is the JWK's use: sig, enc, tls or empty.
	Use string
	// Algorithm is the JWK's alg, may be empty.
	Algorithm string
	// Type is the kty (RSA, EC, OKP), Curve the crv, Bits an RSA modulus' length.
	Type, Curve string
	Bits        int
	// Operations is the JWK's key_ops (RFC 7517 4.3), nil when it has none.
	Operations []string
	// Certificates is the x5c chain as DER, leaf first.
	Certificates [][]byte

	public  any
	revoked bool // of a set of revoked keys: verifies nothing
	// leftOut, of the first key of a set, are the keys of the set that do not count.
	leftOut []LeftOut
	// aliases are the kids under which its set has the same key again.
	aliases []string
}

// KeySource gives the keys of one JWKS: a file, or a URL with a cache.
type KeySource interface {
	// Keys returns the current keys. An error means that there is no usable key
	// now (the TPP is told to come back), never that a key is unknown.
	Keys(ctx context.Context) ([]Key, error)
	// Refresh is asked when a kid is not among Keys. It returns the keys after
	// one more fetch, or the same as before when the source is rate-limited or
	// has nothing newer.
	Refresh(ctx context.Context) ([]Key, error)
}

// FixedKeys is a KeySource that never changes: a JWKS file.
type FixedKeys []Key

// Keys returns the keys.
func (k FixedKeys) Keys(context.Context) ([]Key, error) { return k, nil }

// Refresh returns the keys: a file has no newer ones.
func (k FixedKeys) Refresh(context.Context) ([]Key, error) { return k, nil }

var (
	errSignature      = errors.New("has a signature that does not verify with the key of its kid")
	errSignatureNoKid = errors.New("has no kid, and a signature that does not verify with exactly one of the keys of the JWKS that fit; name the kid, and sign with its key")
)

// VerifyWith verifies the signature with a key of the source. The error's text
// continues a sentence that begins with the name of the thing.
func (t *JWS) VerifyWith(ctx context.Context, source KeySource) error {
	_, err := t.VerifiedBy(ctx, source)
	return err
}

// VerifiedBy is VerifyWith for callers that have more to ask about the key that
// verified: CheckRevoked. The key is the zero Key with an error.
func (t *JWS) VerifiedBy(ctx context.Context, source KeySource) (Key, error) {
	keys, err := source.Keys(ctx)
	if err != nil {
		return Key{}, unavailableKeys(err)
	}
	k, err := t.verify(keys)
	if !errors.Is(err, errUnknownKey) {
		return k, err
	}
	if keys, err = source.Refresh(ctx); err != nil {
		return Key{}, unavailableKeys(err)
	}
	return t.verify(keys)
}

// retryKeys is when a TPP is told to come back where there are no keys: by then
// a source may try again.
const retryKeys = 5 * time.Second

func unavailableKeys(err error) error {
	e := refusal.New(refusal.Unavailable, "jwks", "the keys to verify this with cannot be fetched now; try again later").Because(err)
	e.RetryAfter = retryKeys
	return e
}

var errUnknownKey = errors.New("is signed with a key that is not in the JWKS")

// verify finds the key and checks the signature: exactly one of the keys that fit must
// verify. With a kid only those of that kid may; a set should have one of each (RFC 7517
// 4.5), and some have several, for other uses and algorithms or after a rotation.
func (t *JWS) verify(keys []Key) (by Key, err error) {
	candidates, err := t.candidates(keys)
	if err != nil {
		return Key{}, err
	}
	verified := 0
	for _, k := range candidates {
		if verifySignature(t.signed(), t.signature, t.Algorithm, k.public) == nil {
			by = k
			verified++
		}
	}
	switch {
	case verified == 1:
		return by, nil
	case t.KeyID == "":
		return Key{}, errSignatureNoKid
	}
	return Key{}, errSignature
}

// candidates are the keys that may have signed, each once: at least one, and no more than
// are worth trying.
func (t *JWS) candidates(keys []Key) ([]Key, error) {
	var fit []Key
	var misfit error
	cost := 0
	for _, k := range keys {
		if t.KeyID != "" && k.ID != t.KeyID {
			continue
		}
		if err := k.fits(t.Algorithm); err != nil {
			misfit = err
			continue
		}
		if i := slices.IndexFunc(fit, k.same); i >= 0 { // the same key twice is no ambiguity
			fit[i].aliases = append(fit[i].aliases, k.ID)
			continue
		}
		if len(fit) > maxTries {
			break
		}
		fit = append(fit, k)
		cost += k.cost()
	}
	switch {
	case len(fit) == 0 && misfit != nil && t.KeyID != "":
		return nil, misfit
	case len(fit) == 0:
		return nil, unknownKey(keys, t.KeyID)
	case len(fit) <= maxTries && cost <= maxCost:
		return fit, nil
	case t.KeyID != "":
		return nil, fmt.Errorf("names kid %s, which more keys of the JWKS have than are tried; give each key a kid of its own", refusal.Quote(t.KeyID))
	case len(fit) > maxTries:
		return nil, fmt.Errorf("has no kid, and more than %d keys of the JWKS fit; name the kid", maxTries)
	}
	return nil, errors.New("has no kid, and the keys of the JWKS that fit are too large to try them all; name the kid")
}

// unknownKey says that no key of the set may have signed. The owner of one that is there
// and does not count would look for it in vain.
func unknownKey(keys []Key, id string) error {
	switch why := whyLeftOut(keys, id); {
	case id == "":
		return fmt.Errorf("%w: it names no kid, and no key there fits its alg", errUnknownKey)
	case isWeak(why):
		return fmt.Errorf("%w (kid %s) as one that counts: there it is %w; make a new key and publish that", errUnknownKey, refusal.Quote(id), why)
	case why != nil:
		return fmt.Errorf("%w (kid %s) as one that counts: there it cannot be read: %s", errUnknownKey, refusal.Quote(id), clip(why))
	}
	return fmt.Errorf("%w (kid %s)", errUnknownKey, refusal.Quote(id))
}

// cost is that of one verification as multiples of about 90 us: quadratic in an
// RSA modulus' length (8192 bits: 1.4 ms), measured for the curves.
func (k Key) cost() int {
	switch k.Curve {
	case "P-384":
		return 5
	case "P-521":
		return 16
	}
	n := max(1, (k.Bits+2047)/2048)
	return n * n
}

// Verifies tells whether the key could verify what is signed with one of the algorithms.
func (k Key) Verifies(algorithms []string) bool {
	return slices.ContainsFunc(algorithms, func(alg string) bool { return k.fits(alg) == nil })
}

// fits tells whether the key may be used with alg: the algorithm is decided by
// the key, never by the token alone.
func (k Key) fits(alg string) error {
	if k.revoked {
		return errRevokedKey
	}
	if k.Use != "" && k.Use != "sig" {
		return fmt.Errorf("is signed with a key whose use is %s, not sig", refusal.Quote(k.Use))
	}
	if k.Operations != nil && !slices.Contains(k.Operations, "verify") {
		return fmt.Errorf("is signed with a key whose key_ops are %s, without verify", refusal.Quote(strings.Join(k.Operations, " ")))
	}
	if k.Algorithm != "" && k.Algorithm != alg {
		return fmt.Errorf("has alg %s, but its key is for %s", alg, refusal.Quote(k.Algorithm))
	}
	ok := false
	switch {
	case !slices.Contains(SupportedAlgorithms, alg):
	case strings.HasPrefix(alg, "PS"), strings.HasPrefix(alg, "RS"):
		ok = k.Type == "RSA"
		if ok && (k.Bits < MinRSABits || k.Bits > MaxRSABits) {
			return fmt.Errorf("is signed with an RSA key of %d bits; %d to %d are accepted", k.Bits, MinRSABits, MaxRSABits)
		}
	case strings.HasPrefix(alg, "ES"):
		i := slices.Index([]string{"ES256", "ES384", "ES512"}, alg)
		ok = k.Type == "EC" && i >= 0 && k.Curve == []string{"P-256", "P-384", "P-521"}[i]
	case alg == "EdDSA":
		ok = k.Type == "OKP" && k.Curve == "Ed25519"
	}
	if !ok {
		return fmt.Errorf("has alg %s, which does not fit its %s key", alg, k.Type)
	}
	return nil
}
