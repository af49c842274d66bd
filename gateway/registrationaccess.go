package gateway

import (
	"errors"
	"net/url"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// byAccessToken finds the client that manages itself with a registration access
// token of the gateway's own. The AS is not asked.
func (d *registrationRequest) byAccessToken(clientID, raw string) (*registry.Client, error) {
	c, err := d.store.Client(d.request.r.Context(), d.options.Workspace.Name, clientID)
	switch {
	case errors.Is(err, registry.ErrNotFound):
		return nil, verify.NotYours(err)
	case err != nil:
		return nil, err
	case !c.Registered() || !c.HasAccessToken(raw, d.now()):
		return nil, verify.NotYours(errors.New("not a registration access token of this client"))
	}
	d.accessToken = raw
	return c, nil
}

// registrationAccess are the members of RFC 7592 3: the token that is new, or else
// the one that the request came with.
func (d *registrationRequest) registrationAccess(c *registry.Client) *registrationAccess {
	if d.options.Workspace.AccessTokens == nil {
		return nil
	}
	a := &registrationAccess{uri: d.options.registerURL(d.request.table.metadata.Issuer) + "/" + url.PathEscape(c.ClientID), token: d.accessToken}
	if c.NewAccessToken != "" {
		a.token = c.NewAccessToken
	}
	return a
}

// registrationAccess is registration_client_uri and, where it may be told, the token.
type registrationAccess struct{ uri, token string }
