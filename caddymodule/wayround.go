package caddymodule

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
)

// A guard that requests can go round guards nothing. So a configuration is refused when a
// request for a host of this directive can reach a handler that sends it on without having
// passed this one: through another route, another server (another port), or the routes for
// errors. What a matcher says is known of hosts alone: any other may match, or not.

// refuseWaysRound looks through all servers of the http app.
func (h *Handler) refuseWaysRound(servers []*siteServer) (*ways, error) {
	as, err := url.Parse(h.AuthorizationServer.URL)
	if err != nil {
		return nil, err
	}
	w := &ways{
		workspace: h.Workspace, as: dialed(as), paths: []string{h.issuerPath, h.RegisterPath}, except: h.Unguarded,
		found: map[string]bool{}, used: map[string]bool{}, sites: map[string][]string{},
	}
	hosts, told, err := siteHosts(servers)
	if err != nil {
		return nil, err
	}
	for _, host := range hosts {
		if err := w.follow(servers, host, told[host]); err != nil {
			return nil, err
		}
	}
	return w, w.refusal()
}

// ways is a walk along all ways of requests.
type ways struct {
	workspace, as string
	paths         []string // that are this workspace's
	except        *Unguarded
	found, used   map[string]bool
	round, beside []wayRound
	late          []lateRewrite
	// sites are the hosts for which requests reach this directive, by server.
	sites map[string][]string
	// behind are the proxies behind it, and other that may send too.
	behind []*siteHandler
	other  bool
	// at is the first place of this directive.
	at string

	// of the walk for one host through one server
	server *siteServer
	host   string
	failed bool // requests may have an error
	seen   flow // what requests have been
	inSite bool // requests come to the route that has this directive, by any matcher in it
	sends  []wayRound
}

// wayRound is a handler that is reached without passing this directive.
type wayRound struct {
	host, place, listen, what, except string
	own                               bool // its server has the directive for this host too
	inSite                            bool // it is in the site of the directive
	toAS                              bool // at this workspace's paths
}

// follow walks through all servers for one host.
func (w *ways) follow(servers []*siteServer, host, told string) error {
	var sends []wayRound
	reached := false
	for _, s := range servers {
		w.server, w.host, w.inSite, w.failed, w.seen, w.sends = s, host, false, false, 0, nil
		if _, err := w.walk(s.routes, arrive(flowBare), 0); err != nil {
			return err
		}
		// A request fails before it comes to a handler, too: by its SNI, or its size.
		w.failed = true
		if _, err := w.walk(s.errors, w.error(flowBare), 0); err != nil {
			return err
		}
		here := slices.Contains(w.sites[s.name], host)
		reached = reached || here
		for _, one := range w.sends {
			one.host, one.own, one.inSite, one.listen = told, here || w.inSite, w.inSite, strings.Join(s.listen, " ")
			sends = append(sends, one)
		}
	}
	for _, one := range sends {
		refuse := reached || one.inSite && one.toAS
		if !refuse && (!one.toAS || w.found[one.place]) {
			continue
		}
		if refuse && !slices.ContainsFunc(w.round, one.same) {
			w.round = append(w.round, one)
		} else if !refuse {
			w.beside = append(w.beside, one)
		}
		w.found[one.place] = true
	}
	return nil
}

func (r wayRound) same(other wayRound) bool { return r.place == other.place }

// walk follows requests through a list and returns those that may go on behind it.
func (w *ways) walk(list []siteRoute, in arrivals, depth int) (arrivals, error) {
	if depth > maxDepth {
		return arrivals{}, errTooDeep
	}
	for i := range list {
		route := &list[i]
		matches := route.matchesHost(w.host)
		if matches == no {
			continue
		}
		start, rest := in, arrivals{}
		if route.group != "" {
			start, rest = in.split(route.group)
		}
		if matches != yes {
			rest = rest.or(start)
		}
		if route.group != "" {
			start = start.with(route.group, group{taken: start.flow})
		}
		w.inSite = w.inSite || depth == 0 && start.flow != 0 && w.holds(route.handlers, 0)
		if w.elsewhere(route) {
			start = start.become(away)
		}
		out, err := w.handlers(route.handlers, start, depth)
		if err != nil {
			return arrivals{}, err
		}
		if route.terminal {
			out = arrivals{}
		}
		in = rest.or(out)
	}
	return in, nil
}

