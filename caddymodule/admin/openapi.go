package admin

import (
	"encoding/json"

	"github.com/caddy-dcr/caddy-dcr/docs"
)

// openAPI describes this API.
func (c *call) openAPI() (any, error) {
	_, err := c.query(nil)
	return json.RawMessage(docs.AdminAPI), err
}
