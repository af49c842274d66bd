package caddymodule

import (
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// The guard judges the request target that it sees. A handler after it that changes the
// target (rewrite, uri, handle_path) on its way to the AS would send another one than was
// judged, and no handler can look once more between that and the proxy. So such a
// configuration is refused when it loads. A rewrite before the guard is no trouble: Caddy
// orders rewrite and uri of a site before it.

// refuseLaterRewrites looks through the routes of the server that ctx provisions.
func (h *Handler) refuseLaterRewrites(ctx caddy.Context) error {
	provisioned, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return nil
	}
	as, err := url.Parse(h.AuthorizationServer.URL)
	if err != nil {
		return err
	}
	server, err := readServer("", provisioned)
	if err != nil {
		return err
	}
	l := &laterRoutes{workspace: h.Workspace, as: as.Hostname(), named: server.named}
	if _, err := l.walk(server.routes, reading{}, 0); err != nil || !l.seen {
		return err
	}
	_, err = l.walk(server.errors, reading{arrives: true}, 0)
	return err
}

// laterRoutes is a walk over routes in the order in which a request meets them.
type laterRoutes struct {
	workspace, as string
	named         map[string][]siteRoute
	seen          bool // this handler was met
}

// reading is what may arrive at a place: a request, and one whose target was changed
// since it was judged, by whom.
type reading struct {
	arrives bool
	changed string
}

func (a reading) or(b reading) reading {
	if a.changed == "" {
		a.changed = b.changed
	}
	return reading{a.arrives || b.arrives, a.changed}
}

// walk follows a request through a list and returns what may go on behind it. Of the
// routes of a group only the first that matches handles the request.
func (l *laterRoutes) walk(list []siteRoute, in reading, depth int) (reading, error) {
	if depth > maxDepth {
		return in, errTooDeep
	}
	before := map[string]reading{}
	for _, route := range list {
		start := in
		if first, ok := before[route.group]; ok && route.group != "" {
			start = first
		}
		before[route.group] = start
		out, err := l.handlers(route.handlers, start, depth)
		if err != nil {
			return in, err
		}
		if len(route.match) > 0 || route.group != "" {
			out = out.or(in)
		}
		in = out
	}
	return in, nil
}

func (l *laterRoutes) handlers(list []*siteHandler, in reading, depth int) (_ reading, err error) {
	for _, m := range list {
		if in, err = l.handler(m, in, depth); err != nil {
			return in, err
		}
	}
	return in, nil
}

// handler is what may go on behind one handler. Before this one has been met nothing is
// judged yet.
func (l *laterRoutes) handler(m *siteHandler, in reading, depth int) (reading, error) {
	switch m.name {
	case "openbanking_dcr":
		if m.workspace == l.workspace {
			l.seen = true
			return reading{arrives: true}, nil
		}
	case "subroute":
		return l.walk(m.routes, in, depth+1)
	case "invoke":
		return l.walk(l.named[m.named], in, depth+1)
	case "rewrite":
		if in.arrives {
			in.changed = "rewrite"
		}
	case "reverse_proxy":
		return l.proxy(m, in, depth)
	default:
		if m.ends(true) {
			return reading{}, nil
		}
	}
	return in, nil
}

// proxy refuses one that may send a changed target to the AS.
func (l *laterRoutes) proxy(m *siteHandler, in reading, depth int) (reading, error) {
	by := in.changed
	if by == "" && in.arrives && m.proxy.Rewrite != nil {
		by = "its own rewrite"
	}
	if by != "" && l.mayBeAS(m.proxy) {
		return in, fmt.Errorf("reverse_proxy after %s: the request target that reaches the authorization server would be another one than this directive has judged; "+
			"put rewrite or uri at the top of the site block, where they run before it, or send to the path as it is (handle in place of handle_path)", by)
	}
	if len(m.responses) == 0 {
		return reading{}, nil
	}
	out := in // an answer that no route of handle_response ends goes on, as with forward_auth
	for _, routes := range m.responses {
		after, err := l.walk(routes, in, depth+1)
		if err != nil {
			return in, err
		}
		out = out.or(after)
	}
	return out, nil
}

// mayBeAS tells whether a proxy sends to the AS's host, or to one that the configuration
// does not tell.
func (l *laterRoutes) mayBeAS(p *reverseproxy.Handler) bool {
	if len(p.DynamicUpstreamsRaw) > 0 || p.DynamicUpstreams != nil || len(p.Upstreams) == 0 {
		return true
	}
	for _, u := range p.Upstreams {
		host, _, err := net.SplitHostPort(u.Dial)
		if err != nil || strings.Contains(u.Dial, "{") || strings.EqualFold(host, l.as) {
			return true
		}
	}
	return false
}
