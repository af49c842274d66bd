package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// The keys of a client's software, for the gateway that checks assertions itself, and
// for an AS that is told them (keys inline).

// softwareKeys are those of the statement that a client is registered with, and the
// revoked ones, nil where they are not asked for.
func softwareKeys(issuers []*verify.Issuer, c *registry.Client) (keys, revoked verify.KeySource, err error) {
	i := slices.IndexFunc(issuers, func(i *verify.Issuer) bool { return i.Name == c.Directory })
	if i < 0 {
		return nil, nil, fmt.Errorf("client_id %s is of the directory %q, which is not configured", c.ClientID, c.Directory)
	}
	issuer := issuers[i]
	if keys, err = issuer.SoftwareKeys(c.JWKSURI); err != nil {
		return nil, nil, err
	}
	keys = verify.KeysOf(keys, c.OrgID)
	if issuer.RevokedKeys == nil || c.RevokedJWKSURI == "" {
		return keys, nil, nil
	}
	if revoked, err = issuer.RevokedKeys(c.RevokedJWKSURI); err != nil {
		return nil, nil, err
	}
	return keys, verify.KeysOf(revoked, c.OrgID), nil
}

// InlineKeys are what the AS is told.
func InlineKeys(ctx context.Context, issuers []*verify.Issuer, c *registry.Client) ([]verify.Key, error) {
	source, _, err := softwareKeys(issuers, c)
	if err != nil {
		return nil, refusal.From(err)
	}
	keys, err := source.Keys(ctx)
	if err != nil {
		return nil, refusal.New(refusal.Unavailable, "jwks", "the software's keys cannot be fetched now; try again later").Because(err)
	}
	return keys, nil
}

// refreshEvery is how often the AS is told a client's keys again, at most: while it
// refuses them, and by whoever signs with one new kid after the other.
const refreshEvery = 30 * time.Second

// maxRefreshed bounds of how many clients that is remembered.
const maxRefreshed = 4096

func newRefreshed() (*lru.Cache[string, time.Time], error) {
	return lru.New[string, time.Time](maxRefreshed)
}

// refreshKeys tells the AS the keys of a client's software again where they have changed
// since, before it sees a request that may be signed with a new one. An AS that does not
// take them has those of before: what comes of the request is for it to say.
func (g *Gateway) refreshKeys(ctx context.Context, store *registry.Registry, who *verify.ClientAuthentication, c *registry.Client) {
	if !g.options.InlineKeys || c.JWKSURI == "" {
		return
	}
	source, _, err := softwareKeys(g.options.Rules.Issuers, c)
	if err != nil {
		g.log.Warn("cannot load the client's software keys", slog.String("client_id", c.ClientID), slog.Any("error", err))
		return
	}
	keys, err := source.Keys(ctx)
	if kid := who.AssertionKeyID(); err == nil && kid != "" && !slices.ContainsFunc(keys, func(k verify.Key) bool { return k.ID == kid }) {
		keys, err = source.Refresh(ctx)
	}
	if err != nil || verify.KeysName(authserver.KeysFor(c, keys)) == c.Keys {
		return
	}
	if last, ok := g.refreshed.Get(c.ID); ok && g.now().Sub(last) < refreshEvery {
		return
	}
	_, err, _ = g.renewals.Do("keys of "+c.ID, func() (any, error) {
		g.refreshed.Add(c.ID, g.now())
		return nil, store.RefreshKeys(context.WithoutCancel(ctx), g.options.Workspace, c.ClientID) // shared: not one caller's to cancel
	})
	if err != nil {
		g.log.Warn("cannot update a client's keys at the authorization server", slog.String("client_id", c.ClientID), slog.Any("error", err))
		return
	}
	g.log.Info("updated a client's keys at the authorization server", slog.String("client_id", c.ClientID))
}
