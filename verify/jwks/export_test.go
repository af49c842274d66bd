package jwks

import "net"

// Dialer lets the tests answer for DNS and see what is dialled.
func (c *Client) Dialer() *net.Dialer { return c.dialer }

// NewSourceOf makes a source with a reader of its own.
var NewSourceOf = newSource
