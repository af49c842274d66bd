package caddymodule

import (
	"log/slog"
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// checkSite looks at what is around this directive: it guards nothing that goes round it,
// and only what the site lets through comes to it. The site is that of the server that ctx
// provisions, and the other servers are looked at for its hosts.
func (h *Handler) checkSite(ctx caddy.Context) error {
	if err := h.refuseLaterRewrites(ctx); err != nil {
		return err
	}
	if _, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); !ok {
		return nil // no site
	}
	app, err := ctx.App("http")
	if err != nil {
		return err
	}
	running := app.(*caddyhttp.App).Servers
	var servers []*siteServer
	for _, name := range slices.Sorted(maps.Keys(running)) {
		s, err := readServer(name, running[name])
		if err != nil {
			return err
		}
		servers = append(servers, s)
	}
	w, err := h.refuseWaysRound(servers)
	if err != nil {
		return err
	}
	for _, one := range w.beside {
		h.log.Warn("another site sends to the authorization server without this directive: whoever can reach that site goes round the gateway; "+
			"take it away, or let nobody outside reach it",
			slog.String("host", one.host), slog.String("place", one.place), slog.String("listen", one.listen))
	}
	for _, one := range h.Unguarded.all() {
		switch {
		case !w.used[one]:
			h.log.Warn("an exception of unguarded is not needed; take it away", slog.String("unguarded", one))
		case one == "handler reverse_proxy" || one == h.Unguarded.upstream(w.as):
			h.log.Warn("requests go round this directive to the authorization server, as unguarded allows", slog.String("unguarded", one))
		}
	}
	return nil
}