// holds tells whether this directive is among handlers, or in their routes.
func (w *ways) holds(list []*siteHandler, depth int) bool {
	within := func(r siteRoute) bool { return w.holds(r.handlers, depth+1) }
	return depth <= maxDepth && slices.ContainsFunc(list, func(m *siteHandler) bool {
		return m.name == "openbanking_dcr" && m.workspace == w.workspace || slices.ContainsFunc(m.routes, within) ||
			m.name == "invoke" && slices.ContainsFunc(w.server.named[m.named], within)
	})
}

func (w *ways) handlers(list []*siteHandler, in arrivals, depth int) (_ arrivals, err error) {
	for _, m := range list {
		if in.flow == 0 {
			return in, nil
		}
		w.seen |= in.flow
		if in, err = w.handler(m, in, depth); err != nil {
			return arrivals{}, err
		}
	}
	return in, nil
}

// goesOn are the handlers of Caddy that answer or hand on to the next one, and send
// nothing themselves.
var goesOn = []string{
	"acme_server", "authentication", "copy_response_headers", "encode", "file_server", "headers", "log_append", "map",
	"openbanking_dcr_admin", "push", "request_body", "rewrite", "static_response", "templates", "timeouts", "tracing", "vars",
}

// handler is what may go on behind one handler.
func (w *ways) handler(m *siteHandler, in arrivals, depth int) (arrivals, error) {
	switch {
	case m.name == "openbanking_dcr":
		return in.become(w.directive(m)), nil
	case m.name == "subroute":
		out, err := w.walk(m.routes, in, depth+1)
		if err != nil || len(m.errors) == 0 {
			return out, err
		}
		w.failed = true // and stays so behind it
		failed, err := w.walk(m.errors, w.error(in.flow), depth+1)
		return out.or(failed), err
	case m.name == "invoke":
		return w.walk(w.server.named[m.named], in, depth+1)
	case m.ends(w.failed):
		return arrivals{}, nil
	case m.name == "intercept":
		// Its routes see the answer of all that is behind it, and nothing is behind them.
		_, err := w.responses(m, in.anyGroups(w.server), depth)
		return in, err
	case m.name == "reverse_proxy":
		w.proxy(m, in.flow)
		if len(m.responses) == 0 {
			return arrivals{}, nil
		}
		// An answer that no route of handle_response ends goes on, as with forward_auth.
		out, err := w.responses(m, in, depth)
		return in.or(out), err
	case !slices.Contains(goesOn, m.name):
		w.other = w.other || in.flow&flowBehind != 0 && !w.failed
		if in.flow&flowAnyBare != 0 && !w.excepted(w.except.handler(m.name)) {
			w.sends = append(w.sends, wayRound{place: m.place, what: m.name + " (which is not known to answer by itself)", except: "handler " + m.name})
		}
		return in.become(moved), nil
	case m.name == "rewrite":
		return in.become(rewritten), nil
	}
	return in, nil
}

// error are requests that come to error routes: from where these are, and from behind.
func (w *ways) error(from flow) arrivals {
	return arrive(from | w.seen&flowBehind).anyGroups(w.server)
}

// directive is what requests are that have passed a directive, this one or another.
func (w *ways) directive(m *siteHandler) func(flow) flow {
	if m.workspace != w.workspace {
		return checked
	}
	w.at = cmp.Or(w.at, m.place)
	if !slices.Contains(w.sites[w.server.name], w.host) {
		w.sites[w.server.name] = append(w.sites[w.server.name], w.host)
	}
	return behind
}

// responses is what may go on behind the routes for answers.
func (w *ways) responses(m *siteHandler, in arrivals, depth int) (out arrivals, err error) {
	for _, routes := range m.responses {
		after, err := w.walk(routes, in, depth+1)
		if err != nil {
			return arrivals{}, err
		}
		out = out.or(after)
	}
	return out, nil
}
