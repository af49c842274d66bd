package selftest

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// asking is a request of a client to an endpoint where clients authenticate: good, until
// something changes it.
type asking struct {
	call
	form url.Values
}

// guarded is a row of such a request of acme.
func guarded(name, clause, expected string, needs func(*play) string, change func(*play, *asking) error) hostile {
	return hostile{name: name, clause: clause, expected: expected, needs: needs, try: func(ctx context.Context, p *play) (*reply, error) {
		return p.ask(ctx, p.acme, change)
	}}
}

// ask asks the token endpoint as a client.
func (p *play) ask(ctx context.Context, c *client, change func(*play, *asking) error) (*reply, error) {
	form, header, err := p.authenticated(c, url.Values{"grant_type": {"client_credentials"}, "scope": {"openid"}})
	if err != nil {
		return nil, err
	}
	a := &asking{form: form, call: call{method: http.MethodPost, path: p.as.at("token_endpoint"), certificate: c.transport, header: header}}
	if err := change(p, a); err != nil {
		return nil, err
	}
	if a.body == nil {
		a.body = []byte(a.form.Encode())
	}
	return p.call(ctx, a.call)
}

const invalidClient = "401 invalid_client"

func endpointRows() []hostile {
	const clause = "RFC 8705 2, FAPI 1 Advanced 5.2.2"
	rows := []hostile{
		guarded("token without the client's certificate", clause, noCertificate, endpointCertificates, func(_ *play, a *asking) error { a.certificate = nil; return nil }),
		guarded("token with another TPP's certificate", clause, invalidClient, all(endpointCertificates, another), func(p *play, a *asking) error { a.certificate = p.other.transport; return nil }),
		guarded("token with a certificate of another CA", clause, noCertificate, endpointCertificates, func(p *play, a *asking) (err error) {
			a.certificate, err = p.acme.certificate(p.foreign, nil)
			return err
		}),
		guarded("token of another TPP's client_id", "RFC 6749 2.3", invalidClient, all(endpointCertificates, another), func(p *play, a *asking) error {
			a.certificate = p.other.transport
			a.form.Set("client_id", p.acme.id)
			return nil
		}),
	}
	for _, name := range []string{"pushed_authorization_request_endpoint", "introspection_endpoint", "revocation_endpoint", "backchannel_authentication_endpoint", "device_authorization_endpoint"} {
		row := guarded(strings.ReplaceAll(strings.TrimSuffix(name, "_endpoint"), "_", " ")+" without the client's certificate", clause, noCertificate, endpointCertificates, func(p *play, a *asking) error {
			a.path, a.certificate = p.as.at(name), nil
			a.form.Set("token", "unknown-to-everybody")
			return nil
		})
		rows = append(rows, row)
	}
	return rows
}

func formRows() []hostile {
	const clause, authentication = "RFC 6749 3.2", "RFC 6749 2.3: one way to authenticate"
	body := askingWith
	named := func(name, expected string, extra func(*play) string) hostile {
		return body(name, clause, expected, func(p *play, a *asking) {
			a.form.Set("client_id", p.acme.id)
			a.body = []byte(a.form.Encode() + extra(p))
		})
	}
	const bad = "400 invalid_request or 401 invalid_client"
	return []hostile{
		body("token with a secret that nobody gave out", authentication, invalidClient, func(p *play, a *asking) {
			a.form.Set("client_id", p.acme.id)
			a.form.Set("client_secret", "guessed")
		}),
		body("token with a secret in HTTP Basic that nobody gave out", authentication, bad, func(p *play, a *asking) {
			request := http.Request{Header: a.call.header}
			request.SetBasicAuth(url.QueryEscape(p.acme.id), "guessed")
		}),
		named("token with client_id twice", bad, func(p *play) string { return "&client_id=" + url.QueryEscape(p.acme.id) }),
		named("token with two client_ids", bad, func(*play) string { return "&client_id=somebody-else" }),
		named("token with client_id twice, once escaped", bad, func(*play) string { return "&client%5Fid=somebody-else" }),
		body("token with another client_id in the address", clause, bad, func(p *play, a *asking) {
			a.form.Set("client_id", p.acme.id)
			a.path += "?client_id=somebody-else"
		}),
		body("token with another client in HTTP Basic", authentication, bad, func(p *play, a *asking) {
			a.form.Set("client_id", p.acme.id)
			request := http.Request{Header: a.call.header}
			request.SetBasicAuth("somebody-else", "guessed")
		}),
		body("token with two Authorization headers", "RFC 9110 11.6.2", bad, func(p *play, a *asking) {
			a.form.Set("client_id", p.acme.id)
			a.call.header["Authorization"] = []string{"Basic YTpi", "Basic Yzpk"}
		}),
	}
}

