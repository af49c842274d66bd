package selftest

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// registering is a row of a registration request that something is wrong with. It is of a
// TPP that could register.
func registering(name, clause, expected string, needs func(*play) string, change func(*play, *attempt) error) hostile {
	return hostile{name: name, clause: clause, expected: expected, needs: needs, try: func(ctx context.Context, p *play) (*reply, error) {
		a := p.attempt(p.acme.software, p.acme.method, p.token)
		if err := change(p, a); err != nil {
			return nil, err
		}
		return a.send(ctx)
	}}
}

// noCertificate is what a connection without a good certificate gets: from Caddy, or the gateway.
const noCertificate = "401 invalid_client or " + refusedHandshake

func certificateRows() []hostile {
	issued := func(change func(*x509.Certificate), foreign bool) func(*play, *attempt) error {
		return func(p *play, a *attempt) (err error) {
			from := p.rewriting.ca
			if foreign {
				from = p.foreign
			}
			a.certificate, err = a.software.certificate(from, change)
			return err
		}
	}
	const clause = "RFC 8705 2.1, FAPI 1 Advanced 5.2.2"
	return []hostile{
		registering("register without a client certificate", clause, noCertificate, certificatesOn, func(_ *play, a *attempt) error { a.certificate = nil; return nil }),
		registering("register with a certificate of another CA", clause, noCertificate, certificatesOn, issued(nil, true)),
		registering("register with an expired certificate", "RFC 5280 6.1.3", noCertificate, certificatesOn, issued(func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
		}, false)),
		registering("register with a certificate that is not valid yet", "RFC 5280 6.1.3", noCertificate, certificatesOn, issued(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }, false)),
		registering("register with a server's certificate", "RFC 5280 4.2.1.12", noCertificate, certificatesOn, issued(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, false)),
		registering("register with a revoked certificate", "RFC 5280 6.3", "401 invalid_client", all(certificatesOn, func(p *play) string {
			if len(p.CRL) == 0 {
				return "no crl"
			}
			return ""
		}), func(p *play, a *attempt) error { a.certificate = p.rewriting.revokedCertificate; return nil }),
		registering("register with the certificate of another TPP", "bind_certificate", "400 invalid_client_metadata", all(certificatesOn, another, func(p *play) string {
			if len(p.BindCertificate) == 0 {
				return "no bind_certificate: the signed body ties the certificate to the software"
			}
			return ""
		}), func(p *play, a *attempt) error {
			a.certificate, a.claims["tls_client_auth_subject_dn"] = p.other.transport, nil
			return nil
		}),
	}
}

func tokenRows() []hostile {
	const clause = "RFC 6750 3.1, protect by access token"
	issued := func(scope string, change func(*stubToken)) func(*play, *attempt) error {
		return func(p *play, a *attempt) (err error) {
			a.token, err = p.as.issue("selftest-registrar", scope, nil, change)
			return err
		}
	}
	return []hostile{
		registering("register without a token", clause, "401 invalid_token", tokensOn, func(_ *play, a *attempt) error { a.token = ""; return nil }),
		registering("register with an unknown token", clause, "401 invalid_token", tokensOn, func(_ *play, a *attempt) error { a.token = "unknown-to-everybody"; return nil }),
		registering("register with an expired token", clause, "401 invalid_token", tokensOn, issued(verify.ScopeRegister, func(t *stubToken) { t.Issued, t.Expires = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour) })),
		registering("register with a token of another scope", clause, "403 insufficient_scope", tokensOn, issued("openid", nil)),
		registering("register with a token of a scope that begins alike", clause, "403 insufficient_scope", tokensOn, issued(verify.ScopeRegister+"s", nil)),
		registering("register with a token that has registered", "protect by access token: once", "401 invalid_token", all(tokensOn, another), func(p *play, a *attempt) error {
			*a = *p.attempt(p.other.software, p.other.method, p.acme.usedToken)
			return nil
		}),
		registering("register with a token that is bound to another certificate", "RFC 8705 3", "401 invalid_token", all(tokensOn, certificatesOn), func(p *play, a *attempt) (err error) {
			other, err := a.software.certificate(p.rewriting.ca, nil)
			if err == nil {
				a.token, err = p.as.issue("selftest-registrar", verify.ScopeRegister, other.Leaf, nil)
			}
			return err
		}),
		registering("register with two Authorization headers", "RFC 6750 2", "400 invalid_request or 401 invalid_token", tokensOn, func(p *play, a *attempt) error {
			a.call.header["Authorization"] = []string{"Bearer " + p.token, "Bearer unknown-to-everybody"}
			return nil
		}),
		registering("register with HTTP Basic in place of a token", "RFC 6750 2.1", "401 invalid_token", tokensOn, func(p *play, a *attempt) error {
			a.call.header.Set("Authorization", "Basic "+p.token)
			return nil
		}),
		registering("register with the token in the address", "RFC 6750 2.3, FAPI 1 Baseline 6.2.1", "401 invalid_token", tokensOn, func(p *play, a *attempt) error {
			a.path, a.token = a.path+"?access_token="+p.token, ""
			return nil
		}),
	}
}

