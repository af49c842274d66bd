package verify

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"math/big"
	"slices"

	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// AppendJWKS writes the public keys of a set that may sign (RFC 7517 5), for an AS that
// cannot fetch the set itself. The same keys in the same order give the same text.
func AppendJWKS(b []byte, keys []Key) []byte {
	b = append(b, `{"keys":[`...)
	first := true
	for _, k := range keys {
		if k.Use != "" && k.Use != "sig" {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = k.appendJSON(b)
	}
	return append(b, "]}"...)
}

// WithAlgorithms is a set of keys of which each that has no alg has one, for an AS that finds
// keys by it (RFC 7517 4.4 leaves it optional): that of algorithms which fits the key. A key
// has one alg alone, so that one which several of them fit is left without.
func WithAlgorithms(keys []Key, algorithms ...string) []Key {
	named := slices.Clone(keys)
	for i := range named {
		k := &named[i]
		if k.Algorithm != "" {
			continue
		}
		var fitting []string
		for _, alg := range algorithms {
			if !slices.Contains(fitting, alg) && k.fits(alg) == nil {
				fitting = append(fitting, alg)
			}
		}
		if len(fitting) == 1 {
			k.Algorithm = fitting[0]
		}
	}
	return named
}

// KeysName tells one set of signing keys from another.
func KeysName(keys []Key) string {
	sum := sha256.Sum256(AppendJWKS(nil, keys))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (k Key) appendJSON(b []byte) []byte {
	text := func(name, value string) {
		if value == "" {
			return
		}
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		b = append(strictjson.AppendString(b, name), ':')
		b = strictjson.AppendString(b, value)
	}
	number := base64.RawURLEncoding.EncodeToString
	b = append(b, '{')
	text("kty", k.Type)
	text("kid", k.ID)
	text("use", k.Use)
	text("alg", k.Algorithm)
	switch pub := k.public.(type) {
	case *rsa.PublicKey:
		text("n", number(pub.N.Bytes()))
		text("e", number(big.NewInt(int64(pub.E)).Bytes()))
	case *ecdsa.PublicKey:
		if point, err := pub.Bytes(); err == nil { // 4, x, y; its curve was checked when it was read
			text("crv", k.Curve)
			half := (len(point) - 1) / 2
			text("x", number(point[1:1+half]))
			text("y", number(point[1+half:]))
		}
	case ed25519.PublicKey:
		text("crv", k.Curve)
		text("x", number(pub))
	}
	return append(b, '}')
}
