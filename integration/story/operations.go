package story

import (
	"context"
	"fmt"
	"net/http"
)

// Operations are the steps after Steps: what operators, and power failures, do to
// the gateway. They need no client of the steps before.
var Operations = []Step{
	{"caddy validate beside the running server, then caddy reload", (*Play).reload},
	{"A registration survives kill -9 right after its 201", (*Play).crash},
}

// command runs a caddy command and tells it.
func (p *Play) command(ctx context.Context, args ...string) error {
	if p.Tell != nil {
		p.Tell(Scene{Command: p.Gateway.Shown(args...)})
	}
	_, err := p.Gateway.Command(ctx, args...)
	return err
}

func (p *Play) reload(ctx context.Context) error {
	if err := p.command(ctx, "validate", "--config", "Caddyfile"); err != nil {
		return err
	}
	if err := p.command(ctx, "reload", "--config", "Caddyfile", "--force"); err != nil {
		return err
	}
	if err := p.Gateway.HandedOver(ctx); err != nil {
		return err
	}
	p.CloseIdle()
	return p.discover(ctx)
}

func (p *Play) crash(ctx context.Context) error {
	if err := p.discover(ctx); err != nil {
		return err
	}
	id, err := p.RegisterAnother(ctx)
	if err != nil {
		return err
	}
	pid := p.Gateway.Pid()
	if err := p.Gateway.Kill(); err != nil {
		return err
	}
	if p.Tell != nil {
		p.Tell(Scene{Command: fmt.Sprintf("kill -9 %d", pid)})
		p.Tell(Scene{Command: p.Gateway.Shown("run", "--config", "Caddyfile")})
	}
	if err := p.Gateway.Restart(ctx); err != nil {
		return err
	}
	token, err := p.ClientToken(ctx, p.Acme, id)
	if err != nil {
		return err
	}
	r, err := p.call(ctx, Call{URL: p.Register + "/" + id, As: p.Acme, Token: token}, http.StatusOK, "")
	if err != nil {
		return err
	}
	return expect(r, map[string]any{"client_id": id})
}
