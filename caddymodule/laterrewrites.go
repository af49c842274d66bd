package caddymodule

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// The guard judges the request target that it sees. A handler after it that changes the
// target (rewrite, uri, handle_path) on its way to the AS would send another one than was
// judged, and no handler can look once more between that and the proxy. So such a
// configuration is refused when it loads. A rewrite before the guard is no trouble: Caddy
// orders rewrite and uri of a site before it.

// refuseLaterRewrites looks through the routes of the server that ctx provisions. Those
// that follow this handler are still JSON.
func (h *Handler) refuseLaterRewrites(ctx caddy.Context) error {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return nil
	}
	as, err := url.Parse(h.AuthorizationServer.URL)
	if err != nil {
		return err
	}
	l := &laterRoutes{workspace: h.Workspace, as: as.Hostname(), named: server.NamedRoutes}
	var list []laterRoute
	for _, r := range server.Routes {
		list = append(list, laterRoute{Handle: r.HandlersRaw, Match: matchers(len(r.MatcherSetsRaw) + len(r.MatcherSets)), Group: r.Group})
	}
	if _, err := l.walk(list, reading{}, 0); err != nil || !l.seen || server.Errors == nil {
		return err
	}
	list = nil
	for _, r := range server.Errors.Routes {
		list = append(list, laterRoute{Handle: r.HandlersRaw, Match: matchers(len(r.MatcherSetsRaw) + len(r.MatcherSets)), Group: r.Group})
	}
	_, err = l.walk(list, reading{arrives: true}, 0)
	return err
}

// laterRoutes is a walk over routes in the order in which a request meets them.
type laterRoutes struct {
	workspace, as string
	named         map[string]*caddyhttp.Route
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

type laterRoute struct {
	Group  string            `json:"group"`
	Match  []json.RawMessage `json:"match"`
	Handle []json.RawMessage `json:"handle"`
}

func matchers(n int) []json.RawMessage { return make([]json.RawMessage, n) }

// laterHandler are the members that this walk reads of any handler.
type laterHandler struct {
	Handler   string          `json:"handler"`
	Workspace string          `json:"workspace"`
	Name      string          `json:"name"`
	Routes    []laterRoute    `json:"routes"`
	Rewrite   json.RawMessage `json:"rewrite"`
	PassThru  bool            `json:"pass_thru"`
	Dynamic   json.RawMessage `json:"dynamic_upstreams"`
	Upstreams []struct {
		Dial string `json:"dial"`
	} `json:"upstreams"`
	HandleResponse []struct {
		Routes []laterRoute `json:"routes"`
	} `json:"handle_response"`
}

// maxDepth is how deep routes are nested, at most.
const maxDepth = 32

// walk follows a request through a list and returns what may go on behind it. Of the
// routes of a group only the first that matches handles the request.
func (l *laterRoutes) walk(list []laterRoute, in reading, depth int) (reading, error) {
	if depth > maxDepth {
		return in, fmt.Errorf("routes are nested more than %d deep", maxDepth)
	}
	before := map[string]reading{}
	for _, route := range list {
		start := in
		if first, ok := before[route.Group]; ok && route.Group != "" {
			start = first
		}
		before[route.Group] = start
		out, err := l.handlers(route.Handle, start, depth)
		if err != nil {
			return in, err
		}
		if len(route.Match) > 0 || route.Group != "" {
			out = out.or(in)
		}
		in = out
	}
	return in, nil
}

func (l *laterRoutes) handlers(list []json.RawMessage, in reading, depth int) (reading, error) {
	for _, raw := range list {
		var m laterHandler
		if err := json.Unmarshal(raw, &m); err != nil {
			return in, fmt.Errorf("a handler of this server: %w", err)
		}
		var err error
		if in, err = l.handler(&m, in, depth); err != nil {
			return in, err
		}
	}
	return in, nil
}

// handler is what may go on behind one handler. Before this one has been met nothing is
// judged yet.
func (l *laterRoutes) handler(m *laterHandler, in reading, depth int) (reading, error) {
	switch m.Handler {
	case "openbanking_dcr":
		if m.Workspace == l.workspace {
			l.seen = true
			return reading{arrives: true}, nil
		}
	case "subroute":
		return l.walk(m.Routes, in, depth+1)
	case "invoke":
		if r := l.named[m.Name]; r != nil {
			return l.handlers(r.HandlersRaw, in, depth+1)
		}
	case "rewrite":
		if in.arrives {
			in.changed = "rewrite"
		}
	case "reverse_proxy":
		return l.proxy(m, in, depth)
	case "static_response", "error":
		return reading{}, nil
	case "file_server":
		if !m.PassThru {
			return reading{}, nil
		}
	}
	return in, nil
}

// proxy refuses one that may send a changed target to the AS.
func (l *laterRoutes) proxy(m *laterHandler, in reading, depth int) (reading, error) {
	by := in.changed
	if by == "" && in.arrives && len(m.Rewrite) > 0 {
		by = "its own rewrite"
	}
	if by != "" && l.mayBeAS(m) {
		return in, fmt.Errorf("reverse_proxy after %s: the request target that reaches the authorization server would be another one than this directive has judged; "+
			"put rewrite or uri at the top of the site block, where they run before it, or send to the path as it is (handle in place of handle_path)", by)
	}
	if len(m.HandleResponse) == 0 {
		return reading{}, nil
	}
	out := in // an answer that no route of handle_response ends goes on, as with forward_auth
	for _, response := range m.HandleResponse {
		after, err := l.walk(response.Routes, in, depth+1)
		if err != nil {
			return in, err
		}
		out = out.or(after)
	}
	return out, nil
}

// mayBeAS tells whether a proxy sends to the AS's host, or to one that the configuration
// does not tell.
func (l *laterRoutes) mayBeAS(m *laterHandler) bool {
	if len(m.Dynamic) > 0 || len(m.Upstreams) == 0 {
		return true
	}
	for _, u := range m.Upstreams {
		host, _, err := net.SplitHostPort(u.Dial)
		if err != nil || strings.Contains(u.Dial, "{") || strings.EqualFold(host, l.as) {
			return true
		}
	}
	return false
}
