package gateway

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// ProxyCertificate reads client certificates from the header of a load balancer.
type ProxyCertificate struct {
	header verify.CertificateHeader
	roots  *x509.CertPool
	warned sync.Once
	known  *lru.Cache[[sha256.Size]byte, *verified]
}

// NewProxyCertificate reads the headers of one form, and verifies what they hold with roots.
func NewProxyCertificate(header verify.CertificateHeader, roots *x509.CertPool) (*ProxyCertificate, error) {
	known, err := lru.New[[sha256.Size]byte, *verified](maxVerified)
	return &ProxyCertificate{header: header, roots: roots, known: known}, err
}

// Headers are the names of those that it reads.
func (p *ProxyCertificate) Headers() []string { return p.header.Names() }

// Roots are what it verifies certificates with.
func (p *ProxyCertificate) Roots() *x509.CertPool { return p.roots }

// verified is a header's certificate with its chain, and until when that counts.
type verified struct {
	chains [][]*x509.Certificate
	until  time.Time
}

// Bounds of what is remembered of certificates that were verified: how many, and for
// how long one is taken for verified.
const (
	maxVerified = 2048
	verifiedFor = time.Minute
)

var errNotTrusted = errors.New("it did not come from one of trusted_proxies")

// withProxyCertificate is the request as one on a connection with the client certificate that a
// load balancer has seen. Whatever is wrong with that, there is none.
func (g *Gateway) withProxyCertificate(r *http.Request, before *scrubbed) *http.Request {
	state := before.tls
	if p := g.options.ProxyCertificate; p != nil && (state == nil || len(state.PeerCertificates) == 0) {
		chains, err := g.proxyChains(r, before.header)
		if errors.Is(err, errNotTrusted) {
			p.warned.Do(func() { g.warnNotCounted(r, err) }) // anybody can send it, and often
		} else if err != nil {
			g.warnNotCounted(r, err)
		}
		if chains != nil {
			state = &tls.ConnectionState{}
			if before.tls != nil {
				*state = *before.tls
			}
			state.PeerCertificates, state.VerifiedChains = chains[0], chains
		}
	}
	if state == r.TLS {
		return r
	}
	clone := *r
	clone.TLS = state
	return &clone
}

func (g *Gateway) warnNotCounted(r *http.Request, err error) {
	g.log.Warn("ignores a client certificate in a header", slog.String("remote", r.RemoteAddr), slog.Any("error", err))
}

// proxyChains is chains on connections where that counts.
func (g *Gateway) proxyChains(r *http.Request, header map[string][]string) ([][]*x509.Certificate, error) {
	p := g.options.ProxyCertificate
	if len(header[p.header.Name]) == 0 {
		return nil, nil
	}
	if !g.options.Host.FromTrustedProxy(r) {
		return nil, errNotTrusted
	}
	return p.chains(header, g.now())
}

// chains verifies the certificate in the headers that were removed.
func (p *ProxyCertificate) chains(header map[string][]string, now time.Time) ([][]*x509.Certificate, error) {
	sum := sha256.New()
	for _, name := range p.header.Names() {
		for _, value := range header[name] {
			fmt.Fprintf(sum, "%d %s %s\n", len(value), name, value)
		}
	}
	key := [sha256.Size]byte(sum.Sum(nil))
	if v, ok := p.known.Get(key); ok && now.Before(v.until) {
		return v.chains, nil
	}
	leaf, rest, err := p.header.Read(header)
	if err != nil || leaf == nil {
		return nil, err
	}
	intermediates := x509.NewCertPool()
	for _, c := range rest {
		intermediates.AddCert(c)
	}
	chains, err := leaf.Verify(x509.VerifyOptions{
		Roots: p.roots, Intermediates: intermediates, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil, err
	}
	p.known.Add(key, &verified{chains, now.Add(verifiedFor)})
	return chains, nil
}