// askingWith is a row that every configuration has.
func askingWith(name, clause, expected string, make func(*play, *asking)) hostile {
	return guarded(name, clause, expected, nil, func(p *play, a *asking) error { make(p, a); return nil })
}

func mediaTypeRows() []hostile {
	body := askingWith
	return []hostile{
		body("token in JSON", "RFC 6749 appendix B", "415 invalid_request", func(p *play, a *asking) {
			a.call.header.Set("Content-Type", "application/json")
			a.body = []byte(`{"grant_type":"client_credentials","client_id":"` + p.acme.id + `"}`)
		}),
		body("token as multipart/form-data", "RFC 6749 appendix B", "415 invalid_request", func(p *play, a *asking) {
			a.call.header.Set("Content-Type", "multipart/form-data; boundary=x")
			a.body = []byte("--x\r\nContent-Disposition: form-data; name=\"client_id\"\r\n\r\n" + p.acme.id + "\r\n--x--\r\n")
		}),
		body("token in another character set", "RFC 6749 appendix B", "415 invalid_request", func(_ *play, a *asking) { a.call.header.Set("Content-Type", formType+"; charset=utf-16") }),
		body("token with a body in gzip", "RFC 9110 8.4", "415 invalid_request", func(_ *play, a *asking) {
			a.body = packed(a.form.Encode())
			a.call.header.Set("Content-Encoding", "gzip")
		}),
		body("token with two Content-Types", "RFC 9110 8.3", "415 invalid_request", func(_ *play, a *asking) {
			a.call.header["Content-Type"] = []string{formType, "text/plain"}
		}),
		body("token with a body of 1 MiB", "RFC 9110 15.5.14", "413 invalid_request", func(_ *play, a *asking) { a.body = []byte("x=" + strings.Repeat("a", 1<<20)) }),
		body("token by GET", "RFC 6749 3.2", "405 invalid_request", func(p *play, a *asking) {
			a.form.Set("client_id", p.acme.id)
			a.method, a.path, a.body = http.MethodGet, a.path+"?"+a.form.Encode(), []byte{}
			a.call.header.Del("Content-Type")
		}),
		guarded("token of a client that nobody registered", "unknown_clients refuse", invalidClient, func(p *play) string {
			if p.UnknownClients == nil || p.UnknownClients.Mode != "refuse" {
				return "unknown_clients pass: the authorization server decides"
			}
			return ""
		}, func(_ *play, a *asking) error {
			a.form = url.Values{"grant_type": {"client_credentials"}, "client_id": {"nobody"}}
			return nil
		}),
	}
}

// aboutAssertions is their clause.
const aboutAssertions = "RFC 7523 3, RFC 10070"

// asserts: there is a client with private_key_jwt.
func asserts(p *play) string {
	if p.byMethod["private_key_jwt"] == nil {
		return "no client with private_key_jwt"
	}
	return ""
}

// bridged: the gateway checks assertions. Those of a native client the AS checks itself.
func bridged(p *play) string {
	if p.AuthorizationServer.TokenEndpointAuth == "native" {
		return "token_endpoint_auth native: the authorization server checks assertions"
	}
	return ""
}

