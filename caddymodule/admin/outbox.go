package admin

import (
	"context"
	"errors"

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
	return ofWorkspace(c, c.registry.Outbox)
}

// outboxEntry shows one.
func (c *call) outboxEntry() (any, error) {
	workspace, err := c.ofAnyWorkspace()
	if err != nil {
		return nil, err
	}
	return c.showOutboxEntry(workspace)
}

// ofAnyWorkspace is the workspace that the call may name, empty for none: the ids of outbox
// entries are unique, and there are some of workspaces that are not configured any more.
func (c *call) ofAnyWorkspace() (string, error) {
	q, err := c.query(nil, "workspace")
	return q["workspace"], err
}

func (c *call) showOutboxEntry(workspace string) (any, error) {
	found, tag, err := c.registry.OutboxEntry(c.r.Context(), workspace, c.path["id"])
	c.tag = tag
	return found, c.absent(err)
}

// retryOutbox has an entry tried at once, giveUpOutbox ends it.
func (c *call) retryOutbox() (any, error)  { return c.changeOutbox(c.registry.RetryOutbox) }
func (c *call) giveUpOutbox() (any, error) { return c.changeOutbox(c.registry.GiveUpOutbox) }

func (c *call) changeOutbox(change func(ctx context.Context, workspace, id string, act registry.Act) error) (any, error) {
	workspace, err := c.ofAnyWorkspace()
	if err != nil {
		return nil, err
	}
	act, err := c.act()
	if err != nil {
		return nil, err
	}
	if err := change(c.r.Context(), workspace, c.path["id"], act); err != nil {
		return nil, c.absent(err)
	}
	answer, err := c.showOutboxEntry(workspace)
	if errors.Is(err, registry.ErrNotFound) {
		return nil, nil // it was given up, or is carried out already
	}
	return answer, err
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
