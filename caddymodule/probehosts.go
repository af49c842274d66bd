package caddymodule

import (
	"net"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// ownHosts are the hosts of the site that this handler guards, as its address names them;
// none where it takes any host, or where the configuration does not say.
func (h *Handler) ownHosts(ctx caddy.Context) (hosts []string) {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return nil
	}
	read, err := readServer("", server)
	if err != nil {
		return nil // whoever judges the routes says so
	}
	for _, route := range read.routes {
		if !route.runs(h.Workspace) {
			continue
		}
		for _, set := range route.match {
			for _, m := range set {
				if m.name == "host" {
					hosts = append(hosts, m.values...)
				}
			}
		}
	}
	if slices.ContainsFunc(hosts, func(host string) bool {
		return strings.ContainsAny(host, "{}") || net.ParseIP(strings.Trim(host, "[]")) != nil // the name is another's to say
	}) {
		return nil
	}
	return hosts
}

// runs tells whether the handler of a workspace is in a route or in its own routes.
func (r *siteRoute) runs(workspace string) bool {
	return slices.ContainsFunc(r.handlers, func(h *siteHandler) bool {
		return h.name == "openbanking_dcr" && h.workspace == workspace ||
			slices.ContainsFunc(h.routes, func(inner siteRoute) bool { return inner.runs(workspace) })
	})
}
