package selftest

import (
	"context"
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-dcr/caddy-dcr/caddymodule"
	"github.com/caddy-dcr/caddy-dcr/registry"
)

// approve approves a client as an operator does, where it awaits that: because of approval
// manual, or because a policy wants it. Before that it gets no token.
func (p *play) approve(ctx context.Context, c *client) error {
	app, err := caddy.ActiveContext().AppIfConfigured("openbanking_dcr")
	if err != nil {
		return err
	}
	gateway := app.(*caddymodule.App)
	store, open := gateway.EnterOpen()
	if !open {
		return errors.New("the store of the run is not open")
	}
	defer gateway.Leave()
	registered, err := store.Client(ctx, p.Workspace, c.id)
	if err != nil || registered.Status != registry.AwaitingApproval {
		return err
	}
	r, err := p.clientToken(ctx, c)
	if _, err := p.step(ctx, "no token before the bank approves ("+c.name+")", "approval", http.StatusUnauthorized, r, err); err != nil {
		return err
	}
	_, err = store.Approve(ctx, p.Workspace, c.id, registry.Act{Operator: registry.Operator{Name: "selftest", Known: registry.ByDeclaration}, Reason: "selftest"})
	return err
}
