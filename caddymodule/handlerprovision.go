package caddymodule

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-dcr/caddy-dcr/gateway"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

func (h *Handler) provision(ctx caddy.Context) (err error) {
	h.ctx = ctx
	h.log = ctx.Slogger().With(slog.String("workspace", h.Workspace))
	if !workspaceName.MatchString(h.Workspace) {
		return fmt.Errorf("workspace %q: must be lower-case path segments without a leading slash, like default/obuk", h.Workspace)
	}
	accept, err := h.provisionSupportedMetadata()
	if err != nil {
		return err
	}
	if err := h.checkWords(); err != nil {
		return err
	}
	limits, err := h.RateLimit.provision()
	if err != nil {
		return err
	}
	if err := h.findApp(ctx); err != nil {
		return err
	}
	if err := h.provisionUnknownClients(); err != nil {
		return err
	}
	if err := h.Proxy.provision(ctx); err != nil {
		return err
	}
	if err := h.provisionAuthorizationServer(ctx, accept); err != nil {
		return fmt.Errorf("authorization_server: %w", err)
	}
	if err := h.checkSecretMethods(); err != nil {
		return err
	}
	h.warnOfApproval()
	if err := h.checkSite(ctx); err != nil {
		return err
	}
	if err := h.ClientCertificateHeader.provision(ctx); err != nil {
		return fmt.Errorf("client_certificate header: %w", err)
	}
	if err := h.provisionRevocation(ctx); err != nil {
		return fmt.Errorf("crl: %w", err)
	}
	if err := h.provisionRequestRules(ctx); err != nil {
		return err
	}
	if err := h.provisionPolicies(ctx); err != nil {
		return err
	}
	h.provisionTrustCheck()
	host, err := newCaddyHost(ctx)
	if err != nil {
		return err
	}
	if h.gateway, err = gateway.New(h.options(limits, host), http.HandlerFunc(serveNext)); err != nil {
		return err
	}
	return h.joinApp()
}

// findApp finds the app that all workspaces share. An explanation has one of its own.
func (h *Handler) findApp(ctx caddy.Context) error {
	if h.explains {
		return nil
	}
	app, err := ctx.App("openbanking_dcr")
	if err != nil {
		return err
	}
	h.app, h.hosts = app.(*App), h.ownHosts(ctx)
	return nil
}

// readIssuerPath takes the issuer's path from the address of the AS.
func (h *Handler) readIssuerPath() error {
	address := h.AuthorizationServer.URL
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%q: must be an https URL with the issuer's path", address)
	}
	if h.issuerPath, err = gateway.NormalPath(u.EscapedPath()); err != nil || u.EscapedPath() != h.issuerPath && u.EscapedPath() != "" {
		return fmt.Errorf("%q: its path must be lower-case, without escapes, empty segments or a slash at its end", address)
	}
	return nil
}

func (h *Handler) joinApp() error {
	h.app.own.Add(h.ownHeaders()...)
	h.app.own.Keep(h.KeepHeaders...)
	h.app.own.Pass(h.PassHeaders...)
	h.app.own.FromProxy = h.app.own.FromProxy || h.ClientCertificateHeader != nil
	return h.app.join(h)
}

// checkWords looks at what each word of the directive says by itself.
func (h *Handler) checkWords() error {
	if h.RegisterPath == "" {
		h.RegisterPath = "/" + h.Workspace + "/openbankinguk/dcr/v" + string(h.Version) + "/register"
	}
	if normal, err := gateway.NormalPath(h.RegisterPath); err != nil || normal != h.RegisterPath || h.RegisterPath == "/" {
		return fmt.Errorf("register_path %q: must be a lower-case path without escapes, empty segments or a slash at its end", h.RegisterPath)
	}
	if h.MTLSOrigin != "" && (gateway.Origin(h.MTLSOrigin) != h.MTLSOrigin || !strings.HasPrefix(h.MTLSOrigin, "https://")) {
		return fmt.Errorf("mtls_origin %q: must be https, a lower-case host and perhaps a port, nothing else", h.MTLSOrigin)
	}
	if h.AuthorizationServer == nil {
		return errors.New("authorization_server is missing")
	}
	if h.FairShare != "" && h.FairShare != "off" {
		return fmt.Errorf("fair_share %q: must be off, or left out", h.FairShare)
	}
	if h.Explain != "" && h.Explain != "on" {
		return fmt.Errorf("explain %q: must be on, or left out", h.Explain)
	}
	return errors.Join(h.RequestHeaders.check(), h.checkSwitches(), h.checkProtections(), h.checkProxies(), h.checkReregister(), h.Approval.check(), h.checkAuditRetention(), h.StoreShare.check(), h.AccessToken.check(), h.Unguarded.check(), h.Revocation.check(), h.RegistrationAccessToken.check(), h.ClientReview.check())
}

func (h *Handler) provisionRequestRules(ctx caddy.Context) error {
	h.rules = verify.RequestRules{
		Audiences: h.Audience, Algorithms: h.Algorithms, MaxLifetime: time.Duration(h.MaxLifetime), Lenient: h.Lenient,
		IssuerClaim: h.IssuerClaim, NoStatement: h.NoSoftwareStatement, Unsigned: h.SignedRequestBody != nil && h.SignedRequestBody.Off,
	}
	for i, s := range h.SoftwareStatements {
		if s == nil {
			return fmt.Errorf("software_statements[%d]: must not be null", i)
		}
		issuer, err := s.provision(ctx, h.app, h.Proxy)
		if err != nil {
			return fmt.Errorf("software_statement %q: %w", s.Issuer, err)
		}
		for _, other := range h.rules.Issuers {
			if other.Name == issuer.Name {
				return fmt.Errorf("software_statement %q is configured twice", s.Issuer)
			}
		}
		h.rules.Issuers = append(h.rules.Issuers, issuer)
	}
	if h.SignedRequestBody == nil || h.SignedRequestBody.Off {
		return nil
	}
	keys, err := h.SignedRequestBody.provision(ctx, h.app, h.Proxy)
	if err != nil {
		return fmt.Errorf("signed_request_body: %w", err)
	}
	h.rules.Keys = keys
	return nil
}

func (h *Handler) checkAuditRetention() error {
	if h.AuditRetention != 0 && time.Duration(h.AuditRetention) < 24*time.Hour {
		return errors.New("audit_retention: must be 24h or more")
	}
	return nil
}
