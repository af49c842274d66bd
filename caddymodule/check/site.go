package check

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/caddyserver/certmagic"
)

// What is around the directive: the site, its proxy, its logs, the admin endpoint.

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// overTLS is the tls part of a proxy's transport, nil for none.
func (p proxy) overTLS() map[string]any {
	tls, _ := at(p.object, "transport/tls").(map[string]any)
	return tls
}

// toAS tells whether a proxy sends to a workspace's authorization server, as text.
func (p proxy) toAS(w *workspace) bool {
	upstreams, _ := p.object["upstreams"].([]any)
	return slices.ContainsFunc(upstreams, func(u any) bool {
		dial := strings.Join(texts(at(u, "dial")), "")
		host, _, err := net.SplitHostPort(dial)
		return err == nil && strings.EqualFold(host, hostOf(w.AuthorizationServer.URL))
	})
}

func proxySkipsVerification(i *inspection, w *workspace) {
	for _, p := range w.proxies {
		if p.overTLS()["insecure_skip_verify"] == true {
			i.foundIn(w, "reverse_proxy", "", "a reverse_proxy does not verify its server's certificate ("+p.place+")",
				"Whoever is between this machine and that server reads tokens and secrets, and answers in its place.", "take tls_insecure_skip_verify away, and write tls_trust_pool file <the server's CA>")
		}
	}
}

func proxyTrustDiffers(i *inspection, w *workspace) {
	for _, p := range w.proxies {
		tls := p.overTLS()
		if !p.toAS(w) || tls == nil || tls["insecure_skip_verify"] == true {
			continue
		}
		proxied := tls["ca"] != nil || tls["root_ca_pool"] != nil || tls["root_ca_pem_files"] != nil
		if proxied != (w.AuthorizationServer.TrustPoolRaw != nil) {
			i.foundIn(w, "reverse_proxy", "", "only one of authorization_server and reverse_proxy has roots for the authorization server's certificate ("+p.place+")",
				"They share no settings. One of them trusts the system's roots: it cannot connect, or trusts every public authority.", "write trust_pool file <roots> in authorization_server, and transport http { tls_trust_pool file <roots> } in reverse_proxy")
		}
	}
}

func siteNameNotPublic(i *inspection, w *workspace) {
	for _, host := range w.hosts {
		if !certmagic.SubjectQualifiesForPublicCert(host) || internal(i, host) {
			i.foundIn(w, "the site's address", "", host+" gets no certificate of a public authority",
				"TPPs do not trust Caddy's own authority, so that they cannot connect.", "write the public name of the site, and tls <certificate> <key> where the certificate does not come by ACME")
		}
	}
}

// internal tells whether tls internal is written for a host.
func internal(i *inspection, host string) bool {
	policies, _ := at(i.tree, "apps/tls/automation/policies").([]any)
	return slices.ContainsFunc(policies, func(p any) bool {
		return slices.Contains(texts(at(p, "subjects")), host) && at(p, "issuers/0/module") == "internal"
	})
}

func siteAnyHost(i *inspection, w *workspace) {
	if len(w.hosts) == 0 {
		i.foundIn(w, "the site's address", "", "the site is for every host name",
			"The gateway cannot compare the issuer with the public name of the site, and answers for names of others that lead here.", "write the public name of the site as its address")
	}
}

func handshakesNotLogged(i *inspection, w *workspace) {
	wrappers, _ := at(i.tree, w.server+"/listener_wrappers").([]any)
	if w.ClientCertificateHeader == nil && !slices.ContainsFunc(wrappers, func(o any) bool { return at(o, "wrapper") == "openbanking_dcr" }) {
		i.found(Finding{Workspace: w.Workspace, Directive: "servers, listener_wrappers", Place: w.server + "/listener_wrappers", Found: "client certificates that are refused in the handshake leave no line in a log",
			Why: "A TPP cannot connect, and nobody at the bank can see why.", Write: "write in the global options: servers { listener_wrappers { openbanking_dcr } }"})
	}
}

// proxyVariables are those of the environment that Caddy's own proxies follow.
var proxyVariables = []string{"HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy"}

func proxyEnvironment(i *inspection) {
	for _, name := range proxyVariables {
		if os.Getenv(name) != "" {
			i.found(Finding{Directive: "reverse_proxy", Found: "the environment has " + name,
				Why: "The gateway ignores it, but reverse_proxy sends requests of clients to the authorization server through that proxy.", Write: "start Caddy without it, or with the authorization server in NO_PROXY"})
			return
		}
	}
}

func proxyCredentialsPlain(i *inspection) {
	walk(i.tree, "", nil, func(place string, o map[string]any, _ []map[string]any) {
		text, _ := o["url"].(string)
		if strings.HasPrefix(text, "http://") && strings.Contains(text, "@") && strings.HasSuffix(place, "proxy") {
			i.found(Finding{Directive: "proxy", Place: place, Found: "the credentials for a forward proxy go to it in clear",
				Why: "Everybody on the way to the proxy can read them.", Write: "write proxy https://..., where the proxy speaks TLS"})
		}
	})
}

