package caddymodule

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// Login is what requests have passed, on every way, when they come to a handler.
type Login struct {
	// Local: the server listens on loopback alone.
	Local bool
	// Authentication is Caddy's handler of this name (basic_auth), ForwardAuth a request to a
	// server that has answered 2xx (forward_auth).
	Authentication, ForwardAuth bool
	// Headers are those that ForwardAuth has copied from the answer, and deleted where the
	// client had sent them, by their canonical names.
	Headers []string
}

// and is what both have passed.
func (l Login) and(other Login) Login {
	return Login{
		Local: l.Local && other.Local, Authentication: l.Authentication && other.Authentication, ForwardAuth: l.ForwardAuth && other.ForwardAuth,
		Headers: slices.DeleteFunc(slices.Clone(l.Headers), func(name string) bool { return !slices.Contains(other.Headers, name) }),
	}
}

// LoginBefore is what requests have passed when they come to a handler of the server that ctx
// provisions: one for which is says yes. is gets a module, or its JSON where it is not
// provisioned yet. found is false where no route leads there.
//
// Only what is in front of the handler without a matcher of its own counts: a request for which
// a matcher says no goes past it.
func LoginBefore(ctx caddy.Context, name string, is func(module any, raw json.RawMessage) bool) (l Login, found bool, err error) {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return l, false, nil
	}
	s, err := readServer("", server)
	if err != nil {
		return l, false, err
	}
	w := &loginWalk{server: s, name: name, is: is}
	local := Login{Local: listensLocally(server.Listen)}
	if _, err := w.walk(s.routes, local, 0); err != nil {
		return l, false, err
	}
	// What has gone wrong before may have gone wrong before the login.
	if _, err := w.walk(s.errors, local, 0); err != nil {
		return l, false, err
	}
	if w.found == nil {
		return l, false, nil
	}
	return *w.found, true, nil
}

// listensLocally tells whether nobody on another machine can connect.
func listensLocally(listen []string) bool {
	return len(listen) > 0 && !slices.ContainsFunc(listen, func(text string) bool {
		address, err := caddy.ParseNetworkAddress(text)
		if err != nil || !strings.HasPrefix(address.Network, "tcp") && !strings.HasPrefix(address.Network, "udp") {
			return true // a unix socket is for a proxy, whoever comes to that
		}
		ip, err := netip.ParseAddr(address.Host)
		return address.Host != "localhost" && (err != nil || !ip.IsLoopback())
	})
}

// loginWalk follows requests to a handler.
type loginWalk struct {
	server *siteServer
	name   string
	is     func(module any, raw json.RawMessage) bool
	found  *Login
}

// walk is what requests have passed that go on behind a list of routes.
func (w *loginWalk) walk(list []siteRoute, in Login, depth int) (Login, error) {
	if depth > maxDepth {
		return in, errTooDeep
	}
	for i := range list {
		out, err := w.handlers(list[i].handlers, in, depth)
		if err != nil {
			return in, err
		}
		if len(list[i].match) == 0 && list[i].group == "" {
			in = out
		} else {
			in = in.and(out) // a header may have been set
		}
	}
	return in, nil
}

func (w *loginWalk) handlers(list []*siteHandler, in Login, depth int) (_ Login, err error) {
	for _, m := range list {
		switch {
		case m.name == w.name:
			w.reach(m, in)
		case m.name == "authentication":
			in.Authentication = true
		case m.name == "subroute":
			before := in
			if in, err = w.walk(m.routes, in, depth+1); err != nil {
				return in, err
			}
			failed, err := w.walk(m.errors, before, depth+1)
			if err != nil {
				return in, err
			}
			if len(m.errors) > 0 {
				in = in.and(failed) // Caddy goes on behind the subroute after its error routes too
			}
		case m.name == "invoke":
			if in, err = w.walk(w.server.named[m.named], in, depth+1); err != nil {
				return in, err
			}
		case m.name == "headers":
			in.Headers = withoutSet(in.Headers, m)
		case m.name == "reverse_proxy" && forwardsAuth(m.proxy):
			in.ForwardAuth, in.Headers = true, append(slices.Clone(in.Headers), copiedHeaders(m.responses)...)
		}
		for _, routes := range m.responses {
			if _, err := w.walk(routes, in, depth+1); err != nil {
				return in, err
			}
		}
	}
	return in, nil
}

