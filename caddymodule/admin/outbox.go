package admin

import "context"

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
