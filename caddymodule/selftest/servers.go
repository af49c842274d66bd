package selftest

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// rewriteServers moves all servers to free ports of 127.0.0.1.
func (r *rewriting) rewriteServers(http map[string]any) error {
	servers, _ := http["servers"].(map[string]any)
	if servers == nil {
		return ErrNoDirective
	}
	httpPort, httpsPort := portOr(http["http_port"], 80), portOr(http["https_port"], 443)
	r.keep("apps/http", http, "servers", "http_port", "https_port", "grace_period")
	http["grace_period"] = "2s"
	free, err := r.freePort() // of no server: what Caddy thinks of the two ports counts no more
	if err != nil {
		return err
	}
	http["http_port"], http["https_port"] = free, free
	r.ports, r.listens, r.plain = map[string]int{}, map[string]string{}, map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		server, _ := servers[name].(map[string]any)
		place := "apps/http/servers/" + name
		if server == nil {
			return fmt.Errorf("%s: must be an object", place)
		}
		if r.ports[name], err = r.freePort(); err != nil {
			return err
		}
		r.listens[name] = strings.Join(texts(server["listen"]), " ")
		if err := r.rewriteServer(place, server, r.ports[name], httpPort, httpsPort); err != nil {
			return err
		}
	}
	if len(r.workspaces) == 0 {
		return ErrNoDirective
	}
	r.rewriteProxies()
	return nil
}

// freePort is one that is held until close: of two that are only looked for the second may be
// the first, and other programs take them.
func (r *rewriting) freePort() (int, error) {
	port, held, err := freePort()
	if err == nil {
		r.held = append(r.held, held)
	}
	return port, err
}

func portOr(part any, otherwise int) int {
	if port, ok := part.(float64); ok && port > 0 {
		return int(port)
	}
	return otherwise
}

// keptOptions are those of a server that say how requests are read, by which route they go,
// and which certificates count.
var keptOptions = []string{
	"listen", "routes", "errors", "named_routes", "tls_connection_policies", "strict_sni_host", "trusted_proxies", "trusted_proxies_strict", "client_ip_headers",
	"listener_wrappers", "max_header_bytes", "read_timeout", "read_header_timeout", "read_idle_timeout", "read_min_rate", "write_timeout", "write_idle_timeout", "write_min_rate",
	"max_write_chunk", "idle_timeout", "keepalive_interval", "keepalive_idle", "keepalive_count", "enable_full_duplex", "expected_underscore_headers", "expected_dot_headers",
}

// keptWrappers are listener wrappers that do not change who connects.
var keptWrappers = []string{"openbanking_dcr", "tls", "http_redirect"}

func (r *rewriting) rewriteServer(place string, server map[string]any, port, httpPort, httpsPort int) error {
	listens := texts(server["listen"])
	overTLS := usesTLS(server, listens, httpPort, httpsPort)
	r.plain[strings.TrimPrefix(place, "apps/http/servers/")] = !overTLS
	r.instead(place+"/listen", "the listeners "+strings.Join(listens, " "), "127.0.0.1:"+strconv.Itoa(port))
	r.keep(place, server, append(keptOptions, "automatic_https", "protocols")...)
	server["listen"] = []any{"127.0.0.1:" + strconv.Itoa(port)}
	server["automatic_https"] = map[string]any{"disable": true}
	server["protocols"] = []any{"h1", "h2"}
	var wrappers []any
	for _, w := range objects(server["listener_wrappers"]) {
		if name, _ := w["wrapper"].(string); slices.Contains(keptWrappers, name) {
			wrappers = append(wrappers, w)
		} else {
			r.instead(place+"/listener_wrappers", "the listener wrapper "+name, "nothing")
		}
	}
	if server["listener_wrappers"] = wrappers; wrappers == nil {
		delete(server, "listener_wrappers")
	}
	if proxies, _ := server["trusted_proxies"].(map[string]any); proxies != nil && proxies["source"] != "static" {
		r.instead(place+"/trusted_proxies", "the trusted proxies", "nobody")
		delete(server, "trusted_proxies")
	}
	switch {
	case !overTLS:
		delete(server, "tls_connection_policies")
	case len(objects(server["tls_connection_policies"])) == 0:
		server["tls_connection_policies"] = []any{map[string]any{}}
	}
	for i, policy := range objects(server["tls_connection_policies"]) {
		if err := r.rewritePolicy(place+"/tls_connection_policies/"+strconv.Itoa(i), policy); err != nil {
			return err
		}
	}
	if err := r.rewriteRoutes(place, server); err != nil {
		return err
	}
	for _, w := range r.workspaces {
		if place == "apps/http/servers/"+w.server && w.ClientCertificateHeader != nil {
			r.instead(place+"/trusted_proxies", "the trusted proxies", "this machine, which stands for the load balancer")
			server["trusted_proxies"] = map[string]any{"source": "static", "ranges": []any{"127.0.0.1/32"}}
			delete(server, "trusted_proxies_strict")
		}
	}
	return nil
}

// usesTLS is what Caddy makes of a server: not TLS where it listens on the port of http
// alone, or where it has neither policies nor hosts that get certificates.
func usesTLS(server map[string]any, listens []string, httpPort, httpsPort int) bool {
	plain, https := len(listens) > 0, len(listens) > 0
	for _, text := range listens {
		address, err := caddy.ParseNetworkAddress(resolved(text))
		if err != nil {
			continue
		}
		plain = plain && int(address.StartPort) == httpPort
		https = https && int(address.StartPort) == httpsPort
	}
	switch off, _ := server["automatic_https"].(map[string]any); {
	case plain:
		return false
	case len(objects(server["tls_connection_policies"])) > 0:
		return true
	case off["disable"] == true:
		return false
	case https:
		return true
	}
	hosts := false
	for _, route := range objects(server["routes"]) {
		for _, set := range objects(route["match"]) {
			hosts = hosts || len(texts(set["host"])) > 0
		}
	}
	return hosts
}

// resolved replaces placeholders that need no request.
func resolved(text string) string { return caddy.NewReplacer().ReplaceKnown(text, "") }

// rewritePolicy keeps what a connection policy demands of client certificates, and has it
// demand those of the throw-away CA.
func (r *rewriting) rewritePolicy(place string, policy map[string]any) error {
	r.keep(place, policy, "match", "cipher_suites", "curves", "alpn", "protocol_min", "protocol_max", "drop", "client_authentication", "default_sni", "fallback_sni")
	if match, _ := policy["match"].(map[string]any); match != nil {
		for name := range match {
			if !slices.Contains([]string{"sni", "sni_regexp", "remote_ip", "local_ip", "alpn"}, name) {
				return &NotKnownError{place + "/match/" + name, "the matcher " + name}
			}
		}
	}
	client, _ := policy["client_authentication"].(map[string]any)
	if client == nil {
		return nil
	}
	place += "/client_authentication"
	trusts := false
	for _, name := range []string{"ca", "trusted_ca_certs", "trusted_ca_certs_pem_files"} {
		if _, ok := client[name]; ok {
			trusts = true
			delete(client, name)
		}
	}
	r.keep(place, client, "mode")
	if trusts {
		r.instead(place, "the CAs of client certificates", "a throw-away CA")
		client["ca"] = r.ca.trustPool()
	}
	return nil
}

// hostAndPort are those of an address; the port is that of https where it has none.
func hostAndPort(text string) (host, port string) {
	if host, port, err := net.SplitHostPort(text); err == nil {
		return strings.ToLower(host), port
	}
	return strings.ToLower(strings.Trim(text, "[]")), "443"
}
