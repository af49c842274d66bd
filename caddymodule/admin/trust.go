package admin

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// Pass is how far the daily look at the clients of a workspace is. Times that are not known are
// left out.
type Pass struct {
	Workspace string `json:"workspace"`
	// UnderWay: a look at all clients is under way since StartedAt. Looked is how many it has
	// looked at, or the last one.
	UnderWay  bool      `json:"under_way"`
	StartedAt time.Time `json:"started_at,omitzero"`
	Looked    int       `json:"looked"`
	// CompletedAt is when the last complete look ended, Findings how many findings of each kind
	// it had. DueAt is when the next one is due.
	CompletedAt time.Time      `json:"completed_at,omitzero"`
	Findings    map[string]int `json:"findings"`
	DueAt       time.Time      `json:"due_at,omitzero"`
	// Directories are what is wrong with directories, which says nothing about their clients.
	Directories []registry.DirectoryFinding `json:"directories"`
}

// trustPage is a page of clients with findings, and how far the passes are.
type trustPage struct {
	Entries []registry.ClientFindings `json:"entries"`
	Next    string                    `json:"next,omitempty"`
	Passes  []Pass                    `json:"passes"`
}

// trust lists what speaks against clients.
func (c *call) trust() (any, error) {
	q, err := c.query(nil, "workspace", "kind", "cursor", "limit")
	if err == nil {
		err = c.filter()
	}
	if err != nil {
		return nil, err
	}
	if kind := q["kind"]; kind != "" && !slices.Contains(registry.FindingKinds, kind) {
		return nil, badRequest("kind: one of %s", strings.Join(registry.FindingKinds, ", "))
	}
	n, err := limit(q["limit"])
	if err != nil {
		return nil, err
	}
	list, next, err := c.registry.Findings(c.r.Context(), q["workspace"], q["kind"], q["cursor"], n)
	if err != nil {
		return nil, err
	}
	workspaces := c.app.Workspaces()
	if q["workspace"] != "" {
		workspaces = []string{q["workspace"]}
	}
	passes, err := c.passes(c.r.Context(), workspaces)
	return trustPage{Entries: nonNil(list), Next: next, Passes: passes}, err
}

func (c *call) passes(ctx context.Context, workspaces []string) ([]Pass, error) {
	list, err := c.registry.Passes(ctx, workspaces)
	passes := []Pass{}
	for _, p := range list {
		passes = append(passes, passOf(p))
	}
	return passes, err
}

func passOf(p *registry.TrustPass) Pass {
	counts := map[string]int{}
	for kind, n := range p.Counts {
		counts[kind] = n
	}
	return Pass{
		Workspace: p.Workspace, UnderWay: p.UnderWay(), StartedAt: timeOf(p.Started), Looked: p.Looked,
		CompletedAt: timeOf(p.Completed), Findings: counts, DueAt: timeOf(p.Due), Directories: nonNil(p.Directories),
	}
}

// checkTrust has the clients of a workspace looked at again now. It changes no record, so that
// there is no entity tag.
func (c *call) checkTrust() (any, error) {
	if _, err := c.query(nil, "workspace"); err != nil {
		return nil, err
	}
	workspace, err := c.workspace()
	if err != nil {
		return nil, err
	}
	act, err := c.said()
	if err != nil {
		return nil, err
	}
	p, err := c.registry.BeginPass(c.r.Context(), workspace, act)
	if err != nil {
		return nil, err
	}
	return passOf(p), nil
}
