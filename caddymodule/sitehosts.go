package caddymodule

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"golang.org/x/net/idna"
)

// Whether a route is for a host can be told before there is a request, of any other
// matcher mostly not. So the ways of a request are followed for one host after the other:
// each that the configuration names, one that only a wildcard of it matches, and one that
// nothing names.

// answer is what a matcher says of a request of which only the host is known.
type answer int

const (
	no answer = iota
	maybe
	yes
)

// matchesHost tells whether a route may be for a host.
func (r *siteRoute) matchesHost(host string) answer { return anySet(r.match, host) }

func anySet(sets []matcherSet, host string) answer {
	if len(sets) == 0 {
		return yes
	}
	best := no
	for _, set := range sets {
		all := yes
		for _, m := range set {
			all = min(all, m.matchesHost(host))
		}
		best = max(best, all)
	}
	return best
}

func (m *siteMatcher) matchesHost(host string) answer {
	switch m.name {
	case "host":
		best := no
		for _, pattern := range m.values {
			best = max(best, matchPattern(pattern, host))
		}
		return best
	case "path":
		// Not /*: a request target can have no path (http://host?query, CONNECT), or be *.
		if slices.Contains(m.values, "*") {
			return yes
		}
	case "not":
		if len(m.not) == 0 {
			return yes
		}
		return yes - anySet(m.not, host)
	}
	return maybe
}

// hostPatterns are those of a host matcher, as requests meet them.
func hostPatterns(m []string) (out []string) {
	r := caddy.NewReplacer()
	for _, pattern := range m {
		pattern = strings.ToLower(r.ReplaceKnown(pattern, ""))
		if ascii, err := idna.ToASCII(pattern); err == nil {
			pattern = ascii
		}
		out = append(out, pattern)
	}
	return out
}

// matchPattern is how Caddy compares them. A placeholder that only a request fills may be
// any host.
func matchPattern(pattern, host string) answer {
	if strings.Contains(pattern, "{") {
		return maybe
	}
	if _, ok := meet(pattern, host); ok {
		return yes
	}
	return no
}

// meet is what two patterns both match.
func meet(a, b string) (string, bool) {
	left, right := strings.Split(a, "."), strings.Split(b, ".")
	if len(left) != len(right) {
		return "", false
	}
	for i := range left {
		switch {
		case left[i] == "*":
			left[i] = right[i]
		case right[i] != "*" && left[i] != right[i]:
			return "", false
		}
	}
	return strings.Join(left, "."), true
}

// anyLabel stands for a label that only a wildcard matches.
const anyLabel = "any--label"

// maxWildcards bounds the pairs of them, all of which are looked at.
const maxWildcards = 64

// siteHosts are the hosts for which ways are followed, and how they are told of. It fails
// where more than maxWildcards have wildcards.
func siteHosts(servers []*siteServer) (hosts []string, told map[string]string, err error) {
	patterns, labels := map[string]bool{}, 1
	for _, s := range servers {
		for _, list := range s.lists() {
			eachMatcher(list, func(m *siteMatcher) {
				if m.name != "host" {
					return
				}
				for _, p := range m.values {
					patterns[p] = true
					labels = max(labels, strings.Count(p, ".")+2)
				}
			})
		}
	}
	var wild []string
	for p := range patterns {
		if strings.Contains(p, "*") {
			wild = append(wild, p)
		}
	}
	if len(wild) > maxWildcards {
		return nil, nil, fmt.Errorf("the sites have %d hosts with wildcards: the gateway looks for requests that bypass it at %d at most; "+
			"write fewer, or serve the others in another process", len(wild), maxWildcards)
	}
	for i, a := range wild {
		for _, b := range wild[i+1:] {
			if both, ok := meet(a, b); ok {
				patterns[both] = true
			}
		}
	}
	told = map[string]string{strings.TrimSuffix(strings.Repeat(anyLabel+".", labels), "."): "any host"}
	for p := range patterns {
		if !strings.Contains(p, "{") {
			parts := strings.Split(p, ".")
			for i := range parts {
				if parts[i] == "*" {
					parts[i] = anyLabel
				}
			}
			told[strings.Join(parts, ".")] = p
		}
	}
	// The shortest text tells most: of several hosts the first is named.
	hosts = slices.SortedFunc(maps.Keys(told), func(a, b string) int {
		return cmp.Or(cmp.Compare(strings.Count(a, anyLabel), strings.Count(b, anyLabel)), cmp.Compare(a, b))
	})
	return hosts, told, nil
}

// lists are all lists of routes of a server.
func (s *siteServer) lists() [][]siteRoute {
	lists := [][]siteRoute{s.routes, s.errors}
	for _, name := range slices.Sorted(maps.Keys(s.named)) {
		lists = append(lists, s.named[name])
	}
	return lists
}

func eachRoute(list []siteRoute, f func(*siteRoute)) {
	for i := range list {
		f(&list[i])
		for _, h := range list[i].handlers {
			eachRoute(h.routes, f)
			eachRoute(h.errors, f)
			for _, routes := range h.responses {
				eachRoute(routes, f)
			}
		}
	}
}

func eachMatcher(list []siteRoute, f func(*siteMatcher)) {
	eachRoute(list, func(r *siteRoute) { inSets(r.match, f) })
}

func inSets(sets []matcherSet, f func(*siteMatcher)) {
	for _, set := range sets {
		for i := range set {
			f(&set[i])
			inSets(set[i].not, f)
		}
	}
}
