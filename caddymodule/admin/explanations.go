package admin

import (
	"context"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// maxExplanations bounds a page: each may have 56 KiB.
const maxExplanations = 100

// explanations are what was checked of requests: of those with one support code, or of
// all that are kept.
func (c *call) explanations() (any, error) {
	if _, one := c.parameters["code"]; !one {
		return list(c, func(ctx context.Context, workspace, cursor string, limit int) ([]registry.Explanation, string, error) {
			return c.registry.KeptExplanations(ctx, workspace, cursor, min(limit, maxExplanations))
		})
	}
	q, err := c.query([]string{"code"})
	if err != nil {
		return nil, err
	}
	found, err := c.registry.Explanations(c.r.Context(), q["code"])
	if err != nil {
		return nil, err
	}
	return page{Entries: found}, nil
}
