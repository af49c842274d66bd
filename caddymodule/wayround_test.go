package caddymodule

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// directive is a workspace with further words.
func directive(workspace, words string) string {
	as := "as.internal:9443/" + workspace
	if workspace == "third" {
		as = "third.internal/x"
	}
	return "openbanking_dcr " + workspace + " {\n" + words + "\nauthorization_server https://" + as +
		" {\nprovision rfc7591\n}\nsoftware_statement x {\njwks_uri https://localhost:1/k\n}\n}\n"
}

// withGuards is a Caddyfile in which GUARD is a directive with an authorization server at
// as.internal:9443, and AS a proxy to it. GUARD2 has the same, GUARD3 another one.
func withGuards(sites string) string {
	return "{\nadmin off\nauto_https off\nlog {\noutput discard\n}\n}\n" + strings.NewReplacer(
		"GUARD_UPSTREAM", directive("default", "unguarded upstream portal:80 https://cdn.example"), "GUARD_HANDLER", directive("default", "unguarded handler strange"),
		"GUARD_PROXY", directive("default", "unguarded handler reverse_proxy"), "GUARD_AS", directive("default", "unguarded upstream https://as.internal:9443"),
		"GUARD2", directive("other", ""), "GUARD3", directive("third", ""), "GUARD", directive("default", ""), "AS", "reverse_proxy https://as.internal:9443",
	).Replace(sites)
}

