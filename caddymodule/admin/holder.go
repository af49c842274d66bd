package admin

import (
	"github.com/caddy-dcr/caddy-dcr/registry"
)

// Holder is a software, an organisation or a directory, with its suspension. It need not have
// clients yet: what is suspended cannot register any.
type Holder struct {
	Workspace string `json:"workspace"`
	Kind      string `json:"kind"`
	Value     string `json:"value"`
	Suspended bool   `json:"suspended"`
	// Suspension is null for one that is not suspended.
	Suspension *registry.Suspension `json:"suspension"`
	// Clients is how many clients it has, of the first 2,000 that were looked at; AllCounted
	// that there were no more to look at.
	Clients    int  `json:"clients"`
	AllCounted bool `json:"all_counted"`
	// Proposals are the changes that wait for another operator.
	Proposals []registry.Proposal `json:"proposals"`
}

// maxCounted is more than one search can find.
const maxCounted = 2001

// holderOf is the suspension that the path names.
func (c *call) holderOf(kind string) (s registry.Suspension, err error) {
	if _, err := c.query(nil, "workspace"); err != nil {
		return s, err
	}
	s = registry.Suspension{Kind: kind, Value: c.path["id"]}
	if s.Workspace, err = c.workspace(); err != nil {
		return s, err
	}
	if err := s.Check(); err != nil {
		return s, badRequest("%w", err)
	}
	return s, nil
}

// holder shows one.
func (c *call) holder(kind string) (any, error) {
	s, err := c.holderOf(kind)
	if err != nil {
		return nil, err
	}
	return c.showHolder(s)
}

func (c *call) showHolder(s registry.Suspension) (any, error) {
	ctx := c.r.Context()
	f := registry.Filter{}
	switch s.Kind {
	case registry.SuspendSoftware:
		f.SoftwareID = s.Value
	case registry.SuspendOrganisation:
		f.OrgID = s.Value
	case registry.SuspendDirectory:
		f.Directory = s.Value
	}
	page, err := c.registry.Search(ctx, []string{s.Workspace}, f, "", maxCounted)
	if err != nil {
		return nil, err
	}
	h := Holder{Workspace: s.Workspace, Kind: s.Kind, Value: s.Value, Clients: len(page.Clients), AllCounted: page.Next == ""}
	h.Suspension, c.tag, err = c.registry.Suspension(ctx, s)
	h.Suspended = h.Suspension != nil
	if err != nil {
		return nil, err
	}
	proposals, err := c.registry.Proposals(ctx, s)
	h.Proposals = nonNil(proposals)
	return h, err
}

// changeHolder suspends or resumes one, and shows what there is after it.
func (c *call) changeHolder(kind string, change func(s registry.Suspension) error) (any, error) {
	s, err := c.holderOf(kind)
	if err != nil {
		return nil, err
	}
	if s.Act, err = c.act(); err != nil {
		return nil, err
	}
	act, proposal, err := c.confirmed(s, s.Act)
	if err != nil || proposal != nil {
		return proposal, err
	}
	s.Act = act
	if err := change(s); err != nil {
		return nil, err
	}
	return c.showHolder(s)
}

func (c *call) suspendHolder(kind string) (any, error) {
	return c.changeHolder(kind, func(s registry.Suspension) error { return c.registry.Suspend(c.r.Context(), s) })
}

func (c *call) resumeHolder(kind string) (any, error) {
	return c.changeHolder(kind, func(s registry.Suspension) error { return c.registry.Resume(c.r.Context(), s) })
}

// of is a call for one kind.
func of(kind string, run func(c *call, kind string) (any, error)) func(*call) (any, error) {
	return func(c *call) (any, error) { return run(c, kind) }
}
