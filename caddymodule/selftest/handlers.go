package selftest

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// keptHandlers are modules of Caddy that answer, change a request or hand it on, and reach
// no other server. Every other one is left out.
var keptHandlers = []string{
	"copy_response", "copy_response_headers", "encode", "error", "file_server", "headers", "intercept", "invoke", "log_append", "map", "openbanking_dcr",
	"push", "request_body", "reverse_proxy", "rewrite", "static_response", "subroute", "templates", "vars",
}

// keptMatchers reach no other server either. A route without its matcher would be another
// route, so that any other is an error.
var keptMatchers = []string{
	"client_ip", "expression", "file", "header", "header_regexp", "host", "method", "not", "path", "path_regexp", "protocol", "query", "remote_ip", "tls", "vars", "vars_regexp",
}

// rewriteRoutes rewrites all routes of a server, but for its proxies: these wait until all
// authorization servers are known.
func (r *rewriting) rewriteRoutes(place string, server map[string]any) (err error) {
	for _, part := range []string{"routes", "errors", "named_routes"} {
		walk(server[part], place+"/"+part, nil, func(place string, o map[string]any, above []map[string]any) {
			if err == nil {
				err = checkMatchers(place, o)
			}
			if name, ok := o["handler"].(string); ok && err == nil {
				r.rewriteHandler(place, name, o, above)
			}
			if o["handler"] == "openbanking_dcr" && err == nil {
				err = r.rewriteDirective(place, o, hostsOf(above))
			}
		})
	}
	return err
}

// checkMatchers refuses routes with matchers that are not known.
func checkMatchers(place string, o map[string]any) error {
	for _, member := range []string{"match", "not"} {
		for i, set := range objects(o[member]) {
			for name := range set {
				if !slices.Contains(keptMatchers, name) {
					return &NotKnownError{place + "/" + member + "/" + strconv.Itoa(i), "the matcher " + name}
				}
			}
		}
	}
	return nil
}

// proxy is a reverse_proxy, and hosts are those of its site.
type proxy struct {
	place string
	o     map[string]any
	hosts []string
}

// rewriteHandler leaves out what is not known.
func (r *rewriting) rewriteHandler(place, name string, o map[string]any, above []map[string]any) {
	known := slices.Contains(keptHandlers, name)
	switch name {
	case "reverse_proxy":
		r.proxies = append(r.proxies, proxy{place, o, hostsOf(above)})
	case "file_server":
		known = o["fs"] == nil
	case "templates":
		known = o["match"] == nil
	case "authentication":
		providers, _ := o["providers"].(map[string]any)
		known = len(providers) == 1 && providers["http_basic"] != nil
	}
	if !known {
		r.instead(place, "the handler "+name, "nothing: what it does, and whether requests get past it, is not tested")
		clear(o)
		o["handler"] = "vars" // which answers and sends nothing
	}
}

// hostsOf are the hosts that the routes around something match.
func hostsOf(above []map[string]any) (hosts []string) {
	for _, o := range above {
		for _, set := range objects(o["match"]) {
			for _, host := range texts(set["host"]) {
				hosts = append(hosts, strings.ToLower(resolved(host)))
			}
		}
	}
	return hosts
}

// rewriteProxies rewrites all proxies, and what names their upstreams.
func (r *rewriting) rewriteProxies() {
	for _, w := range r.workspaces {
		w.proxied = slices.ContainsFunc(r.proxies, func(p proxy) bool {
			return slices.Equal(w.hosts, p.hosts) && slices.ContainsFunc(dialsOf(p.o), func(dial string) bool { return r.stubAt(dial) != nil })
		})
	}
	for i, p := range r.proxies {
		r.rewriteProxy(p, "proxy-"+strconv.Itoa(i+1)+strings.TrimPrefix(servedNames, "*"))
	}
	for _, w := range r.workspaces {
		r.unguarded(w.directive)
	}
}

// rewriteProxy has a reverse_proxy send to the stub of the authorization server that it
// sends to, or to the sink, under a name of its own.
func (r *rewriting) rewriteProxy(p proxy, name string) {
	dials := dialsOf(p.o)
	to, what := r.sink, "a server that answers 200 with an empty object"
	if stub := r.stubOf(p, dials); stub != nil {
		to, what = stub, "the built-in authorization server"
	}
	r.instead(p.place, "the upstreams "+strings.Join(dials, " ")+" with their transport", what)
	for _, name := range []string{"upstreams", "transport", "dynamic_upstreams"} {
		delete(p.o, name)
	}
	r.keep(p.place, p.o, "handler", "headers", "rewrite", "handle_response", "trusted_proxies", "flush_interval", "request_buffers", "response_buffers")
	to.places[name] = p.place
	p.o["upstreams"] = []any{map[string]any{"dial": to.address}}
	p.o["transport"] = map[string]any{
		"protocol": "http", "network_proxy": map[string]any{"from": "none"},
		"tls": map[string]any{"server_name": name, "ca": r.ca.trustPool()},
	}
}

// dialsOf are the addresses that a proxy dials; dynamic ones have none.
func dialsOf(o map[string]any) (dials []string) {
	for _, u := range objects(o["upstreams"]) {
		if dial, ok := u["dial"].(string); ok {
			dials = append(dials, dial)
		}
	}
	return dials
}

// stubOf is the authorization server that a proxy sends to, nil for none. In a site whose
// proxies all send elsewhere, by a socket for instance, they send to the only one.
func (r *rewriting) stubOf(p proxy, dials []string) *stub {
	for _, dial := range dials {
		if s := r.stubAt(dial); s != nil {
			return s
		}
	}
	for _, w := range r.workspaces {
		if slices.Equal(w.hosts, p.hosts) && !w.proxied {
			return w.stub
		}
	}
	return nil
}

// stubAt is the authorization server at an address, by host and port, else by host.
func (r *rewriting) stubAt(dial string) *stub {
	host, port := hostAndPort(dial)
	if s := r.stubs[host+":"+port]; s != nil {
		return s
	}
	for at, s := range r.stubs {
		if of, _ := hostAndPort(at); of == host {
			return s
		}
	}
	return nil
}

// unguarded translates the addresses of the exception, so that it excepts the same.
func (r *rewriting) unguarded(o map[string]any) {
	exception, _ := o["unguarded"].(map[string]any)
	list := texts(exception["upstreams"])
	if len(list) == 0 {
		return
	}
	var translated []any
	for _, text := range list {
		dial := text
		if u, err := url.Parse(text); err == nil && strings.Contains(text, "://") {
			dial = u.Host
		}
		to := r.sink
		if s := r.stubAt(dial); s != nil {
			to = s
		}
		translated = append(translated, to.address)
	}
	exception["upstreams"] = translated
}