// TestWaysRound: a configuration in which requests for a host of the directive are sent on
// without passing it does not load, and the error names the way and what to do.
func TestWaysRound(t *testing.T) {
	for _, c := range []struct{ name, sites, want string }{
		// The site itself.
		{"at the top", "http://a {\nGUARD\nAS\n}", ""},
		{"with everything that runs before it", "http://a {\ntracing {\nspan x\n}\nmap {path} {x} {\ndefault y\n}\nvars a b\nroot * /srv\nlog_skip /x\nheader X y\nrequest_body {\nmax_size 1MB\n}\nredir /x /y\nrewrite /x /y\nbasic_auth /admin/* {\nu $2a$14$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT/5qqR7hx4IjWJPDhjvG\n}\nforward_auth auth:80 {\nuri /verify\ncopy_headers Remote-User\n}\nrequest_header X y\nencode gzip\npush /x\nintercept {\nhandle_response {\nrespond no\n}\n}\ntemplates\nGUARD\nAS\n}", ""},
		{"with what answers by itself", "http://a {\nGUARD\nhandle /a/* {\nrespond 200\n}\nhandle /b/* {\nerror 404\n}\nhandle /c/* {\nabort\n}\nhandle /d/* {\nfile_server\n}\nhandle /e/* {\nmetrics\n}\nhandle /f/* {\nredir /f/* /x\n}\nhandle /acme/* {\nacme_server\n}\nhandle {\nAS\n}\n}", ""},
		{"in a handle, and the rest answers by itself", "http://a {\nhandle /default/* {\nGUARD\nAS\n}\nhandle /files/* {\nfile_server\n}\nrespond 404\n}", ""},
		{"in a handle, and the rest sends on", "http://a {\nhandle /default/* {\nGUARD\nAS\n}\nAS\n}", "requests for a go round this directive to reverse_proxy to as.internal:9443 at apps/http/servers/srv0/routes/0/handle/0/routes/1/handle/0 (listens on :80): put openbanking_dcr at the top of the site block"},
		{"in a handle, and another sends on", "http://a {\nhandle /default/* {\nGUARD\nAS\n}\nhandle {\nreverse_proxy portal:80\n}\n}", "unguarded upstream portal:80"},
		{"in a handle_path", "http://a {\nhandle_path /default/* {\nGUARD\n}\nAS\n}", "go round"},
		{"in a route", "http://a {\nroute /default/* {\nGUARD\n}\nAS\n}", "go round"},
		{"in a route of all paths", "http://a {\nroute {\nGUARD\n}\nAS\n}", ""},
		{"in a route after a proxy", "http://a {\nroute {\nreverse_proxy /x portal:80\nGUARD\nAS\n}\n}", "reverse_proxy to portal:80"},
		{"nested", "http://a {\nhandle /b* {\nroute {\nhandle /b/c* {\nGUARD\n}\nAS\n}\n}\n}", "go round"},
		{"behind php_fastcgi", "http://a {\nroute {\nphp_fastcgi unix//run/php.sock\nGUARD\nAS\n}\n}", "go round"},
		{"an answer that goes on past it", "http://a {\nintercept {\n@refused status 401\nhandle_response @refused {\nAS\n}\n}\nGUARD\nAS\n}", "go round"},
		{"error routes", "http://a {\nGUARD\nAS\nhandle_errors {\nAS\n}\n}", "apps/http/servers/srv0/errors/routes/0/handle/0"},
		{"error routes of another site", "http://a {\nGUARD\nAS\n}\nhttp://b {\nhandle_errors {\nreverse_proxy pages:80\n}\n}", ""},
		{"error pages", "http://a {\nGUARD\nAS\nhandle_errors {\nrewrite /{err.status_code}.html\nfile_server\n}\n}", ""},
		{"a named route before it", "&(as) {\nAS\n}\nhttp://a {\nhandle /x/* {\ninvoke as\n}\nhandle {\nGUARD\ninvoke as\n}\n}", "apps/http/servers/srv0/named_routes/as/handle/0"},
		{"in a named route", "&(as) {\nGUARD\nAS\n}\nhttp://a {\ninvoke as\n}", ""},
		{"in a named route, not always invoked", "&(as) {\nGUARD\n}\nhttp://a {\ninvoke /default/* as\nAS\n}", "go round"},
		{"forward_auth to the AS", "http://a {\nforward_auth https://as.internal:9443 {\nuri /verify\n}\nGUARD\nAS\n}", "go round"},
		{"forward_auth to whom the request names", "http://a {\nforward_auth {header.x}:80 {\nuri /verify\n}\nGUARD\nAS\n}", "go round"},
		{"forward_auth to another port of the AS's host", "http://a {\nforward_auth as.internal:4180 {\nuri /verify\n}\nGUARD\nAS\n}", ""},
		{"a group of a named route with the number of one of the site", "&(sec) {\nhandle /api/* {\nheader X-Kind api\n}\nhandle {\nheader X-Kind page\n}\n}\nhttp://a {\ninvoke sec\nhandle /files/* {\nfile_server\n}\nhandle {\nGUARD\n}\nAS\n}", "no request comes to this directive"},
		{"a group of a named route, taken sometimes", "&(sec) {\nhandle /api/* {\nheader X-Kind api\n}\nhandle /b/* {\nheader X-Kind page\n}\n}\nhttp://a {\ninvoke sec\nhandle /files/* {\nfile_server\n}\nhandle {\nGUARD\n}\nAS\n}", "go round"},
		{"groups of a named route, and it at the top", "&(sec) {\nhandle /api/* {\nheader X-Kind api\n}\nhandle {\nheader X-Kind page\n}\n}\nhttp://a {\ninvoke sec\nGUARD\nAS\n}", ""},
		{"groups of a named route behind it", "&(sec) {\nhandle /api/* {\nheader X-Kind api\n}\nhandle {\nheader X-Kind page\n}\n}\nhttp://a {\nhandle /files/* {\nfile_server\n}\nhandle {\nGUARD\ninvoke sec\nAS\n}\n}", ""},
		{"an answer that is not the last (103) before it", "http://a {\nroute /default/* {\nGUARD\n}\nrespond 103\nAS\n}", "go round"},
		{"an answer that is not the last (103), written otherwise", "http://a {\nhandle /x {\nrespond \"\" 0103\nAS\n}\nhandle {\nGUARD\nAS\n}\n}", "go round"},
		{"an answer whose status the request tells", "http://a {\nhandle /x {\nrespond \"\" {query.s}\nAS\n}\nhandle {\nGUARD\nAS\n}\n}", "go round"},
		{"an answer that is not the last (103), and it", "http://a {\nroute {\nrespond 103\nGUARD\nAS\n}\n}", ""},
		{"an error page with the status of the error, which can be 103", "http://a {\nGUARD\nAS\nhandle_errors {\nrespond sorry\nAS\n}\n}", "go round"},
		{"an error page with a status of its own", "http://a {\nGUARD\nAS\nhandle_errors {\nrespond sorry 500\n}\n}", ""},
		{"a network before the AS's address", "http://a {\nforward_auth tcp/as.internal:9443 {\nuri /verify\n}\nGUARD\nAS\n}", "go round"},
		{"an upstream of a placeholder that is excepted", "http://a {\nhandle /p* {\nreverse_proxy {env.PORTAL}\n}\nhandle {\n" + directive("default", "unguarded upstream {env.PORTAL}") + "AS\n}\n}", ""},
		// Hosts.
		{"another host", "http://a {\nGUARD\nAS\n}\nhttp://portal.b {\nreverse_proxy portal:80\n}", ""},
		{"every host, and another site", "http://:80 {\nGUARD\nAS\n}\nhttp://portal.b {\nreverse_proxy portal:80\n}", ""},
		{"two hosts, one of them elsewhere too", "http://a, http://c {\nGUARD\nAS\n}\nhttp://c:81 {\nAS\n}", "requests for c go round this directive to reverse_proxy to as.internal:9443 at apps/http/servers/srv1/routes/0/handle/0/routes/0/handle/0 (listens on :81): take that site away, let it redirect or respond, or give it a host of its own"},
		{"another port", "http://a {\nGUARD\nAS\n}\nhttp://a:81 {\nreverse_proxy portal:80\n}", "go round"},
		{"another port of every host", "http://a {\nGUARD\nAS\n}\nhttp://:81 {\nAS\n}", "go round"},
		{"another port of a wildcard", "http://a.b {\nGUARD\nAS\n}\nhttp://*.b:81 {\nAS\n}", "requests for a.b go round"},
		{"another port of a wildcard in the middle", "http://*.b {\nGUARD\nAS\n}\nhttp://a.*:81 {\nreverse_proxy portal:80\n}", "requests for a.b go round"},
		{"another port that redirects", "http://a:81 {\nGUARD\nAS\n}\nhttp://a {\nredir https://a\n}", ""},
		{"another spelling of the host", "http://a.example {\nGUARD\nAS\n}\nhttp://:81 {\n@a host A.Example\nhandle @a {\nreverse_proxy portal:80\n}\n}", "go round"},
		{"one host of a wildcard site", "http://*.b {\n@a host a.b\nhandle @a {\nGUARD\nAS\n}\nhandle {\nreverse_proxy portal:80\n}\n}", ""},
		{"one host of a wildcard site, not first", "http://*.b {\n@a host a.b\nroute {\nreverse_proxy /x portal:80\nhandle @a {\nGUARD\nAS\n}\n}\n}", "go round"},
		{"all hosts but one", "http://:80 {\n@b not host b\nhandle @b {\nGUARD\nAS\n}\nhandle {\nreverse_proxy portal:80\n}\n}", ""},
		{"a host by expression", "http://:80 {\n@a expression {host}.endsWith(\"a\")\nhandle @a {\nGUARD\nAS\n}\nhandle {\nreverse_proxy portal:80\n}\n}", "go round"},
		{"a host that the request names", "http://a {\nGUARD\nAS\n}\nhttp://:81 {\n@a host {header.x}\nreverse_proxy @a portal:80\n}", "go round"},
		{"one host of the site, and the AS for another", "http://a, http://c {\n@a host a\nhandle @a {\nGUARD\nAS\n}\nhandle {\nAS\n}\n}", "requests for c go round"},
		// Two workspaces.
		{"two in a site", "http://a {\nGUARD\nGUARD2\nAS\n}", ""},
		{"two ports, one AS", "http://a {\nGUARD\nAS\n}\nhttp://a:81 {\nGUARD2\nAS\n}", "go round"},
		{"two ports, one AS, other paths", "http://a {\nGUARD\nreverse_proxy /default/* https://as.internal:9443\n}\nhttp://a:81 {\nGUARD2\nreverse_proxy /other/* https://as.internal:9443\n}", ""},
		{"two ports, two ASs", "http://a {\nGUARD\nAS\n}\nhttp://a:81 {\nGUARD3\nreverse_proxy https://third.internal\n}", ""},
		{"two handles, one AS", "http://a {\nhandle /default/* {\nGUARD\nAS\n}\nhandle /other/* {\nGUARD2\nAS\n}\n}", ""},
		{"two handles, one AS, another path in place of that of the second", "http://a {\nhandle /default/* {\nGUARD\nAS\n}\nhandle_path /x/* {\nGUARD2\nAS\n}\n}", "go round"},
		{"two handles, one AS, a rewrite in the second", "http://a {\nhandle /default/* {\nGUARD\nAS\n}\nhandle /x/* {\nuri strip_prefix /x\nGUARD2\nAS\n}\n}", "go round"},
		{"two handles, one AS, a rewrite of an answer in the second", "http://a {\nhandle /default/* {\nGUARD\nAS\n}\nhandle /x/* {\nforward_auth auth:80 {\nuri /verify\nhandle_response {\nrewrite {query.to}\n}\n}\nGUARD2\nAS\n}\n}", "go round"},
		{"two handles, one AS, a rewrite before both", "http://a {\nuri strip_prefix /bank\nhandle /default/* {\nGUARD\nAS\n}\nhandle /other/* {\nGUARD2\nAS\n}\n}", ""},
		{"two handles, one AS, a rewrite of other paths in the second", "http://a {\nhandle /default/* {\nGUARD\nAS\n}\nhandle /other/* {\nhandle_path /other/files/* {\nfile_server\n}\nhandle {\nGUARD2\nAS\n}\n}\n}", ""},
		{"two ports, one AS, another path in place of that of the second", "http://a {\nGUARD\nAS\n}\nhttp://a:81 {\nhandle_path /x/* {\nGUARD2\nAS\n}\n}", "go round"},
		// Exceptions.
		{"an upstream that is excepted", "http://a {\nhandle /portal/* {\nreverse_proxy portal:80\n}\nhandle /cdn/* {\nreverse_proxy https://cdn.example\n}\nhandle {\nGUARD_UPSTREAM\nAS\n}\n}", ""},
		{"another port that is excepted", "http://a {\nGUARD_UPSTREAM\nAS\n}\nhttp://a:81 {\nreverse_proxy http://portal\n}", ""},
		{"another upstream than the one excepted", "http://a {\nhandle /portal/* {\nreverse_proxy portal:80 portal:81\n}\nhandle {\nGUARD_UPSTREAM\nAS\n}\n}", "reverse_proxy to portal:81"},
		{"the AS, excepted", "http://a {\nhandle /healthy {\nAS\n}\nhandle {\nGUARD_AS\nAS\n}\n}", ""},
		{"dynamic upstreams", "http://a {\nhandle /x {\nreverse_proxy {\ndynamic a x 80\n}\n}\nhandle {\nGUARD\nAS\n}\n}", "unguarded handler reverse_proxy"},
		{"dynamic upstreams that are excepted", "http://a {\nhandle /x {\nreverse_proxy {\ndynamic a x 80\n}\n}\nhandle {\nGUARD_PROXY\nAS\n}\n}", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := load(t, withGuards(c.sites))
			loadedOr(t, err, c.want)
		})
	}
}

