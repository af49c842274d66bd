package caddymodule

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
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
// its discovery document, its keys and introspection are asked. What is not given, and
// what only the registry knows, is unknown and not refused: whether a jti was used
// before, who is suspended, how many clients a software has (policies see none).
//
// The app must be provisioned. It may be serving, and nothing of it changes: the request is
// decided by a handler that is made anew of the same configuration, with caches of its
// own, which the answers go to.
func (a *App) Explain(ctx context.Context, workspace string, q Question) (*registry.Explanation, error) {
	of, err := a.workspace(workspace)
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
	h, end, err := of.apart(store, q.At)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	defer end()
	d, err := h.asked(jwks.WithAnswers(ctx, &q.Answers), store, q)
	if err != nil {
		return nil, err
	}
	complete, err := d.explain(q)
	e := registry.Explain(h.Workspace, d.operation, d.now(), d.trace, err)
	switch {
	case err != nil && verify.AsError(err).Kind != verify.Unavailable:
	case err != nil || !complete: // a server that did not answer here says nothing of the request
		e.Outcome, e.Status, e.Error, e.Rule, e.Told = registry.Incomplete, 0, "", "", ""
	default:
		e.Outcome = registry.Passed
	}
	return e, nil
}

// apart makes a handler of the configuration of this one, which shares nothing with it. It
// runs on a store of its own, which end closes, and at another time, zero for now.
func (h *Handler) apart(store *registry.Registry, at time.Time) (one *Handler, end func(), err error) {
	outer := h.ctx
	// Neither the end of the configuration nor the routes around the handler concern it.
	outer.Context = context.WithValue(context.WithoutCancel(h.ctx.Context), caddyhttp.ServerCtxKey, nil)
	ctx, unload := caddy.NewContext(outer)
	one = &Handler{explains: true, at: at, app: &App{ctx: h.app.ctx, log: h.app.log, registry: store, users: 1, started: true}}
	if err = json.Unmarshal(h.source, one); err == nil {
		err = one.provision(ctx)
	}
	if err != nil {
		unload()
		return nil, nil, fmt.Errorf("openbanking_dcr %s: %w", h.Workspace, err)
	}
	return one, func() {
		unload()
		_ = one.app.Cleanup() // it has no error; what ends behind the request, ends first
	}, nil
}

// now is the clock of the handler's checks.
func (h *Handler) now() time.Time {
	if !h.at.IsZero() {
		return h.at
	}
	return time.Now()
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

// explain goes the way of register as far as the registry. It is complete when nothing
// that the way needs was unknown.
func (d *dcr) explain(q Question) (complete bool, err error) {
	if err := d.checkOpen(); err != nil {
		return false, err
	}
	d.trace.Unknown("request", "media_type", "DCR 3.2, RFC 9110 8.3", "the body is given without its header fields")
	certificate, err := d.explainCertificate(q)
	if err != nil {
		return false, err
	}
	token, err := d.explainToken(q)
	if err != nil {
		return false, err
	}
	in, err := d.verifyBody(nil)
	if err == nil {
		err = d.judgeRegistration(nil, in)
	}
	if err != nil && !(certificate && token) && d.needs(err, !certificate, !token) {
		d.trace.Conclude(verify.VerdictUnknown, "it needs what is not known here: "+verify.AsError(err).Description)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	d.trace.Unknown("registry", "registry", registryClause,
		"whether the token or the jti was used before, who is suspended, and what the authorization server would say")
	return certificate && token, nil
}

// needs tells whether a refusal may be one for want of the certificate or the token.
func (d *dcr) needs(err error, certificate, token bool) bool {
	rule := verify.AsError(err).RuleName()
	if rule != "policy" {
		return certificate && (rule == "client_certificate" || strings.HasPrefix(rule, "tls_client_auth_"))
	}
	_, name := d.trace.Current()
	return slices.ContainsFunc(d.Policies, func(p *Policy) bool {
		p = p.asked()
		return p.Name == name && (certificate && verify.Reads(p.policy, "certificate") || token && verify.Reads(p.policy, "token"))
	})
}

// explainCertificate is protection 1, known where there is an answer.
func (d *dcr) explainCertificate(q Question) (known bool, err error) {
	unknown := func(reason string) (bool, error) {
		d.trace.Unknown("client_certificate", "client_certificate", certificateClause, reason)
		return false, nil
	}
	var broken error
	switch {
	case len(q.Chain) == 0 && d.needsCertificate():
		return unknown("none was given to look at")
	case len(q.Chain) > 0:
		with, err := d.handshake(q)
		if err != nil {
			return unknown(err.Error())
		}
		d.r.TLS, broken = with.state, with.broken
	}
	if err := d.certificate(); err != nil {
		if e := verify.AsError(err); broken != nil && e.Cause == nil {
			return false, e.Because(broken)
		}
		return false, err
	}
	if !d.RateLimit.Off {
		d.trace.Conclude(verify.VerdictUnknown, "requests are counted where they are served")
	}
	return true, nil
}

// explainToken is protection 2, known where there is an answer.
func (d *dcr) explainToken(q Question) (known bool, err error) {
	if q.Token == "" && d.needsToken() {
		d.trace.Unknown("access_token", "access_token", tokenClause, "none was given to look at")
		return false, nil
	}
	err = d.registrationToken()
	switch kind := verify.AsError(err).Kind; {
	case err == nil:
		return true, nil
	case kind == verify.Unavailable:
		d.trace.Conclude(verify.VerdictUnavailable, err.Error())
		return false, nil
	case kind == verify.InvalidToken && d.reregister().Repeats():
		d.trace.Conclude(verify.VerdictUnknown, "refused, unless this repeats what the token has registered: "+verify.AsError(err).Description)
		return false, nil
	}
	return false, err
}
