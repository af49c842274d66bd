package caddymodule

import (
	"context"
	"net/http"

	"github.com/caddy-dcr/caddy-dcr/authserver"
)

// resolved is the context of a request to the gateway's endpoints and to those of the AS
// that are guarded. It is one value for all that is resolved once: every layer more would
// cost each such request, and each look into its context further in.
type resolved struct {
	context.Context
	handler *gateway
	table   *table
	// caller counts where guards is set.
	caller guardCaller
	guards bool
}

// tableKey is that of a request's table: a site may have several workspaces.
type tableKey struct{ handler *gateway }

// guardCallerKey is that of a request's guardCaller.
type guardCallerKey struct{}

// Value is that of the request's own context, but for what is resolved.
func (c *resolved) Value(key any) any {
	switch key := key.(type) {
	case tableKey:
		if key.handler == c.handler {
			return c.table
		}
	case authserver.MetadataKey:
		if key.Server == c.handler.options.Server {
			return c.table.metadata
		}
	case guardCallerKey:
		if c.guards {
			return &c.caller
		}
	}
	return c.Context.Value(key)
}

// informed is a request all of which sees one discovery document, and the log who sends
// it to an endpoint of the AS.
func (g *gateway) informed(r *http.Request, t *table, what purpose) *http.Request {
	ctx := g.withTable(r.Context(), t)
	switch what {
	case authentication, revocation, introspection, endpoint:
		ctx.guards = true
		ctx.caller.operation, ctx.caller.traces = guardOperations[what], g.options.Explain
	}
	return r.WithContext(ctx)
}

// withTable has all of a request see one discovery document. Another may become known
// while its body is on its way: then half of it would be judged by either.
func (g *gateway) withTable(ctx context.Context, t *table) *resolved {
	return &resolved{Context: ctx, handler: g, table: t}
}

// tableOf is the table of a request, nil for one before any was known.
func (g *gateway) tableOf(ctx context.Context) *table {
	t, _ := ctx.Value(tableKey{g}).(*table)
	return t
}

// guardCallerOf is nil for a request to the gateway's own endpoints.
func guardCallerOf(r *http.Request) *guardCaller { return guardCallerIn(r.Context()) }

func guardCallerIn(ctx context.Context) *guardCaller {
	c, _ := ctx.Value(guardCallerKey{}).(*guardCaller)
	return c
}
