package gateway

import (
	"context"
	"log/slog"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// renew tells the AS the DN of a renewed certificate before it sees the
// certificate, where dn_match has taken it for the client's. Requests that come
// together share one change.
func (g *Gateway) renew(ctx context.Context, store *registry.Registry, a *verify.Authenticator, cert *verify.Certificate) error {
	if a.Method != "tls_client_auth" || a.SANClaim != "" || len(a.Match.Attributes) == 0 || a.Subject.Equal(cert.Subject) {
		return nil
	}
	_, err, _ := g.renewals.Do(a.ClientID+" "+cert.Thumbprint, func() (any, error) {
		return store.Renew(context.WithoutCancel(ctx), g.options.Workspace, a.ClientID, cert) // shared: not one caller's to cancel
	})
	if err == nil {
		g.log.Info("updated a client's subject DN to that of its renewed certificate", slog.String("client_id", a.ClientID), slog.String("certificate", cert.Thumbprint), slog.String("subject", cert.Subject.String()))
	}
	return err
}
