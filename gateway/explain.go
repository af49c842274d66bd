package gateway

import (
	"bytes"
	"context"
	"crypto/x509"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/trace"
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
}

// Explain decides a registration request, and tells every step. It changes nothing; what
// only the registry knows is unknown, and not refused.
func (g *Gateway) Explain(ctx context.Context, of Question) (*registry.Explanation, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, g.options.RegisterPath, bytes.NewReader(of.Body))
	if err != nil {
		return nil, err
	}
	if of.Token != "" {
		r.Header.Set("Authorization", "Bearer "+of.Token)
	}
	q := g.newRequest(nobody{}, r, nil, registrations)
	q.operation = "register"
	if _, err := q.enter(); err != nil {
		return nil, err
	}
	defer q.leave()
	d := q.registrationRequest()
	d.explains = true
	d.record()
	complete, err := d.explain(of)
	e := registry.Explain(g.options.Workspace.Name, q.operation, g.now(), q.trace.Trace, err)
	switch {
	case err != nil && refusal.From(err).Kind != refusal.Unavailable:
	case err != nil || !complete: // a server that did not answer here says nothing of the request
		e.Outcome, e.Status, e.Error, e.Rule, e.ErrorDescription = registry.Incomplete, 0, "", "", ""
	default:
		e.Outcome = registry.Passed
	}
	return e, nil
}

// nobody reads an answer that is not written.
type nobody struct{ http.ResponseWriter }

// explain goes the way of register as far as the registry. It is complete when nothing
// that the way needs was unknown.
func (d *registrationRequest) explain(q Question) (complete bool, err error) {
	if err := d.checkOpen(); err != nil {
		return false, err
	}
	d.request.trace.Unknown("request", "media_type", "DCR 3.2, RFC 9110 8.3", "the body is given without its header fields")
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
		d.request.trace.Conclude(trace.Unknown, "it needs what is not known here: "+refusal.From(err).Description)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	d.beginApproval()
	d.request.trace.Unknown("registry", "registry", registryClause,
		"whether the token or the jti was used before, who is suspended, and what the authorization server would say")
	return certificate && token, nil
}

// needs tells whether a refusal may be one for want of the certificate or the token.
func (d *registrationRequest) needs(err error, certificate, token bool) bool {
	rule := refusal.From(err).RuleName()
	if rule != "policy" {
		return certificate && (rule == "client_certificate" || strings.HasPrefix(rule, "tls_client_auth_"))
	}
	_, name := d.request.trace.Current()
	return slices.ContainsFunc(d.options.Policies, func(now func() *Policy) bool {
		p := now()
		return p.Name == name && (certificate && verify.Reads(p.Policy, "certificate") || token && verify.Reads(p.Policy, "token"))
	})
}

// explainCertificate is protection 1, known where there is an answer.
func (d *registrationRequest) explainCertificate(q Question) (known bool, err error) {
	unknown := func(reason string) (bool, error) {
		d.request.trace.Unknown("client_certificate", "client_certificate", certificateClause, reason)
		return false, nil
	}
	var broken error
	switch {
	case len(q.Chain) == 0 && d.options.NeedsCertificate:
		return unknown("none was given to look at")
	case len(q.Chain) > 0:
		with, err := d.handshake(q)
		if err != nil {
			return unknown(err.Error())
		}
		d.request.r.TLS, broken = with.state, with.broken
	}
	if err := d.certificate(); err != nil {
		if e := refusal.From(err); broken != nil && e.Cause == nil {
			return false, e.Because(broken)
		}
		return false, err
	}
	if d.options.Limits != nil {
		d.request.trace.Conclude(trace.Unknown, "requests are counted where they are served")
	}
	return true, nil
}

// explainToken is protection 2, known where there is an answer.
func (d *registrationRequest) explainToken(q Question) (known bool, err error) {
	if q.Token == "" && d.options.NeedsToken {
		d.request.trace.Unknown("access_token", "access_token", tokenClause, "none was given to look at")
		return false, nil
	}
	err = d.registrationToken()
	switch kind := refusal.From(err).Kind; {
	case err == nil:
		return true, nil
	case kind == refusal.Unavailable:
		d.request.trace.Conclude(trace.Unavailable, err.Error())
		return false, nil
	case kind == refusal.InvalidToken && d.options.Workspace.Reregister.Repeats():
		d.request.trace.Conclude(trace.Unknown, "refused, unless this repeats what the token has registered: "+refusal.From(err).Description)
		return false, nil
	}
	return false, err
}
