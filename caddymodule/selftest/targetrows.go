package selftest

import (
	"context"
	"fmt"
	"net/http"
	"strings"
)

// spelling is another way to write a path that some server takes for the same.
type spelling struct {
	name string
	of   func(path string) string
}

var spellings = []spelling{
	{"in upper case", strings.ToUpper},
	{"with a slash at its end", func(p string) string { return p + "/" }},
	{"with an escaped letter", func(p string) string { return p[:len(p)-1] + fmt.Sprintf("%%%02x", p[len(p)-1]) }},
	{"escaped twice", func(p string) string { return p[:len(p)-1] + fmt.Sprintf("%%25%02x", p[len(p)-1]) }},
	{"with an escaped slash", func(p string) string { return p[:1] + strings.Replace(p[1:], "/", "%2f", 1) }},
	{"with a parameter", func(p string) string { return p + ";v=1" }},
	{"with two slashes", func(p string) string { return "/" + p }},
	{"with two slashes within", func(p string) string { return p[:1] + strings.Replace(p[1:], "/", "//", 1) }},
	{"behind a dot segment", func(p string) string { return "/." + p }},
	{"behind an escaped dot segment", func(p string) string { return "/%2e" + p }},
	{"behind a double dot segment", func(p string) string { return "/x/.." + p }},
	{"as the parent of a child", func(p string) string { return p + "/x/.." }},
	{"with a backslash", func(p string) string { return p[:1] + strings.Replace(p[1:], "/", "%5C", 1) }},
	{"with NUL at its end", func(p string) string { return p + "%00" }},
}

const target = "front-door: one reading of a request target (RFC 9112 3.2, RFC 3986 6)"

func hiddenRegistration(p *play) string {
	if p.ASRegistration != "" {
		return "as_registration " + p.ASRegistration
	}
	return ""
}

// rawRequest is a request as bytes.
func rawRequest(method, target, host, body string, header ...string) string {
	lines := append([]string{method + " " + target + " HTTP/1.1", "Host: " + host, "Connection: close"}, header...)
	if body != "" {
		lines = append(lines, "Content-Type: "+formType, fmt.Sprintf("Content-Length: %d", len(body)))
	}
	return strings.Join(lines, "\r\n") + "\r\n\r\n" + body
}

// raw is a row of a request as bytes, with the certificate of acme.
func raw(name, clause, expected string, needs func(*play) string, text func(*play) string) hostile {
	return hostile{name: name, clause: clause, expected: expected, needs: needs, try: func(ctx context.Context, p *play) (*reply, error) {
		return p.call(ctx, call{raw: text(p), certificate: p.acme.transport})
	}}
}

const hiddenAnswer = "404 invalid_request"

// spellingRows ask for the endpoints of the AS in other spellings.
func spellingRows() (rows []hostile) {
	registration := func(p *play) string { return p.as.at("registration_endpoint") }
	for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodPut, http.MethodDelete} {
		rows = append(rows, raw(method+" at the authorization server's own registration", "RFC 7591 3: hidden", hiddenAnswer, hiddenRegistration, func(p *play) string {
			return rawRequest(method, registration(p), p.certificateHost, "{}")
		}))
	}
	rows = append(rows, raw("a client of the authorization server's own registration", "RFC 7592 2: hidden", hiddenAnswer, hiddenRegistration, func(p *play) string {
		return rawRequest(http.MethodGet, registration(p)+"/"+p.acme.id, p.certificateHost, "")
	}))
	for _, s := range spellings {
		rows = append(rows,
			raw("the authorization server's own registration "+s.name, target, hiddenAnswer, hiddenRegistration, func(p *play) string {
				return rawRequest(http.MethodPost, s.of(registration(p)), p.certificateHost, "{}")
			}),
			raw("the token endpoint "+s.name, target, hiddenAnswer, nil, func(p *play) string {
				return rawRequest(http.MethodPost, s.of(p.as.at("token_endpoint")), p.certificateHost, p.form())
			}))
	}
	return rows
}

// form is that of a token request which names acme.
func (p *play) form() string {
	return "grant_type=client_credentials&scope=openid&client_id=" + p.acme.id
}

