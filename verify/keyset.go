package verify

import (
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// LeftOut is a key of a JWKS that does not count, or a part of one.
type LeftOut struct {
	// KeyID is the kid, empty where there is none that can be read.
	KeyID string
	// Reason is what is wrong with it.
	Reason error
	// Certificates alone are left out: those of an x5c that cannot be read. The key
	// counts, also for signatures.
	Certificates bool
}

func (l LeftOut) String() string {
	text := "kid " + refusal.Quote(l.KeyID) + ": "
	if l.Certificates {
		text += "its x5c alone: "
	}
	return text + clip(l.Reason)
}

func clip(reason error) string {
	text := reason.Error()
	return text[:min(len(text), longestReason)]
}

// longestReason bounds what is said of one key, in bytes: some of it is the JWKS' own text.
const longestReason = 80

// UnusableKeys is in the chain of the error of a JWKS that was read whole and of which no
// key counts. Only its owner can mend that, unlike an answer that is no JWKS.
type UnusableKeys struct {
	LeftOut []LeftOut
	// Set is what is wrong with all of it, nil where it is one key or another.
	Set error
}

// namedKeys is of how many keys an error says why they do not count.
const namedKeys = 2

func (e *UnusableKeys) Error() string {
	switch {
	case e.Set != nil:
		return "no usable key: " + e.Set.Error()
	case len(e.LeftOut) == 0:
		return "no usable key: it is empty"
	}
	var texts []string
	for _, l := range e.LeftOut[:min(len(e.LeftOut), namedKeys)] {
		texts = append(texts, l.String())
	}
	if more := len(e.LeftOut) - namedKeys; more > 0 {
		texts = append(texts, fmt.Sprintf("%d more", more))
	}
	return "no usable key: " + strings.Join(texts, ", ")
}

// Unwrap gives the reasons.
func (e *UnusableKeys) Unwrap() (reasons []error) {
	for _, l := range e.LeftOut {
		reasons = append(reasons, l.Reason)
	}
	return reasons
}

// ofTPP turns the error of a JWKS that the sender of a request keeps into one that says
// what is wrong with it, where that can be mended there and nowhere else.
func ofTPP(err error) error {
	if unusable := (*UnusableKeys)(nil); errors.As(err, &unusable) {
		return fmt.Errorf("cannot be verified: the software's JWKS has %s", refusal.Advise(unusable, "publish a public key as RFC 7517 says"))
	}
	return err
}

// ParseJWKS is ReadJWKS for callers who tell nobody which keys are left out.
func ParseJWKS(data []byte) ([]Key, error) {
	keys, _, err := ReadJWKS(data)
	return keys, err
}

// ReadJWKS reads a JWK set (RFC 7517 5). Keys that cannot be read, or are of a type or
// curve that is not known, are left out, as the RFC wants, and so are RSA keys that
// anybody can factor (checkRSA). What is wrong in a member concerns those uses of the key
// that need the member: use, key_ops and alg all of them, x5c the certificates alone. A
// set with more than MaxKeys, or a private or a symmetric key, is an error.
//
// Errors: UnusableKeys where no key is left.
func ReadJWKS(data []byte) (keys []Key, leftOut []LeftOut, err error) {
	raws, err := readSet(data, MaxKeys)
	if err != nil {
		return nil, nil, fmt.Errorf("jwks: %w", err)
	}
	for _, raw := range raws {
		o, err := strictjson.ParseAnswer(raw)
		if o.Has("d") || o.Has("k") {
			return nil, nil, fmt.Errorf("jwks: %w", &UnusableKeys{Set: errPrivate})
		}
		var k Key
		if err == nil {
			k, err = parseKey(o)
		}
		if fault := (*certificatesFault)(nil); errors.As(err, &fault) {
			leftOut, err = append(leftOut, LeftOut{k.ID, fault.cause, true}), nil
		}
		if err != nil {
			id, _, _ := o.String("kid") // "" when it cannot be read
			leftOut = append(leftOut, LeftOut{KeyID: id, Reason: err})
			continue
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, leftOut, fmt.Errorf("jwks: %w", &UnusableKeys{LeftOut: leftOut})
	}
	keys[0].leftOut = leftOut
	return keys, leftOut, nil
}

var errPrivate = errors.New("it holds a private or symmetric key; publish public keys only")

// readSet is the keys of a set, each as it came.
func readSet(data []byte, most int) ([][]byte, error) {
	set, err := strictjson.ParseAnswer(data)
	if err != nil {
		return nil, err
	}
	raws, ok, err := set.Array("keys")
	switch {
	case err != nil:
		return nil, fmt.Errorf("keys: %w", err)
	case !ok:
		return nil, errors.New("keys: missing")
	case len(raws) > most:
		return nil, &UnusableKeys{Set: fmt.Errorf("it has %d keys, at most %d are read", len(raws), most)}
	}
	return raws, nil
}

// certificatesFault is the error of parseKey beside a key of which the x5c alone cannot be
// read. What of that comes before the fault counts.
type certificatesFault struct{ cause error }

func (e *certificatesFault) Error() string { return "x5c " + e.cause.Error() }

func parseKey(o strictjson.Object) (Key, error) {
	// Without its use or alg, or in spite of its key_ops, a key would verify what it is not for.
	for _, name := range []string{"use", "alg"} {
		if _, _, err := o.String(name); err != nil {
			return Key{}, fmt.Errorf("%s %w", name, err)
		}
	}
	operations, _, err := o.Strings("key_ops")
	if err != nil {
		return Key{}, fmt.Errorf("key_ops %w", err)
	}
	if _, _, err := o.String("kid"); err != nil { // it is a key all the same, for those who name none
		o = o.Without("kid")
	}
	k, err := parsePublic(o.Only(jwkMembers...))
	if err != nil {
		return Key{}, err
	}
	if pub, ok := k.public.(*rsa.PublicKey); ok {
		if err := checkRSA(pub); err != nil {
			return Key{}, err
		}
	}
	k.Operations = operations
	chain, _, err := o.Strings("x5c")
	if err != nil {
		return k, &certificatesFault{err}
	}
	for i, c := range chain {
		der, err := base64.StdEncoding.DecodeString(c)
		if err != nil {
			return k, &certificatesFault{fmt.Errorf("holds as number %d what is not base64", i+1)}
		}
		k.Certificates = append(k.Certificates, der)
	}
	return k, nil
}

// whyLeftOut is why the set has no key of this kid that counts, nil where it has none at all.
func whyLeftOut(keys []Key, id string) error {
	if len(keys) == 0 {
		return nil
	}
	all := keys[0].leftOut
	i := slices.IndexFunc(all, func(l LeftOut) bool { return l.KeyID == id && !l.Certificates })
	if i < 0 {
		return nil
	}
	return all[i].Reason
}
