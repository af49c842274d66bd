package page

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/dn"
)

// operator is who looks at a page.
type operator struct {
	registry.Operator
	// changes: they may change something; others are viewers.
	changes bool
}

type operatorKey struct{}

func withOperator(r *http.Request, o operator) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), operatorKey{}, o))
}

func operatorOf(r *http.Request) operator {
	o, _ := r.Context().Value(operatorKey{}).(operator)
	return o
}

// operator is who has sent a request.
func (p *Page) operator(r *http.Request) (operator, error) {
	if p.ClientCertificates != nil {
		return p.holder(r)
	}
	name := p.user(r)
	o := operator{Operator: registry.Operator{Name: name, Known: registry.ByLogin}}
	o.changes = name != "" && (slices.Contains(p.Operators, name) || p.RoleHeader != "" && hasRole(r.Header.Values(p.RoleHeader), p.OperatorRole))
	if p.login.Authentication && user(r) == "" {
		return operator{}, errors.New("nobody has signed in, although basic_auth is in front of the page")
	}
	return o, nil
}

// user is the name of who has signed in; empty where none is known.
func (p *Page) user(r *http.Request) string {
	if p.login.Authentication {
		return user(r)
	}
	if values := r.Header.Values(p.UserHeader); p.UserHeader != "" && len(values) == 1 {
		return values[0]
	}
	return ""
}

// user is whom Caddy has authenticated.
func user(r *http.Request) string {
	replacer, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return ""
	}
	id, _ := replacer.GetString("http.auth.user.id")
	return id
}

func hasRole(values []string, role string) bool {
	return slices.ContainsFunc(strings.Split(strings.Join(values, ","), ","), func(one string) bool { return strings.TrimSpace(one) == role })
}

// ClientCertificates are certificates of operators and viewers. The site's client_auth must
// ask for them.
type ClientCertificates struct {
	// TrustPoolRaw is the CA that issues them, a module of tls.ca_pool.source. It must issue
	// certificates to operators alone: who is which is decided by the subject. Required.
	TrustPoolRaw json.RawMessage `json:"trust_pool,omitempty" caddy:"namespace=tls.ca_pool.source inline_key=provider"`

	pool      *x509.CertPool
	operators []dn.Name
	viewers   []dn.Name
}

func (c *ClientCertificates) provision(ctx caddy.Context, p *Page) error {
	if c == nil {
		return nil
	}
	if c.TrustPoolRaw == nil {
		return errors.New("trust_pool is missing: the CA of the operators' certificates; one that issues certificates to TPPs is not enough")
	}
	module, err := ctx.LoadModule(c, "TrustPoolRaw")
	if err != nil {
		return err
	}
	source, ok := module.(caddytls.CA)
	if !ok {
		return fmt.Errorf("trust_pool: %T is no pool of CAs", module)
	}
	c.pool = source.CertPool()
	if len(p.Operators)+len(p.Viewers) == 0 {
		return errors.New("nobody may come in: list the subjects of certificates in operators or viewers")
	}
	for _, list := range []struct {
		names []string
		to    *[]dn.Name
	}{{p.Operators, &c.operators}, {p.Viewers, &c.viewers}} {
		for _, text := range list.names {
			one, err := dn.Parse(text)
			if err != nil {
				return fmt.Errorf("%q is no subject like CN=Anna Smith,O=Bank (RFC 4514): %w", text, err)
			}
			*list.to = append(*list.to, one)
		}
	}
	return nil
}

var errNoCertificate = errors.New("this page is for operators with a certificate that its client_certificates lists; connect with yours")

// holder is who has connected, by the certificate.
func (p *Page) holder(r *http.Request) (operator, error) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return operator{}, errNoCertificate
	}
	cert := r.TLS.PeerCertificates[0]
	between := x509.NewCertPool()
	for _, one := range r.TLS.PeerCertificates[1:] {
		between.AddCert(one)
	}
	if _, err := cert.Verify(x509.VerifyOptions{Roots: p.ClientCertificates.pool, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		return operator{}, fmt.Errorf("%w: %w", errNoCertificate, err)
	}
	subject, err := dn.ParseSubject(cert.RawSubject)
	if err != nil {
		return operator{}, fmt.Errorf("%w: %w", errNoCertificate, err)
	}
	o := operator{Operator: registry.Operator{Name: subject.String(), Known: registry.ByOperatorCertificate}}
	o.changes = slices.ContainsFunc(p.ClientCertificates.operators, subject.Equal)
	if !o.changes && !slices.ContainsFunc(p.ClientCertificates.viewers, subject.Equal) {
		return operator{}, errNoCertificate
	}
	return o, nil
}

// fromHere tells whether a request comes from this machine: its host is one that no name of
// another site leads to (DNS rebinding), and no proxy has marked it.
func fromHere(r *http.Request) bool {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	ip, err := netip.ParseAddr(host)
	proxied := slices.ContainsFunc([]string{"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip"}, func(name string) bool { return len(r.Header.Values(name)) > 0 })
	return !proxied && (strings.EqualFold(host, "localhost") || err == nil && ip.IsLoopback())
}