func adminOpen(i *inspection) {
	listen, _ := at(i.tree, "admin/listen").(string)
	_, rest, found := strings.Cut(listen, "/")
	if !found {
		rest = listen
	}
	host, _, err := net.SplitHostPort(rest)
	if listen == "" || strings.HasPrefix(listen, "unix") || err != nil || host == "localhost" {
		return
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsLoopback() {
		return
	}
	i.found(Finding{Directive: "admin", Place: "admin/listen", Found: "the admin endpoint listens on " + listen + ", which others than this machine can reach",
		Why: "Whoever reaches it can replace the configuration, read what TPPs have registered, and suspend clients.", Write: "write admin localhost:2019, or admin unix//run/caddy/admin.sock"})
}

func adminOff(i *inspection) {
	if at(i.tree, "admin/disabled") == true {
		i.found(Finding{Directive: "admin", Place: "admin/disabled", Found: "the admin endpoint is off",
			Why: "Operators cannot suspend a client, read the metrics, confirm a restore or reload the configuration.", Write: "write admin unix//run/caddy/admin.sock, for this machine alone"})
	}
}

func fourEyesWithoutCertificates(i *inspection) {
	if len(i.global.FourEyes) == 0 {
		return
	}
	access, _ := at(i.tree, "admin/remote/access_control").([]any)
	keys := 0
	for _, one := range access {
		o, _ := one.(map[string]any)
		list, _ := o["public_keys"].([]any)
		keys += len(list)
	}
	found := ""
	switch {
	case at(i.tree, "admin/disabled") == true, at(i.tree, "admin/identity") == nil, keys == 0:
		found = "four_eyes demands two operators, and the admin endpoint knows none by a certificate"
	case keys == 1:
		found = "four_eyes demands two operators, and the admin endpoint knows one certificate"
	default:
		return
	}
	i.found(Finding{Directive: "openbanking_dcr, four_eyes", Place: "apps/openbanking_dcr/four_eyes", Found: found,
		Why: "Names that are only declared do not count, so that nobody can make these changes: " + strings.Join(i.global.FourEyes, ", ") + ".", Write: "give admin an identity, and admin.remote.access_control the public_keys of two operators or more, in the JSON configuration"})
}

// logs visits each log with its place, and the default one also where nothing is written.
func (i *inspection) logs(visit func(place string, log map[string]any)) {
	all, _ := at(i.tree, "logging/logs").(map[string]any)
	for _, name := range slices.Compact(slices.Sorted(slices.Values(append(slices.Collect(maps.Keys(all)), "default")))) {
		o, _ := all[name].(map[string]any)
		visit("logging/logs/"+name, o)
	}
}

func debugLog(i *inspection) {
	i.logs(func(place string, log map[string]any) {
		if log["level"] == "DEBUG" {
			i.found(Finding{Directive: "log", Place: place, Found: "a log has the level DEBUG",
				Why: "At this level Caddy logs the headers and addresses of every request to the authorization server, and so tokens and codes.", Write: "take debug and level DEBUG away"})
		}
	})
}

func credentialsLogged(i *inspection) {
	servers, _ := at(i.tree, "apps/http/servers").(map[string]any)
	for name := range servers {
		place := "apps/http/servers/" + name + "/logs/should_log_credentials"
		if at(i.tree, place) == true {
			i.found(Finding{Directive: "servers, log_credentials", Place: place, Found: "the access log has credentials",
				Why: "In bridge mode these are the gateway's own at the authorization server; else secrets and tokens of TPPs.", Write: "take log_credentials away"})
		}
	}
}

func sharedHeaderLogged(i *inspection, w *workspace) {
	header := w.AuthorizationServer.SharedHeader
	if header == nil {
		return
	}
	filtered := false
	i.logs(func(_ string, log map[string]any) {
		filters, _ := at(log, "encoder/fields").(map[string]any)
		for name := range filters {
			filtered = filtered || strings.EqualFold(name, "request>headers>"+header.Name)
		}
	})
	if !filtered {
		i.foundIn(w, "authorization_server, shared_header", "authorization_server/shared_header", "no log leaves out the header "+header.Name,
			"Caddy logs the headers of a request to the authorization server that was cut off. It does not know that this one is a secret.", fmt.Sprintf("write in the global options: log { format filter { request>headers>%s delete } }", header.Name))
	}
}

func addressesLogged(i *inspection) {
	isAccess := func(name string) bool { return strings.HasPrefix(name, "http.log.access") }
	servers, _ := at(i.tree, "apps/http/servers").(map[string]any)
	some := slices.ContainsFunc(slices.Collect(maps.Values(servers)), func(server any) bool { return at(server, "logs") != nil })
	i.logs(func(place string, log map[string]any) {
		access := slices.ContainsFunc(texts(log["include"]), isAccess)
		if len(texts(log["include"])) == 0 {
			access = some && !slices.ContainsFunc(texts(log["exclude"]), isAccess)
		}
		if fields, _ := at(log, "encoder/fields").(map[string]any); access && fields["request>uri"] == nil {
			i.found(Finding{Directive: "log", Place: place, Found: "an access log has whole addresses",
				Why: "Their queries may have codes, id tokens, request objects and access tokens.", Write: "write in the block of log: format filter { request>uri query { replace code REDACTED ... } }, for code, id_token_hint, request and access_token"})
		}
	})
}
