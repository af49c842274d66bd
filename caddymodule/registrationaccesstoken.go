package caddymodule

import (
	"errors"
	"net/url"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// RegistrationAccessToken offers TPPs registration access tokens of the gateway's own
// (RFC 7592), beside the management tokens that the AS gives out: POST answers with
// one, good for GET, PUT and DELETE of that client, with its certificate.
type RegistrationAccessToken struct {
	// TTL is how long one is good. Default: 90d.
	TTL caddy.Duration `json:"ttl,omitempty"`
	// Rotate gives a new one with every update; the one before it stays good until
	// the next. Default: false, a new one comes only when the old one has ended.
	Rotate bool `json:"rotate,omitempty"`
}

func (t *RegistrationAccessToken) check() error {
	if t != nil && t.TTL < 0 {
		return errors.New("registration_access_token: ttl must be positive")
	}
	return nil
}

// accessTokens is the registry's form, nil when it is off.
func (t *RegistrationAccessToken) accessTokens() *registry.AccessTokens {
	if t == nil {
		return nil
	}
	return &registry.AccessTokens{TTL: time.Duration(t.TTL), Rotate: t.Rotate}
}

// byAccessToken finds the client that manages itself with a registration access
// token of the gateway's own. The AS is not asked.
func (d *dcr) byAccessToken(clientID, raw string) (*registry.Client, error) {
	c, err := d.store.Client(d.r.Context(), d.Workspace, clientID)
	switch {
	case errors.Is(err, registry.ErrNotFound):
		return nil, verify.NotYours(err)
	case err != nil:
		return nil, err
	case c.Status != registry.Active || !c.HasAccessToken(raw, d.now()):
		return nil, verify.NotYours(errors.New("not a registration access token of this client"))
	}
	d.accessToken = raw
	return c, nil
}

// registrationAccess are the members of RFC 7592 3: the token that is new, or else
// the one that the request came with.
func (d *dcr) registrationAccess(c *registry.Client) *registrationAccess {
	if d.RegistrationAccessToken == nil {
		return nil
	}
	a := &registrationAccess{uri: d.registerURL(d.tableOf(d.r.Context()).metadata.Issuer) + "/" + url.PathEscape(c.ClientID), token: d.accessToken}
	if c.NewAccessToken != "" {
		a.token = c.NewAccessToken
	}
	return a
}

// registrationAccess is registration_client_uri and, where it may be told, the token.
type registrationAccess struct{ uri, token string }
