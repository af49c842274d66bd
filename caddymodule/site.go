package caddymodule

import (
	"encoding/json"
	"log/slog"
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/caddy-dcr/caddy-dcr/gateway"
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
	h.warnOtherBodies(w.at)
	if _, err := ctx.AppIfConfigured("layer4"); err == nil {
		doubt(h.doubtful(), "cannot check what the app layer4 does with connections",
			"app-layer4", "apps/layer4", "let it send none to the authorization server")
	}
	return h.checkClientAuth(ctx, running, w)
}

// warn says what is around the directive that may be meant, and rarely is.
func (w *ways) warn(h *Handler) {
	for _, one := range w.beside {
		doubt(h.doubtful(), "cannot check requests that another site sends to the authorization server: whoever can reach that site bypasses the gateway",
			"other-site-to-as", one.place, "take it away, or let nobody outside reach it", slog.String("host", one.host), slog.String("listen", one.listen))
	}
	for _, one := range h.Unguarded.all() {
		switch {
		case !w.used[one]:
			doubt(h.doubtful(), "found an exception of unguarded that is not needed", "unguarded-not-needed", w.at+"/unguarded", "take it away", slog.String("unguarded", one))
		case one == "handler reverse_proxy" || one == h.Unguarded.upstream(w.as):
			doubt(h.doubtful(), "does not check some requests to the authorization server, as unguarded allows",
				"unguarded-as", w.at+"/unguarded", "take it away, or let nobody outside send such requests", slog.String("unguarded", one))
		}
	}
	w.warnOfProxies(h)
}

// warnOfProxies says where what is behind this directive does not send to the AS.
func (w *ways) warnOfProxies(h *Handler) {
	cure := "write in the site: reverse_proxy " + gateway.Origin(h.AuthorizationServer.URL)
	if len(w.behind) == 0 && !w.other {
		doubt(h.doubtful(), "cannot forward requests to the authorization server, because no handler after this directive sends them there: its endpoints do not answer", "proxy-missing", w.at, cure)
	}
	var elsewhere []string
	for _, m := range w.behind {
		toAS, known := w.sendsTo(m.proxy)
		switch {
		case toAS && withoutTLS(m.proxy):
			doubt(h.doubtful(), "found a reverse_proxy that uses HTTP without TLS to the authorization server, whose URL is https", "proxy-without-tls", m.place, cure)
			return
		case toAS || !known:
			return
		}
		for _, u := range m.proxy.Upstreams {
			elsewhere = append(elsewhere, u.Dial)
		}
	}
	if len(elsewhere) > 0 && !w.other {
		doubt(h.doubtful(), "found a reverse_proxy that sends requests to another server than authorization_server: the gateway checks them with one server, and another answers them",
			"proxy-elsewhere", w.behind[0].place, cure, slog.Any("sends_to", elsewhere), slog.String("authorization_server", h.AuthorizationServer.URL))
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

// warnOtherBodies says what the word gives away.
func (h *Handler) warnOtherBodies(place string) {
	if h.OtherBodies == "pass" {
		doubt(h.doubtful(), "forwards JSON bodies to endpoints where clients authenticate (other_bodies pass), for clients with HTTP Basic that the registry does not know; an authorization server that prefers the body to the header could take them for other clients",
			"other-bodies", place+"/other_bodies", "take it away as soon as the bank's own clients send forms")
	}
}