// reach notes what requests have passed that come to the handler.
func (w *loginWalk) reach(m *siteHandler, in Login) {
	module, raw := m.module, json.RawMessage(nil)
	if unknown, ok := module.(unknownModule); ok {
		module, raw = nil, unknown.raw
	}
	if !w.is(module, raw) {
		return
	}
	if w.found != nil {
		in = w.found.and(in)
	}
	w.found = &in
}

// forwardsAuth tells whether a proxy is a forward_auth: it asks with GET, and a request goes on
// after a 2xx answer alone.
func forwardsAuth(p *reverseproxy.Handler) bool {
	return p.Rewrite != nil && p.Rewrite.Method == http.MethodGet && len(p.HandleResponse) > 0 && !slices.ContainsFunc(p.HandleResponse, func(h caddyhttp.ResponseHandler) bool {
		return h.Match == nil || len(h.Match.StatusCode) == 0 || slices.ContainsFunc(h.Match.StatusCode, func(code int) bool { return code != 2 && code/100 != 2 })
	})
}

// withoutSet are those of the headers that a handler does not write.
func withoutSet(names []string, m *siteHandler) []string {
	ops := headerOperations(m)
	if ops == nil {
		return names
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		is := func(other string) bool { return http.CanonicalHeaderKey(other) == name }
		return slices.ContainsFunc(slices.Collect(maps.Keys(ops.Set)), is) || slices.ContainsFunc(slices.Collect(maps.Keys(ops.Add)), is) || len(ops.Replace) > 0
	})
}

// copiedHeaders are those of a request that the routes after an answer delete, always, and then
// set from the answer: after each answer.
func copiedHeaders(responses [][]siteRoute) (names []string) {
	for i := range responses {
		one := copiedAfter(responses[i])
		if i == 0 {
			names = one
		}
		names = slices.DeleteFunc(names, func(name string) bool { return !slices.Contains(one, name) })
	}
	return names
}

func copiedAfter(routes []siteRoute) (names []string) {
	own := map[string]bool{} // what the client has sent is not in it
	for i := range routes {
		always := len(routes[i].match) == 0 && routes[i].group == ""
		for _, m := range routes[i].handlers {
			copyHeaders(m, always, own)
		}
	}
	for name, is := range own {
		if is {
			names = append(names, name)
		}
	}
	return names
}

// copyHeaders notes what one handler does with the headers of a request.
func copyHeaders(m *siteHandler, always bool, own map[string]bool) {
	ops := headerOperations(m)
	if ops == nil {
		return
	}
	for _, name := range ops.Delete {
		own[http.CanonicalHeaderKey(name)] = own[http.CanonicalHeaderKey(name)] || always
	}
	for name, values := range ops.Set {
		if len(values) != 1 || !strings.HasPrefix(values[0], "{http.reverse_proxy.header.") || strings.IndexByte(values[0], '}') != len(values[0])-1 {
			own[http.CanonicalHeaderKey(name)] = false
		}
	}
	for name := range ops.Add {
		own[http.CanonicalHeaderKey(name)] = false
	}
}

func headerOperations(m *siteHandler) *headers.HeaderOps {
	h, ok := m.module.(*headers.Handler)
	if unknown, is := m.module.(unknownModule); is && unknown.name == "headers" {
		h = new(headers.Handler)
		ok = json.Unmarshal(unknown.raw, h) == nil
	}
	if !ok {
		return nil
	}
	return h.Request
}
