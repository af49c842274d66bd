package caddymodule

import (
	"encoding/json"
	"log/slog"
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// checkSite looks at what is around this directive: it guards nothing that goes round it,
// and only what the site lets through comes to it. The site is that of the server that ctx
// provisions, and the other servers are looked at for its hosts.
func (h *Handler) checkSite(ctx caddy.Context) error {
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
	w.warn(h)
	if _, err := ctx.AppIfConfigured("layer4"); err == nil {
		h.log.Warn("the app layer4 is configured, and the gateway cannot see what it does with connections: let it send none to the authorization server",
			slog.String("place", "apps/layer4"))
	}
	return h.checkClientAuth(ctx, running, w)
}

// warn says what is around the directive that may be meant, and rarely is.
func (w *ways) warn(h *Handler) {
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
	w.warnOfProxies(h)
}

// warnOfProxies says where what is behind this directive does not send to the AS.
func (w *ways) warnOfProxies(h *Handler) {
	cure := slog.String("cure", "write in the site: reverse_proxy "+origin(h.AuthorizationServer.URL))
	if len(w.behind) == 0 && !w.other {
		h.log.Warn("nothing sends requests that have passed this directive to the authorization server: its endpoints do not answer", cure)
	}
	var elsewhere []string
	for _, p := range w.behind {
		toAS, known := w.sendsTo(p)
		switch {
		case toAS && withoutTLS(p):
			h.log.Warn("reverse_proxy speaks HTTP without TLS to the authorization server, whose address is https", cure)
			return
		case toAS || !known:
			return
		}
		for _, u := range p.Upstreams {
			elsewhere = append(elsewhere, u.Dial)
		}
	}
	if len(elsewhere) > 0 && !w.other {
		h.log.Warn("reverse_proxy sends to another server than authorization_server names: what is checked with one is used at the other",
			slog.Any("sends_to", elsewhere), slog.String("authorization_server", h.AuthorizationServer.URL), cure)
	}
}

// withoutTLS tells whether a proxy speaks HTTP without TLS.
func withoutTLS(p *reverseproxy.Handler) bool {
	switch transport := p.Transport.(type) {
	case *reverseproxy.HTTPTransport:
		return transport.TLS == nil
	case nil:
		var raw struct {
			Protocol string          `json:"protocol"`
			TLS      json.RawMessage `json:"tls"`
		}
		return p.TransportRaw == nil || json.Unmarshal(p.TransportRaw, &raw) == nil && raw.Protocol == "http" && raw.TLS == nil
	}
	return false
}
