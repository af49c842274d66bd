package authserver

import (
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// KeysFor is a set of the software's keys as the AS is told them for a client (keys inline):
// those without an alg, as the directory publishes them, have the one that the client is
// registered to sign with, because some ASs find keys by that where a JWS names no kid. It signs assertions, request
// objects and CIBA requests; where it is registered to sign these with different algorithms
// that fit one key, that key stays as it is.
func KeysFor(c *registry.Client, keys []verify.Key) []verify.Key {
	m := &c.Metadata
	algorithms := []string{m.RequestObjectSigningAlg, m.BackchannelAlg}
	if m.TokenEndpointAuthMethod == "private_key_jwt" {
		algorithms = append(algorithms, m.TokenEndpointSigningAlg)
	}
	return verify.WithAlgorithms(keys, algorithms...)
}