func bodyRows() []hostile {
	typed := func(contentType string) func(*play, *attempt) error {
		return func(_ *play, a *attempt) error { a.call.header.Set("Content-Type", contentType); return nil }
	}
	const clause = "Open Banking DCR, media types"
	return []hostile{
		registering("register with bare JSON in place of a signed body", clause, "415 invalid_request", signaturesOn, func(_ *play, a *attempt) (err error) {
			a.call.header.Set("Content-Type", "application/json")
			a.body, err = json.Marshal(a.claims)
			return err
		}),
		registering("register with text/plain", clause, "415 invalid_request", nil, typed("text/plain")),
		registering("register without a Content-Type", clause, "415 invalid_request", nil, func(_ *play, a *attempt) error { delete(a.call.header, "Content-Type"); return nil }),
		registering("register with a body in gzip", "RFC 9110 8.4", "415 invalid_request", nil, func(_ *play, a *attempt) error {
			body, err := a.build()
			a.body = packed(body)
			a.call.header.Set("Content-Encoding", "gzip")
			return err
		}),
		registering("register with a body of 1 MiB", "RFC 9110 15.5.14", "413 invalid_request", nil, func(_ *play, a *attempt) error {
			a.body = []byte(strings.Repeat("a", 1<<20))
			return nil
		}),
		registering("register with a body that is no JWS", "RFC 7515 7.1", "400 invalid_client_metadata", nil, func(_ *play, a *attempt) error { a.body = []byte("hello"); return nil }),
		at(http.MethodGet, "GET at the registration endpoint", "RFC 7591 3"),
		at(http.MethodPut, "PUT at the registration endpoint", "RFC 7591 3"),
		at(http.MethodDelete, "DELETE at the registration endpoint", "RFC 7591 3"),
		at("TRACE", "TRACE at the registration endpoint", "RFC 9110 9.3.8"),
	}
}

// at is a method that the registration endpoint does not have.
func at(method, name, clause string) hostile {
	return registering(name, clause, "405 invalid_request", nil, func(_ *play, a *attempt) error {
		a.method, a.body = method, []byte{}
		return nil
	})
}

func packed(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text)) // into memory
	_ = w.Close()
	return b.Bytes()
}

func signatureRows() []hostile {
	const metadata, clause = "400 invalid_client_metadata", "RFC 7515, RFC 8725 3, FAPI 1 Advanced 8.6"
	header := func(name string, value any) func(*play, *attempt) error {
		return func(_ *play, a *attempt) error { a.header[name] = value; return nil }
	}
	return []hostile{
		registering("request with alg none", clause, metadata, signaturesOn, func(_ *play, a *attempt) error { a.unsigned = true; return nil }),
		registering("request signed by HS256 with the public key", clause, metadata, signaturesOn, func(_ *play, a *attempt) (err error) { a.key, err = a.key.confused(); return err }),
		registering("request with another alg than its key's", clause, metadata, signaturesOn, header("alg", "HS512")),
		registering("request with an altered signature", clause, metadata, signaturesOn, func(_ *play, a *attempt) error {
			a.finish = func(body string) (string, error) { return altered(body), nil }
			return nil
		}),
		registering("request with another payload under the signature", clause, metadata, signaturesOn, func(p *play, a *attempt) error {
			a.finish = func(body string) (string, error) {
				a.claims["scope"], a.finish = "openid", nil
				other, err := a.build()
				one, two := strings.Split(body, "."), strings.Split(other, ".")
				return one[0] + "." + two[1] + "." + one[2], err
			}
			return nil
		}),
		registering("request without a signature part", clause, metadata, signaturesOn, func(_ *play, a *attempt) error {
			a.finish = func(body string) (string, error) { return body[:strings.LastIndexByte(body, '.')+1], nil }
			return nil
		}),
		registering("request with an unknown kid", clause, metadata, signaturesOn, header("kid", "unknown")),
		registering("request signed with a key that the directory does not list, under a listed kid", clause, metadata, signaturesOn, func(p *play, a *attempt) error {
			a.key = &signingKey{a.key.id, p.stranger.algorithm, p.stranger.private}
			return nil
		}),
		registering("request signed by another TPP", "Open Banking DCR: software_jwks_endpoint", metadata, all(ownKeys, another), func(p *play, a *attempt) error { a.key = p.other.signing; return nil }),
		registering("request with crit", "RFC 7515 4.1.11", metadata, signaturesOn, func(_ *play, a *attempt) error {
			a.header["crit"], a.header["x-unknown"] = []string{"x-unknown"}, true
			return nil
		}),
		registering("request with a key in its header (jwk)", clause, metadata, signaturesOn, func(p *play, a *attempt) error {
			a.key, a.header["jwk"] = p.stranger, p.stranger.jwk()
			return nil
		}),
		registering("request with an address of keys in its header (jku)", clause, metadata, signaturesOn, header("jku", "https://attacker.invalid/keys.jwks")),
		registering("request with typ of an access token", "RFC 8725 3.11", metadata, signaturesOn, header("typ", "at+jwt")),
		registering("request with a member twice", "RFC 8259 4", metadata, nil, func(_ *play, a *attempt) error {
			return doubled(a, `"scope":"openid","scope":"openid"`)
		}),
		registering("request with a member twice, once escaped", "RFC 8259 4", metadata, nil, func(_ *play, a *attempt) error {
			return doubled(a, `"scope":"openid","sc\u006fpe":"openid"`)
		}),
		registering("request in deep JSON", "front-door: depth 16", metadata, nil, func(_ *play, a *attempt) error {
			return doubled(a, `"x":`+strings.Repeat("[", 1000)+strings.Repeat("]", 1000))
		}),
	}
}

// doubled has a request with further members in its payload.
func doubled(a *attempt, members string) error {
	delete(a.claims, "scope")
	if a.p.needsStatement() {
		var err error
		if a.document, err = a.statementKey.sign(withoutNull(a.statement), nil); err != nil {
			return err
		}
		a.claims["software_statement"] = a.document
	}
	raw, err := json.Marshal(withoutNull(a.claims))
	a.payload = string(raw[:len(raw)-1]) + "," + members + "}"
	return err
}
