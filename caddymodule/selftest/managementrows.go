package selftest

import (
	"context"
	"net/http"
	"net/url"
)

// managing is a row of a request to the registration of acme. token is whose new token it
// comes with, certificate whose certificate.
type managing struct {
	name, method, expected string
	needs                  func(*play) string
	token, certificate     func(*play) *client
	// at is the address. Default: that of acme's registration.
	at func(*play) string
	// change alters a PUT, which is a good one otherwise.
	change func(*play, *attempt) error
	// bearer is the token itself, in place of a new one of a client.
	bearer func(context.Context, *play) (string, error)
}

func theAcme(p *play) *client  { return p.acme }
func theOther(p *play) *client { return p.other }
func nobody(*play) *client     { return nil }

func (p *play) addressOf(c *client) string { return p.registerPath() + "/" + url.PathEscape(c.id) }

func (m *managing) row() hostile {
	return hostile{name: m.name, clause: "RFC 7592 2 and 3", expected: m.expected, needs: all(method(m.method), m.needs), try: m.try}
}

func (m *managing) try(ctx context.Context, p *play) (_ *reply, err error) {
	token := ""
	switch who := m.token(p); {
	case m.bearer != nil:
		token, err = m.bearer(ctx, p)
	case who != nil:
		token, err = p.managementToken(ctx, who)
	}
	if err != nil {
		return nil, err
	}
	p.stub.proxied() // that of the token
	a := p.attempt(p.acme.software, p.acme.method, token)
	a.method, a.path = m.method, p.addressOf(p.acme)
	if m.at != nil {
		a.path = m.at(p)
	}
	a.certificate = nil
	if who := m.certificate(p); who != nil {
		a.certificate = who.transport
	}
	if m.method != http.MethodPut {
		a.body = []byte{}
		a.call.header.Del("Content-Type")
	}
	if m.change != nil {
		if err := m.change(p, a); err != nil {
			return nil, err
		}
	}
	return a.send(ctx)
}

func managementRows() (rows []hostile) {
	const foreign = "401 invalid_token"
	for i, m := range managingRows(foreign) {
		row := m.row()
		if i == 0 {
			row.clause = "RFC 6750 3"
		}
		rows = append(rows, row)
	}
	return append(rows, registering("PATCH at a registration", "RFC 7592 2", "405 invalid_request", nil, func(p *play, a *attempt) error {
		a.method, a.path, a.body = http.MethodPatch, p.addressOf(p.acme), []byte{}
		return nil
	}))
}