// loadedOr holds what loading has come to: an error with want, or none where that is empty.
func loadedOr(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Error(err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("got %v, want an error with %q", err, want)
	}
}

// TestLaterRewrites: what Caddy changes of a request target between the directive and the
// authorization server is found wherever it is, and nothing else is.
func TestLaterRewrites(t *testing.T) {
	const late = "reverse_proxy after rewrite at apps/http/servers/srv0/routes/0"
	excepting := func(words string) string { return directive("default", "unguarded "+words) }
	for _, c := range []struct{ name, sites, want string }{
		{"the place is named", "http://a {\nGUARD\nhandle_path /x/* {\nAS\n}\n}", late},
		{"another site behind it", "http://auth.bank {\nGUARD\nreverse_proxy /default/* https://as.internal:9443\n}\nhttp://www.bank {\nphp_fastcgi unix//run/php.sock\nfile_server\n}", ""},
		{"another site behind it, with a path of its own", "http://auth.bank {\nGUARD\nhandle /default/* {\nAS\n}\n}\nhttp://www.bank {\nhandle_path /api/* {\nreverse_proxy unix//run/app.sock\n}\n}", ""},
		{"a site of every host behind it", "http://auth.bank {\nGUARD\nreverse_proxy /default/* https://as.internal:9443\n}\nhttp:// {\nhandle_path /api/* {\nreverse_proxy unix//run/app.sock\n}\n}", ""},
		{"an answer that is intercepted", "http://a {\nGUARD\nhandle {\nintercept {\n@n status 404\nhandle_response @n {\nrewrite * /default/register\nAS\n}\n}\nAS\n}\n}", late},
		{"an answer that is intercepted, to a file", "http://a {\nGUARD\nhandle {\nintercept {\n@n status 404\nhandle_response @n {\nrewrite * /404.html\nfile_server\n}\n}\nAS\n}\n}", ""},
		{"a rewrite between two routes of a group", "http://a {\nGUARD\nroute {\nhandle /b/* {\nfile_server\n}\nrewrite /x /y\nhandle {\nAS\n}\n}\n}", late},
		{"a network before the address", "http://a {\nGUARD\nhandle_path /x/* {\nreverse_proxy tcp/as.internal:9443\n}\n}", late},
		{"a dot behind the host", "http://a {\nGUARD\nhandle_path /x/* {\nreverse_proxy https://as.internal.:9443\n}\n}", late},
		{"FastCGI on a socket", "http://a {\nGUARD\nhandle /php/* {\nphp_fastcgi unix//run/php.sock\n}\nhandle {\nAS\n}\n}", ""},
		{"a socket", "http://a {\nGUARD\nhandle_path /p/* {\nreverse_proxy unix//run/portal.sock\n}\nhandle {\nAS\n}\n}", "write in this directive: unguarded upstream unix//run/portal.sock"},
		{"a socket that is excepted", "http://a {\n" + excepting("upstream unix//run/portal.sock") + "handle_path /p/* {\nreverse_proxy unix//run/portal.sock\n}\nhandle {\nAS\n}\n}", ""},
		{"a placeholder", "http://a {\nGUARD\nhandle_path /p/* {\nreverse_proxy {env.PORTAL}\n}\nhandle {\nAS\n}\n}", "write in this directive: unguarded upstream {env.PORTAL}"},
		{"a placeholder that is excepted", "http://a {\n" + excepting("upstream {env.PORTAL}") + "handle_path /p/* {\nreverse_proxy {env.PORTAL}\n}\nhandle {\nAS\n}\n}", ""},
		{"the AS, excepted", "http://a {\n" + excepting("upstream https://as.internal:9443") + "handle_path /p/* {\nAS\n}\n}", late},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := load(t, withGuards(c.sites))
			loadedOr(t, err, c.want)
		})
	}
}

