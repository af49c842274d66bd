package caddymodule

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-dcr/caddy-dcr/gateway"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// Question is a registration request (POST) to be explained.
type Question struct {
	gateway.Question
	// Remote is the sender's IP address. Default: none.
	Remote string
	// At is when the request came. Default: now.
	At time.Time
	// Answers stand for the servers that are asked. Default: they are asked.
	Answers jwks.Answers
}

// Explain decides a registration request as this configuration would, and tells every
// step. It changes nothing: no store is opened, and of the authorization server only
// its discovery document, its keys and introspection are asked. What is not given, and
// what only the registry knows, is unknown and not refused: whether a jti was used
// before, who is suspended, how many clients a software has (policies see none).
//
// The app must be provisioned. It may be serving, and nothing of it changes: the request is
// decided by a handler that is made anew of the same configuration, with caches of its
// own, which the answers go to.
func (a *App) Explain(ctx context.Context, workspace string, q Question) (*registry.Explanation, error) {
	of, err := a.workspace(workspace)
	if err != nil {
		return nil, err
	}
	h, end, err := of.onEmptyStore(ctx, q.At)
	if err != nil {
		return nil, err
	}
	defer end()
	ctx = context.WithValue(ctx, caddyhttp.VarsCtxKey, map[string]any{caddyhttp.ClientIPVarKey: q.Remote})
	return h.gateway.Explain(jwks.WithAnswers(ctx, &q.Answers), q.Question)
}

// apart makes a handler of the configuration of this one, which shares nothing with it. It
// runs on a store of its own, which end closes, and at another time, zero for now.
func (h *Handler) apart(store *registry.Registry, at time.Time) (one *Handler, end func(), err error) {
	outer := h.ctx
	// Neither the end of the configuration nor the routes around the handler concern it.
	outer.Context = context.WithValue(context.WithoutCancel(h.ctx.Context), caddyhttp.ServerCtxKey, nil)
	ctx, unload := caddy.NewContext(outer)
	one = &Handler{explains: true, at: at, app: &App{ctx: h.app.ctx, log: h.app.log, registry: store, users: 1, started: true}}
	if err = json.Unmarshal(h.source, one); err == nil {
		err = one.provision(ctx)
	}
	if err != nil {
		unload()
		return nil, nil, fmt.Errorf("openbanking_dcr %s: %w", h.Workspace, err)
	}
	return one, func() {
		unload()
		_ = one.app.Cleanup() // it has no error; what ends behind the request, ends first
	}, nil
}

// now is the clock of the handler's checks.
func (h *Handler) now() time.Time {
	if !h.at.IsZero() {
		return h.at
	}
	return time.Now()
}

// workspace finds one by its name, which may be left out where there is only one.
func (a *App) workspace(name string) (*Handler, error) {
	i := slices.IndexFunc(a.workspaces, func(h *Handler) bool { return h.Workspace == name || name == "" && len(a.workspaces) == 1 })
	if i < 0 {
		return nil, fmt.Errorf("workspace %q: there are %s", name, strings.Join(a.Workspaces(), ", "))
	}
	return a.workspaces[i], nil
}
