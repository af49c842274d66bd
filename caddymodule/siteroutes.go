package caddymodule

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/intercept"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
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

// siteHandler is a handler of a route.
type siteHandler struct {
	name      string // of the module: reverse_proxy
	place     string // in the configuration, as the admin API has it
	workspace string // of openbanking_dcr
	named     string // the route that invoke runs
	passThru  bool   // of file_server: what has no file goes on
	status    string // of static_response
	proxy     *reverseproxy.Handler
	routes    []siteRoute   // of subroute
	errors    []siteRoute   // of subroute, after an error in its routes
	responses [][]siteRoute // that handle an answer
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

// unknownModule is a handler in JSON of which nothing but the name is read.
type unknownModule string

// fileServer is what is read of a file_server. Caddy's own type would bring its templates
// with it, whose highlighter of source code takes a tenth of a second at each start.
type fileServer struct {
	PassThru bool `json:"pass_thru"`
}

// CaddyModule names the module for handlerName.
func (*fileServer) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.file_server"}
}

// readProvisioned is a handler as Caddy has it, or what is read of it.
func readProvisioned(h caddyhttp.MiddlewareHandler) (any, error) {
	m := new(fileServer)
	if handlerName(h) != handlerName(m) {
		return h, nil
	}
	raw, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	return m, json.Unmarshal(raw, m)
}

// decodeHandler reads JSON as the module that it will be, where that is looked into.
func decodeHandler(raw json.RawMessage) (m any, err error) {
	var named struct {
		Handler string `json:"handler"`
	}
	if err := json.Unmarshal(raw, &named); err != nil {
		return nil, err
	}
	switch named.Handler {
	case "subroute":
		m = new(caddyhttp.Subroute)
	case "invoke":
		m = new(caddyhttp.Invoke)
	case "reverse_proxy":
		m = new(reverseproxy.Handler)
	case "intercept":
		m = new(intercept.Intercept)
	case "file_server":
		m = new(fileServer)
	case "static_response":
		m = new(caddyhttp.StaticResponse)
	case "openbanking_dcr":
		var mine struct {
			Workspace string `json:"workspace"`
		}
		err := json.Unmarshal(raw, &mine)
		return &Handler{Workspace: mine.Workspace}, err
	default:
		return unknownModule(named.Handler), nil
	}
	return m, json.Unmarshal(raw, m)
}

func readHandler(module any, place string, depth int) (h *siteHandler, err error) {
	h = &siteHandler{name: handlerName(module), place: place}
	switch m := module.(type) {
	case *Handler:
		h.workspace = m.Workspace
	case *caddyhttp.Invoke:
		h.named = m.Name
	case *fileServer:
		h.passThru = m.PassThru
	case *caddyhttp.StaticResponse:
		h.status = statusOf(m)
	case *caddyhttp.Subroute:
		if h.routes, err = readRoutes(m.Routes, place+"/routes", depth+1); err != nil || m.Errors == nil {
			return h, err
		}
		h.errors, err = readRoutes(m.Errors.Routes, place+"/errors/routes", depth+1)
	case *reverseproxy.Handler:
		h.proxy = m
		h.responses, err = readResponses(m.HandleResponse, place, depth)
	case *intercept.Intercept:
		h.responses, err = readResponses(m.HandleResponse, place, depth)
	}
	return h, err
}

func readResponses(list []caddyhttp.ResponseHandler, place string, depth int) (out [][]siteRoute, err error) {
	for i := range list {
		routes, err := readRoutes(list[i].Routes, fmt.Sprintf("%s/handle_response/%d/routes", place, i), depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, routes)
	}
	return out, nil
}

func handlerName(module any) string {
	switch m := module.(type) {
	case unknownModule:
		return string(m)
	case caddy.Module:
		return strings.TrimPrefix(string(m.CaddyModule().ID), "http.handlers.")
	}
	return fmt.Sprintf("%T", module)
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