func targetRows() []hostile {
	path := func(p *play) string { return p.as.at("registration_endpoint") }
	line := func(name, expected string, of func(p *play) string) hostile {
		return raw(name, target, expected, hiddenRegistration, func(p *play) string { return rawRequest(http.MethodPost, of(p), p.certificateHost, "{}") })
	}
	const smuggling = "RFC 9112 6.3 and 11.2: request smuggling"
	smuggled := func(p *play) string { return rawRequest(http.MethodPost, path(p), p.certificateHost, "{}") }
	bytes := func(name string, of func(p *play) string) hostile {
		return raw(name, smuggling, refused, hiddenRegistration, of)
	}
	return []hostile{
		line("absolute-form target with this host", hiddenAnswer, func(p *play) string { return "https://" + p.certificateHost + path(p) }),
		line("absolute-form target with a user", refused, func(p *play) string { return "https://user@" + p.certificateHost + path(p) }),
		line("absolute-form target with another host", unseen, func(p *play) string { return "https://other.invalid" + path(p) }),
		line("opaque target", refused, func(p *play) string { return "x:https:" + path(p) }),
		line("target without a slash", refused, func(p *play) string { return strings.TrimPrefix(path(p), "/") }),
		line("target that begins with a host", refused, func(p *play) string { return "//other.invalid" + path(p) }),
		line("target with a number sign", refused, func(p *play) string { return path(p) + "?#" }),
		line("target with an over-long slash", refused, func(p *play) string { return "/%c0%af" + path(p) }),
		raw("CONNECT", "RFC 9110 9.3.6", refused, nil, func(p *play) string { return rawRequest("CONNECT", p.certificateHost+":443", p.certificateHost, "") }),
		raw("TRACE", "RFC 9110 9.3.8", refused, nil, func(p *play) string { return rawRequest("TRACE", p.as.path+"/nothing", p.certificateHost, "") }),
		raw("another Host than that of the connection", "RFC 9110 7.4", unseen, nil, func(p *play) string {
			return rawRequest(http.MethodPost, path(p), "other.invalid", "{}")
		}),
		bytes("two Hosts", func(p *play) string {
			return rawRequest(http.MethodPost, path(p), p.certificateHost, "{}", "Host: other.invalid")
		}),
		bytes("two Content-Lengths", func(p *play) string {
			return rawRequest(http.MethodPost, path(p), p.certificateHost, "{}", "Content-Length: 0") + smuggled(p)
		}),
		bytes("Content-Length beside Transfer-Encoding", func(p *play) string {
			return "POST " + path(p) + " HTTP/1.1\r\nHost: " + p.certificateHost + "\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled(p)
		}),
		bytes("a Transfer-Encoding that nobody knows", func(p *play) string {
			return "POST " + path(p) + " HTTP/1.1\r\nHost: " + p.certificateHost + "\r\nTransfer-Encoding: xchunked\r\nContent-Length: 2\r\n\r\n{}" + smuggled(p)
		}),
		bytes("a blank before the colon of a header", func(p *play) string {
			return "POST " + path(p) + " HTTP/1.1\r\nHost: " + p.certificateHost + "\r\nTransfer-Encoding : chunked\r\nContent-Length: 2\r\n\r\n{}" + smuggled(p)
		}),
		bytes("a second request behind an early answer", func(p *play) string {
			return "POST " + path(p) + " HTTP/1.1\r\nHost: " + p.certificateHost + "\r\nContent-Length: 2\r\n\r\n{}" + smuggled(p)
		}),
	}
}

// forged are headers by which servers learn of a client's certificate, of a user, of another
// address, or of another method.
var forged = []struct {
	what  string
	names []string
}{
	{"a certificate (RFC 9440)", []string{"Client-Cert", "Client-Cert-Chain", "Client_Cert"}},
	{"a certificate, of load balancers", []string{"X-Forwarded-Client-Cert", "X-Forwarded-Tls-Client-Cert", "X-Amzn-Mtls-Clientcert", "X-Client-Cert", "X-Arr-Clientcert"}},
	{"a certificate, of X-SSL and SSL_CLIENT", []string{"X-Ssl-Client-Cert", "X-Ssl-Cert", "Ssl-Client-Cert", "SSL_CLIENT_CERT", "Ssl-Client-Verify", "X-Ssl-Client-Verify", "X-Ssl-Client-S-Dn"}},
	{"a user", []string{"X-Forwarded-User", "Remote-User", "X-Remote-User"}},
	{"another address or method", []string{"X-Original-Url", "X-Http-Method-Override", "X-Forwarded-Prefix", "Forwarded"}},
}

