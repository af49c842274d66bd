package caddymodule

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/intercept"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// The handlers of a site's routes, as far as is looked at when a configuration is judged.

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
	module    any           // the handler itself; of a module that is not read, an unknownModule
}

// unknownModule is a handler in JSON of which nothing but the name is read.
type unknownModule struct {
	name string
	raw  json.RawMessage
}

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
		return unknownModule{named.Handler, raw}, nil
	}
	return m, json.Unmarshal(raw, m)
}

func readHandler(module any, place string, depth int) (h *siteHandler, err error) {
	h = &siteHandler{name: handlerName(module), place: place, module: module}
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
		return m.name
	case caddy.Module:
		return strings.TrimPrefix(string(m.CaddyModule().ID), "http.handlers.")
	}
	return fmt.Sprintf("%T", module)
}
