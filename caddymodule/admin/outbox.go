package admin

import (
	"context"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

func (c *call) backlog() (any, error) {
	if _, err := c.query(nil); err != nil {
		return nil, err
	}
	list, err := c.registry.Backlogs(c.r.Context())
	return page{Entries: list}, err
}

func (c *call) outbox() (any, error) {
	q, err := c.query(nil, "limit")
	if err != nil {
		return nil, err
	}
	n, err := limit(q["limit"])
	if err != nil {
		return nil, err
	}
	list, err := c.registry.Outbox(c.r.Context(), n)
	return page{Entries: nonNil(list)}, err
}

func (c *call) discrepancies() (any, error) {
	return ofWorkspace(c, c.registry.Discrepancies)
}

func (c *call) dismiss() (any, error) {
	q, err := c.query([]string{"workspace", "kind", "registration"})
	if err != nil {
		return nil, err
	}
	d := registry.Discrepancy{Workspace: q["workspace"], Kind: q["kind"], Registration: q["registration"]}
	if err := d.Check(); err != nil {
		return nil, badRequest("%w", err)
	}
	return nil, c.absent(c.registry.Dismiss(c.r.Context(), d))
}

// ofWorkspace is list, where the workspace must be one that there is.
func ofWorkspace[T any](c *call, from func(ctx context.Context, workspace, cursor string, limit int) ([]T, string, error)) (any, error) {
	if err := c.filter(); err != nil {
		return nil, err
	}
	return list(c, from)
}

// list is one page of a list of the registry.
func list[T any](c *call, from func(ctx context.Context, workspace, cursor string, limit int) ([]T, string, error)) (any, error) {
	q, err := c.query(nil, "workspace", "cursor", "limit")
	if err != nil {
		return nil, err
	}
	n, err := limit(q["limit"])
	if err != nil {
		return nil, err
	}
	entries, next, err := from(c.r.Context(), q["workspace"], q["cursor"], n)
	return page{Entries: nonNil(entries), Next: next}, err
}

// nonNil is [] in JSON where there is nothing.
func nonNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
