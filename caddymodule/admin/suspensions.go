package admin

import (
	"errors"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

func (c *call) suspensions() (any, error) {
	return ofWorkspace(c, c.registry.Suspensions)
}

func (c *call) suspend() (any, error) {
	if _, err := c.query(nil); err != nil {
		return nil, err
	}
	in, err := c.body("workspace", "kind", "value", "reason")
	if err != nil {
		return nil, err
	}
	s := registry.Suspension{Workspace: in["workspace"], Kind: in["kind"], Value: in["value"], Act: registry.Act{Reason: in["reason"]}}
	if err := s.Check(); err != nil {
		return nil, badRequest("%w", err)
	}
	clients, err := c.concerned(s)
	if err != nil {
		return nil, err
	}
	if err := c.registry.Suspend(c.r.Context(), s); err != nil {
		return nil, err
	}
	return map[string]any{"clients": clients}, nil
}

func (c *call) resume() (any, error) {
	q, err := c.query([]string{"workspace", "kind", "value"})
	if err != nil {
		return nil, err
	}
	s := registry.Suspension{Workspace: q["workspace"], Kind: q["kind"], Value: q["value"]}
	if err := s.Check(); err != nil {
		return nil, badRequest("%w", err)
	}
	return nil, c.absent(c.registry.Resume(c.r.Context(), s))
}

// concerned counts, up to maxLimit, the clients that a suspension stops now. A client
// that is not there is a slip of the pen, which must not pass for a suspension.
func (c *call) concerned(s registry.Suspension) (int, error) {
	if err := c.configured(s.Workspace); err != nil {
		return 0, err
	}
	by := registry.BySoftware
	switch s.Kind {
	case registry.SuspendClient:
		found, err := c.registry.Client(c.r.Context(), s.Workspace, s.Value)
		if err == nil && found.Status == registry.Deleted {
			err = errors.Join(registry.ErrNotFound, errors.New("this client was deleted"))
		}
		return 1, err
	case registry.SuspendOrganisation:
		by = registry.ByOrganisation
	case registry.SuspendDirectory: // there is no index of these: those of the first that it looks at
		page, err := c.registry.Search(c.r.Context(), []string{s.Workspace}, registry.Filter{Directory: s.Value}, "", maxLimit)
		if err != nil {
			return 0, err
		}
		return len(page.Clients), nil
	}
	clients, _, err := c.registry.List(c.r.Context(), s.Workspace, by, s.Value, "", maxLimit)
	return len(clients), err
}