// TestWaysRoundInJSON: what no Caddyfile makes.
func TestWaysRoundInJSON(t *testing.T) {
	caddy.RegisterModule(strange{})
	const (
		guard  = `{"handler":"openbanking_dcr","workspace":"default","authorization_server":{"url":"https://as.internal:9443/default","provision":{"method":"rfc7591"}},"software_statements":[{"issuer":"x","jwks_uri":"https://localhost/k"}]}`
		excuse = `{"handler":"openbanking_dcr","workspace":"default","unguarded":{"handlers":["strange"]},"authorization_server":{"url":"https://as.internal:9443/default","provision":{"method":"rfc7591"}},"software_statements":[{"issuer":"x","jwks_uri":"https://localhost/k"}]}`
		as     = `{"handler":"reverse_proxy","upstreams":[{"dial":"AS.internal.:9443"}]}`
	)
	for _, c := range []struct{ name, servers, want string }{
		{"in one route with the proxy", `"s":{"routes":[{"handle":[` + guard + `,` + as + `]}]}`, ""},
		{"behind the proxy", `"s":{"routes":[{"handle":[` + as + `,` + guard + `]}]}`, "no request comes to this directive"},
		{"behind a matcher", `"s":{"routes":[{"match":[{"method":["POST"]}],"handle":[` + guard + `]},{"handle":[` + as + `]}]}`, "go round"},
		{"behind a matcher of all targets", `"s":{"routes":[{"match":[{"path":["/x","*"]}],"handle":[` + guard + `]},{"handle":[` + as + `]}]}`, ""},
		{"behind a matcher of all paths, and a target has none", `"s":{"routes":[{"match":[{"path":["/*"]}],"handle":[` + guard + `]},{"handle":[` + as + `]}]}`, "go round"},
		{"behind a matcher of all paths, with the proxy", `"s":{"routes":[{"match":[{"path":["/*"]}],"handle":[` + guard + `,` + as + `]}]}`, ""},
		{"beside a matcher of not all paths", `"s":{"routes":[{"match":[{"not":[{"path":["/*"]}]}],"handle":[` + as + `]},{"handle":[` + guard + `,` + as + `]}]}`, "go round"},
		{"behind a matcher of nothing", `"s":{"routes":[{"match":[{}],"handle":[` + guard + `]},{"handle":[` + as + `]}]}`, ""},
		{"in a group with the proxy", `"s":{"routes":[{"group":"g","match":[{"path":["/a"]}],"handle":[` + as + `]},{"group":"g","handle":[` + guard + `]},{"handle":[` + as + `]}]}`, "go round"},
		{"in a group that goes on", `"s":{"routes":[{"group":"g","match":[{"path":["/a"]}],"handle":[{"handler":"vars"}]},{"group":"g","handle":[` + guard + `]},{"handle":[` + as + `]}]}`, "go round"},
		{"in a group, first", `"s":{"routes":[{"group":"g","handle":[` + guard + `]},{"group":"g","handle":[` + as + `]}]}`, ""},
		{"in a group that was taken further up", `"s":{"routes":[{"group":"g","match":[{"path":["/a/*"]}],"handle":[{"handler":"vars"}]},{"handle":[{"handler":"subroute","routes":[{"group":"g","handle":[` + guard + `]}]}]},{"handle":[` + as + `]}]}`, "go round"},
		{"a group that was taken further down", `"s":{"routes":[{"handle":[{"handler":"subroute","routes":[{"group":"g","match":[{"path":["/a/*"]}],"handle":[{"handler":"vars"}]}]}]},{"group":"g","handle":[` + guard + `]},{"handle":[` + as + `]}]}`, "go round"},
		{"a group that was taken before an error", `"s":{"routes":[{"group":"g","match":[{"path":["/a/*"]}],"handle":[{"handler":"error"}]},{"handle":[` + guard + `,` + as + `]}],"errors":{"routes":[{"group":"g","handle":[{"handler":"static_response","status_code":500}]},{"handle":[` + as + `]}]}}`, "apps/http/servers/s/errors/routes/1/handle/0"},
		{"a group of error routes alone", `"s":{"routes":[{"group":"f","match":[{"path":["/a/*"]}],"handle":[{"handler":"error"}]},{"handle":[` + guard + `,` + as + `]}],"errors":{"routes":[{"group":"g","handle":[{"handler":"static_response","status_code":500}]},{"group":"g","handle":[` + as + `]}]}}`, ""},
		{"a group that was taken before the error of a subroute", `"s":{"routes":[{"handle":[{"handler":"subroute","routes":[{"group":"g","match":[{"path":["/a/*"]}],"handle":[{"handler":"error"}]},{"handle":[` + guard + `,` + as + `]}],"errors":{"routes":[{"group":"g","handle":[{"handler":"static_response","status_code":500}]},{"handle":[` + as + `]}]}}]}]}`, "go round"},
		{"a group that was taken before an answer that is intercepted", `"s":{"routes":[{"handle":[{"handler":"intercept","handle_response":[{"routes":[{"group":"g","handle":[{"handler":"static_response"}]},{"handle":[` + as + `]}]}]}]},{"group":"g","handle":[` + guard + `,` + as + `]}]}`, "go round"},
		{"a route that ends before it", `"s":{"routes":[{"match":[{"path":["/a"]}],"handle":[{"handler":"vars"}],"terminal":true},{"handle":[` + guard + `,` + as + `]}]}`, ""},
		{"errors of a subroute", `"s":{"routes":[{"handle":[{"handler":"subroute","routes":[{"handle":[` + guard + `,` + as + `]}],"errors":{"routes":[{"handle":[` + as + `]}]}}]}]}`, "go round"},
		{"errors of a server", `"s":{"routes":[{"handle":[` + guard + `,` + as + `]}],"errors":{"routes":[{"handle":[` + as + `]}]}}`, "apps/http/servers/s/errors/routes/0/handle/0"},
		{"a handler that nobody knows", `"s":{"routes":[{"handle":[{"handler":"strange"},` + guard + `,` + as + `]}]}`, "unguarded handler strange"},
		{"a handler that nobody knows, provisioned before", `"s":{"routes":[{"match":[{"path":["/x"]}],"handle":[{"handler":"strange"}]},{"handle":[` + guard + `,` + as + `]}]}`, "unguarded handler strange"},
		{"a handler that nobody knows, excepted", `"s":{"routes":[{"handle":[{"handler":"strange"},` + excuse + `,` + as + `]}]}`, ""},
		{"a handler that nobody knows, behind it", `"s":{"routes":[{"handle":[` + guard + `,{"handler":"strange"},` + as + `]}]}`, ""},
		{"answers that go on", `"s":{"routes":[{"handle":[{"handler":"reverse_proxy","upstreams":[{"dial":"portal:80"}],"handle_response":[{"match":{"status_code":[2]},"routes":[{"handle":[{"handler":"vars"}]}]}]},` + guard + `]}]}`, "reverse_proxy to portal:80"},
		{"an answer that is not the last, provisioned before", `"s":{"routes":[{"match":[{"path":["/x"]}],"handle":[{"handler":"static_response","status_code":103},` + as + `]},{"handle":[` + guard + `,` + as + `]}]}`, "go round"},
		{"a file server, provisioned before", `"s":{"routes":[{"match":[{"path":["/x"]}],"handle":[{"handler":"file_server"},` + as + `]},{"handle":[` + guard + `,` + as + `]}]}`, ""},
		{"a file server that passes on what it has not, provisioned before", `"s":{"routes":[{"match":[{"path":["/x"]}],"handle":[{"handler":"file_server","pass_thru":true},` + as + `]},{"handle":[` + guard + `,` + as + `]}]}`, "go round"},
		{"a file server that passes on what it has not, in another server", `"a":{"listen":[":1"],"routes":[{"handle":[` + guard + `,` + as + `]}]},"b":{"listen":[":2"],"routes":[{"handle":[{"handler":"file_server","pass_thru":true},` + as + `]}]}`, "go round"},
		{"an answer that aborts", `"s":{"routes":[{"match":[{"path":["/x"]}],"handle":[{"handler":"static_response","status_code":103,"abort":true},` + as + `]},{"handle":[` + guard + `,` + as + `]}]}`, ""},
		{"a rewrite in the errors of a subroute behind it", `"s":{"routes":[{"handle":[` + guard + `,{"handler":"subroute","routes":[{"handle":[{"handler":"error"}]}],"errors":{"routes":[{"handle":[{"handler":"rewrite","uri":"/default/register"},` + as + `]}]}}]}]}`, "reverse_proxy after rewrite"},
		{"the server that is provisioned before", `"a":{"listen":[":1"],"routes":[{"handle":[` + as + `]}]},"b":{"listen":[":2"],"routes":[{"handle":[` + guard + `]}]},"c":{"listen":[":3"],"routes":[{"handle":[` + as + `]}]}`, "apps/http/servers/c/routes/0/handle/0 (listens on :3)"},
		{"a named route that nothing invokes", `"s":{"named_routes":{"n":{"handle":[` + guard + `]}},"routes":[{"handle":[` + as + `]}]}`, "no request comes to this directive"},
		{"a named route that invokes itself", `"s":{"named_routes":{"n":{"handle":[{"handler":"invoke","name":"n"}]}},"routes":[{"handle":[{"handler":"invoke","name":"n"},` + guard + `]}]}`, "invokes itself"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := validateJSON(t, `{"admin":{"disabled":true},"logging":{"logs":{"default":{"writer":{"output":"discard"}}}},"apps":{"http":{"servers":{`+c.servers+`}}}}`)
			loadedOr(t, err, c.want)
		})
	}
}

// strange is a handler that this module has never heard of.
type strange struct{}

func (strange) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.strange", New: func() caddy.Module { return new(strange) }}
}

func (strange) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return next.ServeHTTP(w, r)
}
