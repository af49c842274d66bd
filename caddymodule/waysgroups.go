package caddymodule

import "maps"

// Caddy keeps one list of the groups of which a route has matched for the whole request:
// a group that was taken at the top is taken in a subroute, in a named route and in error
// routes too. So the groups go with the requests.

// arrivals are the requests that may arrive at a place, and which of them have taken a
// group. A value is not changed.
type arrivals struct {
	flow
	groups map[string]group
}

// group is how requests stand with a group: those for which no route of it has matched
// yet, and the others.
type group struct{ left, taken flow }

func arrive(f flow) arrivals { return arrivals{flow: f} }

func (a arrivals) group(name string) group {
	if g, ok := a.groups[name]; ok {
		return g
	}
	return group{left: a.flow}
}

// with is a with another state of one group.
func (a arrivals) with(name string, g group) arrivals {
	groups := maps.Clone(a.groups)
	if groups == nil {
		groups = map[string]group{}
	}
	groups[name] = g
	return arrivals{a.flow, groups}
}

// become is what requests are after a handler that makes of each kind another.
func (a arrivals) become(f func(flow) flow) arrivals {
	out := arrive(f(a.flow))
	if len(a.groups) > 0 {
		out.groups = make(map[string]group, len(a.groups))
	}
	for name, g := range a.groups {
		out.groups[name] = group{f(g.left), f(g.taken)}
	}
	return out
}

// or are the requests of both.
func (a arrivals) or(b arrivals) arrivals {
	out := arrivals{a.flow | b.flow, map[string]group{}}
	for _, one := range []arrivals{a, b} {
		for name := range one.groups {
			x, y := a.group(name), b.group(name)
			out.groups[name] = group{x.left | y.left, x.taken | y.taken}
		}
	}
	return out
}

// split are those for which no route of a group has matched yet, and the others.
func (a arrivals) split(name string) (left, taken arrivals) {
	g := a.group(name)
	only := func(which flow) arrivals { return a.become(func(f flow) flow { return f & which }) }
	return only(g.left).with(name, group{left: g.left}), only(g.taken).with(name, group{taken: g.taken})
}

// anyGroups are requests of which nobody knows what groups of a server they have taken:
// those with an error, and with an answer.
func (a arrivals) anyGroups(s *siteServer) arrivals {
	out := arrivals{a.flow, map[string]group{}}
	note := func(r *siteRoute) {
		if r.group != "" {
			out.groups[r.group] = group{a.flow, a.flow}
		}
	}
	eachRoute(s.routes, note)
	for _, one := range s.named {
		eachRoute(one, note)
	}
	return out
}
