package caddymodule

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// dialed is how a proxy names the server of an https URL.
func dialed(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "443"
	}
	return address(net.JoinHostPort(u.Hostname(), port))
}

// address is a dial address in the form in which two are compared: one name for this
// machine, lower case, no dot at the end, no tcp/ before it. What a request fills in has none.
func address(dial string) string {
	if network, rest, ok := strings.Cut(dial, "/"); ok && slices.Contains([]string{"tcp", "tcp4", "tcp6"}, network) {
		dial = rest
	}
	host, port, err := net.SplitHostPort(dial)
	if err != nil || strings.Contains(dial, "{") {
		return ""
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}

// proxy notes one that requests come to.
func (w *ways) proxy(m *siteHandler, in flow) {
	w.lateRewrite(m, in)
	toAS, known := w.sendsTo(m.proxy)
	if asks(m.proxy) && known && !toAS {
		return // forward_auth to another server
	}
	if in&flowBehind != 0 && !w.failed {
		w.behind = append(w.behind, m)
	}
	switch {
	case in&flowUnpassed == 0:
		return
	case in&flowAnyBare == 0 && (!toAS || in&flowOther == 0):
		return // guarded by the directive of that workspace
	}
	var open []string
	for _, u := range m.proxy.Upstreams {
		if !w.excepted(w.except.upstream(u.Dial)) {
			open = append(open, u.Dial)
		}
	}
	if static(m.proxy) && len(open) == 0 || w.excepted(w.except.handler(m.name)) {
		return
	}
	one := wayRound{place: m.place, what: "reverse_proxy to " + strings.Join(open, " "), except: "upstream " + strings.Join(open, " "), toAS: toAS && in&flowNear != 0}
	if !static(m.proxy) {
		one.what, one.except = "reverse_proxy to dynamic upstreams", "handler reverse_proxy"
	}
	w.sends = append(w.sends, one)
}

// excepted notes that an exception is needed.
func (w *ways) excepted(name string) bool {
	w.used[name] = true
	return name != ""
}

// sendsTo tells whether a proxy sends to the AS, and whether the configuration says
// where it sends.
func (w *ways) sendsTo(p *reverseproxy.Handler) (as, known bool) {
	known = static(p)
	for _, u := range p.Upstreams {
		to := address(u.Dial)
		as, known = as || to == w.as, known && to != ""
	}
	return as, known
}

// static tells whether all upstreams of a proxy are in the configuration.
func static(p *reverseproxy.Handler) bool {
	return p.DynamicUpstreamsRaw == nil && p.DynamicUpstreams == nil && len(p.Upstreams) > 0
}

// elsewhere tells whether a route is for other paths than those of this workspace alone.
func (w *ways) elsewhere(r *siteRoute) bool {
	return len(r.match) > 0 && !slices.ContainsFunc(r.match, func(set matcherSet) bool {
		return !slices.ContainsFunc(set, func(m siteMatcher) bool { return m.name == "path" && !m.meetsAny(w.paths) })
	})
}

// meetsAny tells whether a path matcher may match one of some paths, or below it.
func (m *siteMatcher) meetsAny(paths []string) bool {
	for _, pattern := range m.values {
		begin, _, _ := strings.Cut(strings.ToLower(pattern), "*")
		for _, path := range paths {
			if strings.ContainsAny(begin, "%{") || strings.HasPrefix(path, strings.TrimSuffix(begin, "/")) || strings.HasPrefix(begin, path) {
				return true
			}
		}
	}
	return false
}

// asks tells whether a proxy only asks whether a request may go on: forward_auth. Of the
// request it sends no method, path or body, and what is answered with 2xx goes on.
func asks(p *reverseproxy.Handler) bool {
	if p.Rewrite == nil || p.Rewrite.Method != "GET" || p.Rewrite.URI == "" || len(p.HandleResponse) == 0 {
		return false
	}
	return slices.ContainsFunc(p.HandleResponse, func(r caddyhttp.ResponseHandler) bool {
		return r.Match != nil && slices.Equal(r.Match.StatusCode, []int{2}) && len(r.Routes) > 0
	})
}

// maxWaysListed bounds how many ways a refusal names.
const maxWaysListed = 5

// refusal names the ways round, and what to do.
func (w *ways) refusal() error {
	if len(w.late) > 0 {
		return w.late[0].refusal()
	}
	if len(w.sites) == 0 {
		return errors.New("no request comes to this directive: what stands before it answers or sends on all of them, or nothing invokes its route; put openbanking_dcr at the top of the site block")
	}
	var all []error
	for i, one := range w.round {
		if i == maxWaysListed {
			all = append(all, fmt.Errorf("and %d more", len(w.round)-maxWaysListed))
			break
		}
		cure := "put openbanking_dcr at the top of the site block, outside handle, handle_path and route, so that every request of the site passes it"
		if !one.own {
			cure = "take that site away, let it redirect or respond, or give it a host of its own"
		}
		all = append(all, fmt.Errorf("requests for %s go round this directive to %s at %s (listens on %s): %s; or, if that is meant, write in this directive: unguarded %s",
			one.host, one.what, one.place, one.listen, cure, one.except))
	}
	return errors.Join(all...)
}
