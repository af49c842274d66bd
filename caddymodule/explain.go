package caddymodule

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/memory"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// Question is a registration request (POST) to be explained.
type Question struct {
	// Body is the request's.
	Body []byte
	// Chain is the client certificate and those between it and its CA. Default: none,
	// and what is said of the request is incomplete where one is demanded.
	Chain []*x509.Certificate
	// Token is the registration token, as Chain.
	Token string
	// Remote is the sender's IP address. Default: none.
	Remote string
	// At is when the request came. Default: now.
	At time.Time
	// Answers stand for the servers that are asked. Default: they are asked.
	Answers jwks.Answers
}

// Explain decides a registration request as this configuration would, and tells every
// step. It changes nothing: no store is opened, and of the authorization server only
// its discovery document, its keys and introspection are asked. So it does not know
// what is registered: each policy sees a software without clients, and a jti or a
// token that was used before is taken for a new one.
//
// The app must be provisioned and not started.
func (a *App) Explain(ctx context.Context, workspace string, q Question) (*registry.Explanation, error) {
	h, err := a.workspace(workspace)
	if err != nil {
		return nil, err
	}
	keyset, _, err := registry.NewKeyset()
	if err != nil {
		return nil, err
	}
	store, err := registry.Open(ctx, registry.Options{Store: memory.Open(memory.Options{}), Sealer: keyset})
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	a.registry, a.users = store, 1 // nothing opens another one
	a.mu.Unlock()
	defer func() {
		if err := store.Close(); err != nil {
			a.log.Error("closing the store", slog.Any("error", err))
		}
	}()
	h.at = q.At
	ctx = jwks.WithAnswers(ctx, &q.Answers)
	d, err := h.asked(ctx, store, q)
	if err != nil {
		return nil, err
	}
	complete, err := d.explain(q)
	e := registry.Explain(h.Workspace, d.operation, d.now(), d.trace, err)
	switch {
	case err != nil && verify.AsError(err).Kind != verify.Unavailable:
	case err != nil || !complete:
		e.Outcome = registry.Incomplete
	default:
		e.Outcome = registry.Passed
	}
	return e, nil
}

// workspace finds one by its name, which may be left out where there is only one.
func (a *App) workspace(name string) (*Handler, error) {
	i := slices.IndexFunc(a.workspaces, func(h *Handler) bool { return h.Workspace == name || name == "" && len(a.workspaces) == 1 })
	if i < 0 {
		return nil, fmt.Errorf("workspace %q: there are %s", name, strings.Join(a.Workspaces(), ", "))
	}
	return a.workspaces[i], nil
}

// asked is the request of a question, at work.
func (h *Handler) asked(ctx context.Context, store *registry.Registry, q Question) (*dcr, error) {
	ctx = context.WithValue(ctx, caddyhttp.VarsCtxKey, map[string]any{caddyhttp.ClientIPVarKey: q.Remote})
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.RegisterPath, bytes.NewReader(q.Body))
	if err != nil {
		return nil, err
	}
	if q.Token != "" {
		r.Header.Set("Authorization", "Bearer "+q.Token)
	}
	d := &dcr{exchange: h.exchange(nobody{}, r, "register"), store: store}
	d.record()
	return d, nil
}

// nobody reads an answer that is not written.
type nobody struct{ http.ResponseWriter }

// explain goes the way of register as far as the registry.
func (d *dcr) explain(q Question) (complete bool, err error) {
	complete = true
	if err := d.checkOpen(); err != nil {
		return false, err
	}
	if err := d.checkMediaType(); err != nil {
		return false, err
	}
	if len(q.Chain) > 0 || !d.needsCertificate() {
		var broken error
		if len(q.Chain) > 0 {
			d.r.TLS, broken = d.handshake(q)
		}
		if err := d.certificate(); err != nil {
			return false, because(err, broken)
		}
	} else {
		d.trace.Unknown("client_certificate", "client_certificate", "RFC 8705 2.1", "none was given to look at")
		complete = false
	}
	if q.Token != "" || !d.needsToken() {
		err := d.registrationToken()
		switch {
		case err != nil && verify.AsError(err).Kind == verify.Unavailable:
			d.trace.Conclude(verify.VerdictUnavailable, err.Error())
			complete = false
		case err != nil:
			return false, err
		}
	} else {
		d.trace.Unknown("access_token", "access_token", "RFC 7662 2.2, RFC 9068 4", "none was given to look at")
		complete = false
	}
	in, err := d.verifyBody(nil)
	if err != nil {
		return false, err
	}
	if err := d.judgeRegistration(nil, in); err != nil {
		return false, err
	}
	d.trace.Unknown("registry", "registry", "RFC 7591 3.2, RFC 7519 4.1.7, DCR 3.2", "nothing is registered: whether the token or the jti was used before, and what the authorization server would say, is not known")
	return complete, nil
}

// because adds why the TLS layer has not verified a certificate.
func because(err, cause error) error {
	if e := verify.AsError(err); cause != nil && e.Cause == nil {
		return e.Because(cause)
	}
	return err
}

// handshake is the connection that a client with the certificate would have, and why
// its certificate does not count there.
func (d *dcr) handshake(q Question) (*tls.ConnectionState, error) {
	state := &tls.ConnectionState{HandshakeComplete: true, PeerCertificates: q.Chain}
	pool, verifies, err := d.clientCAs(q)
	if err != nil {
		return state, err
	}
	between := x509.NewCertPool()
	for _, c := range q.Chain[1:] {
		between.AddCert(c)
	}
	chains, err := q.Chain[0].Verify(x509.VerifyOptions{
		Roots: pool, Intermediates: between, CurrentTime: d.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return state, fmt.Errorf("the TLS handshake fails: %w", err)
	}
	state.VerifiedChains = chains
	if verifies == nil {
		return state, nil
	}
	if err := verifies(*state); err != nil {
		state.VerifiedChains = nil
		return state, fmt.Errorf("the TLS handshake fails: %w", err)
	}
	return state, nil
}

// clientCAs are those that the site trusts for client certificates, where clients
// register: of the load balancer's header, or else of the server's TLS connection
// policy for the host.
func (d *dcr) clientCAs(q Question) (*x509.CertPool, func(tls.ConnectionState) error, error) {
	if p := d.ClientCertificateHeader; p != nil {
		return p.roots, nil, nil
	}
	running, err := d.app.ctx.App("http")
	if err != nil {
		return nil, nil, err
	}
	hello := &tls.ClientHelloInfo{Conn: connection{from: q.Remote}}
	if m, err := d.as.Metadata(d.r.Context()); err == nil {
		if u, err := url.Parse(d.registerURL(m.Issuer)); err == nil {
			hello.ServerName = u.Hostname()
		}
	}
	servers := running.(*caddyhttp.App).Servers
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		server := servers[name]
		if server.TLSConnPolicies == nil {
			continue
		}
		c, err := server.TLSConnPolicies.TLSConfig(d.app.ctx).GetConfigForClient(hello)
		if err == nil && c != nil && c.ClientCAs != nil && c.ClientAuth >= tls.VerifyClientCertIfGiven {
			return c.ClientCAs, c.VerifyConnection, nil
		}
	}
	return nil, nil, errors.New("no site verifies client certificates for the host where clients register: tls { client_auth { mode verify_if_given ... } }")
}

// connection is one that is not there.
type connection struct {
	net.Conn
	from string
}

func (c connection) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.ParseIP(c.from)} }
func (c connection) LocalAddr() net.Addr  { return &net.TCPAddr{} }