// asserted is a row of a client with private_key_jwt.
func asserted(name, expected string, needs func(*play) string, make func(*play, *client) (string, error), change func(*play, *asking)) hostile {
	return hostile{name: name, clause: aboutAssertions, expected: expected, needs: all(asserts, needs), try: func(ctx context.Context, p *play) (*reply, error) {
		c := p.byMethod["private_key_jwt"]
		return p.ask(ctx, c, func(_ *play, a *asking) error {
			text, err := make(p, c)
			a.form.Set("client_assertion", text)
			if change != nil {
				change(p, a)
			}
			return err
		})
	}}
}

// asserting makes an assertion with other claims.
func asserting(change map[string]any) func(*play, *client) (string, error) {
	return func(p *play, c *client) (string, error) { return p.assertion(c.id, c.signing, change) }
}

func assertionRows() []hostile {
	return []hostile{
		asserted("assertion signed with another key", invalidClient, bridged, func(p *play, c *client) (string, error) {
			return p.assertion(c.id, &signingKey{c.signing.id, p.stranger.algorithm, p.stranger.private}, nil)
		}, nil),
		asserted("assertion with alg none", invalidClient, bridged, func(p *play, c *client) (string, error) {
			return unsigned(map[string]any{"iss": c.id, "sub": c.id, "aud": p.issuer, "jti": "x", "exp": future(certificateLife)})
		}, nil),
		asserted("assertion signed by HS256 with the public key", invalidClient, bridged, func(p *play, c *client) (string, error) {
			key, err := c.signing.confused()
			if err != nil {
				return "", err
			}
			return p.assertion(c.id, key, nil)
		}, nil),
		asserted("assertion that has expired", invalidClient, bridged, asserting(map[string]any{"iat": past(certificateLife), "exp": past(certificateLife / 2)}), nil),
		asserted("assertion for another server", invalidClient, bridged, asserting(map[string]any{"aud": "https://other.bank.invalid"}), nil),
		{name: "assertion that was used", clause: aboutAssertions, expected: invalidClient, needs: all(asserts, bridged), try: replay},
	}
}

// replay sends an assertion twice. The reply is the second one.
func replay(ctx context.Context, p *play) (*reply, error) {
	c := p.byMethod["private_key_jwt"]
	text, err := p.assertion(c.id, c.signing, nil)
	if err != nil {
		return nil, err
	}
	same := func(_ *play, a *asking) error { a.form.Set("client_assertion", text); return nil }
	if r, err := p.ask(ctx, c, same); err != nil || r.status != http.StatusOK {
		return r, err
	}
	p.stub.proxied()
	return p.ask(ctx, c, same)
}

// authenticationRows are of assertions that something beside them contradicts.
func authenticationRows() []hostile {
	const ambiguous = "400 invalid_request or 401 invalid_client"
	return []hostile{
		asserted("assertion of another iss", ambiguous, nil, asserting(map[string]any{"iss": "somebody-else"}), nil),
		asserted("assertion of another client than client_id", ambiguous, nil, asserting(nil), func(_ *play, a *asking) { a.form.Set("client_id", "somebody-else") }),
		asserted("assertion without the client's certificate", noCertificate, func(p *play) string {
			if !p.needsEndpointCertificate() {
				return "endpoint_certificate optional"
			}
			return ""
		}, asserting(nil), func(_ *play, a *asking) { a.certificate = nil }),
		asserted("assertion beside a secret", ambiguous, nil, asserting(nil), func(_ *play, a *asking) { a.form.Set("client_secret", "guessed") }),
	}
}

// secretRows are for clients with a secret of the gateway's own.
func secretRows() (rows []hostile) {
	for _, method := range verify.SecretMethods {
		rows = append(rows, hostile{name: method + " with a wrong secret", clause: "RFC 6749 2.3.1", expected: invalidClient, needs: func(p *play) string {
			if p.byMethod[method] == nil {
				return "no client with " + method
			}
			return ""
		}, try: func(ctx context.Context, p *play) (*reply, error) {
			wrong := *p.byMethod[method]
			wrong.secret = strings.Repeat("x", len(wrong.secret))
			return p.ask(ctx, &wrong, func(*play, *asking) error { return nil })
		}})
	}
	return rows
}