const forgery = "forged-by-selftest"

// headerRows send what could pass for a certificate to an address that needs none.
func headerRows() (rows []hostile) {
	row := func(what string, names func(*play) []string, header func(names []string) []string) hostile {
		return hostile{
			name: "forged headers: " + what, clause: "RFC 9440 2.4, front-door: headers from outside", expected: "200", passes: true,
			needs: func(p *play) string {
				if !p.proxied {
					return "no handler of the site sends to the authorization server"
				}
				if p.clients.header != nil {
					return "client_certificate header: this machine is a trusted proxy in this run"
				}
				if len(names(p)) == 0 {
					return "not configured, or in keep_headers"
				}
				return ""
			},
			try: func(ctx context.Context, p *play) (*reply, error) {
				return p.call(ctx, call{host: p.host, raw: rawRequest(http.MethodGet, p.as.path+"/as/nothing", p.host, "", header(names(p))...)})
			},
			judge: func(p *play, came []seen) string { return judgeForged(came) },
		}
	}
	plain := func(names []string) (list []string) {
		for _, name := range names {
			list = append(list, name+": "+forgery)
		}
		return list
	}
	for _, one := range forged {
		rows = append(rows, row(one.what, func(p *play) []string { return p.without(one.names) }, plain))
	}
	return append(rows,
		row("the certificate header of the authorization server", func(p *play) []string { return p.without(p.as.certificate.Names()) }, plain),
		row("client_id_header", func(p *play) []string { return p.without([]string{p.as.clientIDHeader}) }, plain),
		row("shared_header", func(p *play) []string {
			if p.AuthorizationServer.SharedHeader == nil {
				return nil
			}
			return []string{p.as.sharedHeader}
		}, plain),
		row("a certificate in a trailer", func(p *play) []string { return p.as.certificate.Names() }, func(names []string) []string {
			return []string{"Transfer-Encoding: chunked", "Trailer: " + names[0], "", "0", names[0] + ": " + forgery}
		}),
		erasure(),
	)
}

// without are the names that no option lets pass.
func (p *play) without(names []string) (list []string) {
	for _, name := range names {
		if name != "" && !containsAny(p.KeepHeaders, name, http.CanonicalHeaderKey(name)) {
			list = append(list, name)
		}
	}
	return list
}

func judgeForged(came []seen) string {
	for _, one := range came {
		for name, values := range one.header {
			for _, value := range values {
				if strings.Contains(value, forgery) {
					return "the authorization server got the forged header " + name
				}
			}
		}
	}
	if len(came) == 0 {
		return "the request did not come to the authorization server, so that nothing is known of its headers"
	}
	return ""
}

// erasure names the certificate's header in Connection, so that a proxy would remove it
// behind the gateway.
func erasure() hostile {
	return hostile{
		name: "Connection names the certificate's header", clause: "RFC 9110 7.6.1", expected: "200", passes: true,
		needs: func(p *play) string {
			switch {
			case p.acme.method != "tls_client_auth" || p.AuthorizationServer.TokenEndpointAuth == "bridge":
				return "no client authenticates at the authorization server with its certificate"
			case p.clients.header != nil:
				return "client_certificate header: this machine is a trusted proxy in this run"
			}
			return ""
		},
		try: func(ctx context.Context, p *play) (*reply, error) {
			names := p.as.certificate.Names()
			text := rawRequest(http.MethodPost, p.as.at("token_endpoint"), p.certificateHost, p.form())
			return p.call(ctx, call{certificate: p.acme.transport, raw: strings.Replace(text, "Connection: close", "Connection: close, "+strings.Join(names, ", "), 1)})
		},
		judge: func(p *play, came []seen) string {
			for _, one := range came {
				if leaf, _, err := p.as.certificate.Read(one.header); err == nil && leaf != nil && leaf.Equal(p.acme.transport.Leaf) {
					return ""
				}
			}
			return "the authorization server did not get the client's certificate"
		},
	}
}