func managingRows(foreign string) []managing {
	unknown := func(p *play) string { return p.registerPath() + "/nobody" }
	registrar := func(_ context.Context, p *play) (string, error) { return p.workspace.token(nil) }
	rows := []managing{
		{name: "read a registration without a token", method: http.MethodGet, expected: foreign, token: nobody, certificate: theAcme},
		{name: "read a registration without a certificate", method: http.MethodGet, expected: noCertificate, needs: certificatesOn, token: theAcme, certificate: nobody},
		{name: "read a registration with another TPP's certificate", method: http.MethodGet, expected: foreign, needs: all(certificatesOn, another), token: theAcme, certificate: theOther},
		{name: "read a registration with a registration token", method: http.MethodGet, expected: foreign, token: nobody, certificate: theAcme, bearer: registrar},
		{name: "read a registration that does not exist", method: http.MethodGet, expected: foreign, token: theAcme, certificate: theAcme, at: unknown},
		{name: "read a registration with a person's token", method: http.MethodGet, expected: foreign, token: nobody, certificate: theAcme, needs: func(p *play) string {
			if !p.as.jwt {
				return "access tokens are introspected: the built-in server says nothing of a person"
			}
			return ""
		}, bearer: func(_ context.Context, p *play) (string, error) {
			return p.as.signing.sign(map[string]any{"iss": p.issuer, "aud": p.as.audience, "sub": "a person", "client_id": p.acme.id, "scope": "openid", "iat": past(0), "exp": future(certificateLife), "jti": "x"}, map[string]any{"typ": "at+jwt"})
		}},
	}
	for _, name := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
		verb := map[string]string{http.MethodGet: "read", http.MethodPut: "change", http.MethodDelete: "delete"}[name]
		rows = append(rows,
			managing{name: verb + " another TPP's registration", method: name, expected: foreign, needs: another, token: theOther, certificate: theOther},
			managing{name: verb + " another TPP's registration with an unknown token", method: name, expected: foreign, token: nobody, certificate: theAcme, bearer: func(context.Context, *play) (string, error) { return "unknown-to-everybody", nil }},
		)
	}
	const metadata = "400 invalid_client_metadata"
	return append(rows,
		managing{name: "change a registration to another client_id", method: http.MethodPut, expected: metadata, token: theAcme, certificate: theAcme, change: func(_ *play, a *attempt) error {
			a.claims["client_id"] = "another-client"
			return nil
		}},
		managing{name: "change a registration to another software", method: http.MethodPut, expected: metadata, needs: all(statementsOn, another), token: theAcme, certificate: theAcme, change: func(p *play, a *attempt) (err error) {
			a.claims, a.statement = p.claims(p.other.software, p.acme.method), p.other.statementClaims(p.roles())
			a.key = p.signer(p.other.software)
			a.claims["tls_client_auth_subject_dn"] = nil
			return nil
		}},
		managing{name: "change a registration by an altered request", method: http.MethodPut, expected: metadata, needs: signaturesOn, token: theAcme, certificate: theAcme, change: func(_ *play, a *attempt) error {
			a.finish = func(body string) (string, error) { return altered(body), nil }
			return nil
		}},
		managing{name: "change a registration by the request that made it", method: http.MethodPut, expected: metadata, needs: signaturesOn, token: theAcme, certificate: theAcme, change: func(p *play, a *attempt) error {
			a.body = []byte(p.acme.usedBody)
			return nil
		}},
		managing{name: "read a registration with its registration access token and another TPP's certificate", method: http.MethodGet, expected: foreign, needs: all(certificatesOn, another, func(p *play) string {
			if p.acme.accessToken == "" {
				return "no registration_access_token"
			}
			return ""
		}), token: nobody, certificate: theOther, bearer: func(_ context.Context, p *play) (string, error) { return p.acme.accessToken, nil }},
		managing{name: "read a registration with an id that is escaped twice", method: http.MethodGet, expected: "401 invalid_token or 404 invalid_request", token: theAcme, certificate: theAcme, at: func(p *play) string { return p.registerPath() + "/x%252f.." }},
	)
}

// limitRows are last: they use the limit up.
func limitRows() []hostile {
	return []hostile{{
		name: "more requests with one certificate than the rate limit allows", clause: "RFC 6585 4", expected: "429 invalid_request",
		needs: all(certificatesOn, func(p *play) string {
			switch limit := p.rateLimit(); {
			case p.RateLimit != nil && p.RateLimit.Off:
				return "rate_limit off"
			case limit > mostLimited:
				return "rate_limit is too high to use it up"
			}
			return ""
		}),
		try: func(ctx context.Context, p *play) (r *reply, err error) {
			certificate, err := p.acme.software.certificate(p.rewriting.ca, nil)
			if err != nil {
				return nil, err
			}
			for range 2*p.rateLimit() + 10 {
				r, err = p.clients.once(ctx, call{method: http.MethodGet, path: p.registerPath() + "/nobody", host: p.certificateHost, server: p.server, certificate: certificate})
				if err != nil || r.status == http.StatusTooManyRequests {
					return r, err
				}
			}
			return r, nil
		},
	}}
}

// mostLimited bounds how many requests one row makes.
const mostLimited = 300

func (p *play) rateLimit() int {
	if p.RateLimit != nil && p.RateLimit.Requests > 0 {
		return p.RateLimit.Requests
	}
	return defaultRateLimit
}

// defaultRateLimit is that of docs/configuration.md.
const defaultRateLimit = 100
