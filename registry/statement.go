package registry

import (
	"fmt"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// Statement reads the software statement out of a stored request (Document). A
// client of no directory has none, nor has one of which there is no request.
func (c *Client) Statement(request []byte) (raw []byte, claims strictjson.Object, err error) {
	if c.Directory == "" || c.Document == "" {
		return nil, strictjson.Object{}, nil
	}
	body, err := verify.StoredClaims(request)
	if err == nil {
		raw, _, err = body.Bytes("software_statement")
	}
	if err == nil {
		claims, err = verify.StoredClaims(raw)
	}
	if err != nil {
		return nil, claims, fmt.Errorf("stored request of registration %s: %w", c.ID, err)
	}
	return raw, claims, nil
}
