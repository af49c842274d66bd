package caddymodule

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// ProxyCertificate takes client certificates from a load balancer in front of this
// site that ends TLS. It counts only on connections from trusted_proxies (an option of
// Caddy's servers) that carried no client certificate themselves.
type ProxyCertificate struct {
	CertificateHeader
	// TrustPoolRaw verifies the certificate once more, a module of tls.ca_pool.source:
	// what a load balancer takes for verified is its own affair. Required.
	TrustPoolRaw json.RawMessage `json:"trust_pool,omitempty" caddy:"namespace=tls.ca_pool.source inline_key=provider"`

	header verify.CertificateHeader
	roots  *x509.CertPool
	warned sync.Once
	known  *lru.Cache[[sha256.Size]byte, *verified]
}

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

func (p *ProxyCertificate) provision(ctx caddy.Context) (err error) {
	if p == nil {
		return nil
	}
	if p.header, err = p.CertificateHeader.read(); err != nil {
		return err
	}
	if p.TrustPoolRaw == nil {
		return errors.New("trust_pool is missing: the certificates that the load balancer hands on are verified again")
	}
	if p.roots, err = trustPool(ctx, p, p.TrustPoolRaw); err != nil {
		return err
	}
	p.known, err = lru.New[[sha256.Size]byte, *verified](maxVerified)
	return err
}

var errNotTrusted = errors.New("it did not come from one of trusted_proxies")

// presented is the request as one on a connection with the client certificate that a
// load balancer has seen. Whatever is wrong with that, there is none.
func (h *Handler) presented(r *http.Request, before *scrubbed) *http.Request {
	state := before.tls
	if p := h.ClientCertificateHeader; p != nil && (state == nil || len(state.PeerCertificates) == 0) {
		chains, err := p.chains(r, before.header, h.now())
		if errors.Is(err, errNotTrusted) {
			p.warned.Do(func() { h.notCounted(r, err) }) // anybody can send it, and often
		} else if err != nil {
			h.notCounted(r, err)
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

func (h *Handler) notCounted(r *http.Request, err error) {
	h.log.Warn("a client certificate in a header does not count", slog.String("remote", r.RemoteAddr), slog.Any("error", err))
}

// chains verifies the certificate in the headers that were removed.
func (p *ProxyCertificate) chains(r *http.Request, header map[string][]string, now time.Time) ([][]*x509.Certificate, error) {
	if len(header[p.header.Name]) == 0 {
		return nil, nil
	}
	if trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool); !trusted {
		return nil, errNotTrusted
	}
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
