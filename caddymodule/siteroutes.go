package caddymodule

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// While one handler is provisioned, the routes of its servers are partly values and
// partly still JSON. Here both are read into one form, as far as is looked at when a
// configuration is judged.

// siteRoute is a route of a server.
type siteRoute struct {
	match    []matcherSet // one of them must match; none: always
	group    string       // of its routes only the first that matches is run
	terminal bool         // no route after it is run
	handlers []*siteHandler
}

// matcherSet matches when all of it does.
type matcherSet []siteMatcher

// siteMatcher is one matcher of a route.
type siteMatcher struct {
	name   string       // of the module: host, path
	values []string     // of host and path
	not    []matcherSet // of not
}

// siteServer is a server of Caddy's http app.
type siteServer struct {
	name   string
	listen []string
	routes []siteRoute
	errors []siteRoute
	named  map[string][]siteRoute // each of one route
}

// maxDepth is how deep routes are nested, at most.
const maxDepth = 32

var errTooDeep = fmt.Errorf("routes are nested more than %d deep, or a named route invokes itself", maxDepth)

func readServer(name string, s *caddyhttp.Server) (*siteServer, error) {
	place := "apps/http/servers/" + name
	out := &siteServer{name: name, listen: s.Listen, named: map[string][]siteRoute{}}
	var err error
	if out.routes, err = readRoutes(s.Routes, place+"/routes", 0); err != nil {
		return nil, err
	}
	if s.Errors != nil {
		if out.errors, err = readRoutes(s.Errors.Routes, place+"/errors/routes", 0); err != nil {
			return nil, err
		}
	}
	for called, r := range s.NamedRoutes {
		if r == nil {
			continue
		}
		one, err := readRoute(r, place+"/named_routes/"+called, 0)
		if err != nil {
			return nil, err
		}
		out.named[called] = []siteRoute{one}
	}
	return out, nil
}

func readRoutes(list caddyhttp.RouteList, place string, depth int) ([]siteRoute, error) {
	if depth > maxDepth {
		return nil, errTooDeep
	}
	var out []siteRoute
	for i := range list {
		one, err := readRoute(&list[i], place+"/"+strconv.Itoa(i), depth)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

func readRoute(r *caddyhttp.Route, place string, depth int) (out siteRoute, err error) {
	out.group, out.terminal = r.Group, r.Terminal
	if out.match, err = readMatchers(r.MatcherSetsRaw, r.MatcherSets, depth); err != nil {
		return out, fmt.Errorf("%s: %w", place, err)
	}
	modules := make([]any, 0, len(r.Handlers)+len(r.HandlersRaw))
	for _, h := range r.Handlers {
		m, err := readProvisioned(h)
		if err != nil {
			return out, fmt.Errorf("%s: %w", place, err)
		}
		modules = append(modules, m)
	}
	if len(modules) == 0 {
		for _, raw := range r.HandlersRaw {
			m, err := decodeHandler(raw)
			if err != nil {
				return out, fmt.Errorf("%s: %w", place, err)
			}
			modules = append(modules, m)
		}
	}
	for i, m := range modules {
		h, err := readHandler(m, place+"/handle/"+strconv.Itoa(i), depth)
		if err != nil {
			return out, err
		}
		out.handlers = append(out.handlers, h)
	}
	return out, nil
}

func readMatchers(raw []caddy.ModuleMap, sets caddyhttp.MatcherSets, depth int) (out []matcherSet, err error) {
	if depth > maxDepth {
		return nil, errTooDeep
	}
	for _, set := range sets {
		var read matcherSet
		for _, m := range set {
			one, err := readMatcher(m, depth)
			if err != nil {
				return nil, err
			}
			read = append(read, one)
		}
		out = append(out, read)
	}
	if len(sets) > 0 {
		return out, nil
	}
	for _, set := range raw {
		read := matcherSet{}
		for name, text := range set {
			one, err := decodeMatcher(name, text, depth)
			if err != nil {
				return nil, fmt.Errorf("matcher %s: %w", name, err)
			}
			read = append(read, one)
		}
		out = append(out, read)
	}
	return out, nil
}

func decodeMatcher(name string, text json.RawMessage, depth int) (siteMatcher, error) {
	switch name {
	case "host":
		var m caddyhttp.MatchHost
		err := json.Unmarshal(text, &m)
		return siteMatcher{name: name, values: hostPatterns(m)}, err
	case "path":
		var m caddyhttp.MatchPath
		err := json.Unmarshal(text, &m)
		return siteMatcher{name: name, values: m}, err
	case "not":
		m := new(caddyhttp.MatchNot)
		if err := json.Unmarshal(text, m); err != nil {
			return siteMatcher{}, err
		}
		return readMatcher(m, depth)
	}
	return siteMatcher{name: name}, nil
}

func readMatcher(module any, depth int) (siteMatcher, error) {
	switch m := module.(type) {
	case *caddyhttp.MatchHost:
		return siteMatcher{name: "host", values: hostPatterns(*m)}, nil
	case caddyhttp.MatchHost:
		return siteMatcher{name: "host", values: hostPatterns(m)}, nil
	case *caddyhttp.MatchPath:
		return siteMatcher{name: "path", values: *m}, nil
	case caddyhttp.MatchPath:
		return siteMatcher{name: "path", values: m}, nil
	case caddyhttp.MatchNot:
		return readMatcher(&m, depth)
	case *caddyhttp.MatchNot:
		sets, err := readMatchers(m.MatcherSetsRaw, m.MatcherSets, depth+1)
		return siteMatcher{name: "not", not: sets}, err
	case caddy.Module:
		return siteMatcher{name: strings.TrimPrefix(string(m.CaddyModule().ID), "http.matchers.")}, nil
	}
	return siteMatcher{name: fmt.Sprintf("%T", module)}, nil
}
