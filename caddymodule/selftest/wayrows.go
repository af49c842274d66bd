package selftest

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// mostHosts and mostPaths bound how many ways are tried.
const (
	mostHosts = 50
	mostPaths = 30
)

// wayRows ask each server of the configuration, for each host that it names and for one
// that it does not, for the endpoints of the AS, also below each path that a route of it
// matches. Whatever is answered: nothing of it may come to the AS past the gateway.
func (p *play) wayRows() (rows []hostile) {
	for _, way := range p.ways() {
		rows = append(rows, hostile{
			name:   "requests for " + way.host + " at the server " + way.server + " (" + way.listens + ")",
			clause: "each request passes the directive before it is sent on", expected: unseen, passes: true,
			try: func(ctx context.Context, p *play) (*reply, error) { return p.tryWay(ctx, way) },
		})
	}
	return rows
}

// way is one host at one server.
type way struct {
	server, host, listens string
	paths                 []string
}

func (p *play) ways() (list []way) {
	servers := p.rewriting.servers()
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		server, _ := servers[name].(map[string]any)
		hosts, paths := map[string]bool{"unknown.invalid": true}, []string{""}
		walk(server, "", nil, func(_ string, o map[string]any, _ []map[string]any) {
			for _, host := range texts(o["host"]) {
				if host = strings.ReplaceAll(resolved(host), "*", "selftest"); !strings.ContainsAny(host, "{} ") {
					hosts[host] = true
				}
			}
			for _, pattern := range texts(o["path"]) {
				if before, _, _ := strings.Cut(pattern, "*"); strings.HasPrefix(before, "/") && len(paths) < mostPaths {
					paths = append(paths, strings.TrimSuffix(before, "/"))
				}
			}
		})
		for _, host := range slices.Sorted(maps.Keys(hosts)) {
			if len(list) < mostHosts {
				list = append(list, way{name, host, p.rewriting.listens[name], paths})
			}
		}
	}
	return list
}

// tryWay sends the requests of one way. The reply is the last one.
func (p *play) tryWay(ctx context.Context, w way) (r *reply, err error) {
	for _, before := range w.paths {
		for _, endpoint := range []string{"registration_endpoint", "token_endpoint", "introspection_endpoint"} {
			for _, path := range slices.Compact([]string{before + p.as.at(endpoint), p.within(before)}) {
				q := call{method: http.MethodPost, path: path, host: w.host, server: w.server, header: http.Header{"Content-Type": {formType}}, body: []byte(p.form())}
				if r, err = p.clients.once(ctx, q); interrupted(ctx, err) != nil {
					return nil, fmt.Errorf("%s: %w", path, err)
				}
			}
		}
	}
	return r, err
}

// within is a path as a route matches it, where it is one below the issuer.
func (p *play) within(before string) string {
	if strings.HasPrefix(before, p.as.path+"/") {
		return before
	}
	return before + p.as.at("token_endpoint")
}
