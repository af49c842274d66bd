package jwks

import (
	"context"
	"net"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// Dialer lets the tests answer for DNS and see what is dialled.
func (c *Client) Dialer() *net.Dialer { return c.dialer }

// NewSourceOf makes a source with a reader of its own.
var NewSourceOf = newSource

// Fetch is what a caller does who has seen so many attempts when it decided to.
func (s *Source) Fetch(ctx context.Context, tries uint64) ([]verify.Key, error) {
	return s.fetch(ctx, tries)
}
