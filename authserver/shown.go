package authserver

import (
	"context"
	"log/slog"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

type supportCodeKey struct{}

// WithSupportCode names the request that an exchange with the AS is for, in the log.
func WithSupportCode(ctx context.Context, code string) context.Context {
	return context.WithValue(ctx, supportCodeKey{}, code)
}

// showable leaves out of the metadata what the AS must not show to people or fetch: here,
// and not where the record is made, so that a record of before is clean as soon as the AS
// is told of it again.
func (o *clientMetadata) showable(ctx context.Context, log *slog.Logger, c *registry.Client) {
	log = log.With(slog.String("registration", c.ID), slog.String("client_id", c.ClientID), slog.String("software_id", c.SoftwareID))
	if code, ok := ctx.Value(supportCodeKey{}).(string); ok {
		log = log.With(slog.String("support_code", code))
	}
	for _, address := range []struct {
		claim string
		uri   *string
	}{
		{"software_client_uri", &o.ClientURI}, {"software_logo_uri", &o.LogoURI},
		{"software_policy_uri", &o.PolicyURI}, {"software_tos_uri", &o.TOSURI},
	} {
		if *address.uri == "" {
			continue
		}
		if err := verify.CheckShownURI(*address.uri); err != nil {
			log.Warn("omits a URL of the software statement that the authorization server must not show", slog.String("claim", address.claim),
				slog.String("value", refusal.ForLog(*address.uri)), slog.Any("error", err))
			*address.uri = ""
		}
	}
	if name := verify.ShownName(o.ClientName, c.SoftwareID); o.ClientName != "" && name != o.ClientName {
		log.Warn("replaces a client name of the software statement that the authorization server must not show", slog.String("claim", "software_client_name"),
			slog.String("value", refusal.ForLog(o.ClientName)), slog.String("sent", refusal.ForLog(name)))
		o.ClientName = name
	}
}
