package admin

import (
	"log/slog"
	"slices"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// confirmed is the act to make a change with. Where the configuration demands two operators for
// it, and nobody else has proposed the change, it is not to be made: answer is the proposal then.
// s names what is to be changed.
func (c *call) confirmed(s registry.Suspension, act registry.Act) (_ registry.Act, answer any, err error) {
	if !slices.Contains(c.app.FourEyes, c.way.fourEyes) {
		return act, nil, nil
	}
	act, proposal, err := c.registry.Propose(c.r.Context(), registry.Proposal{Workspace: s.Workspace, Action: c.way.fourEyes, Kind: s.Kind, Value: s.Value}, act)
	if err != nil || proposal == nil {
		return act, nil, err
	}
	operatorLog(act).Info("recorded the proposal of a change that another operator must confirm",
		slog.String("action", proposal.Action), slog.String("workspace", s.Workspace), slog.String("kind", s.Kind), slog.String("value", s.Value))
	c.proposed = true
	return act, struct {
		Proposal *registry.Proposal `json:"proposal"`
	}{proposal}, nil
}
