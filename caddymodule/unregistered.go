package caddymodule

import (
	"errors"
	"net/http"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// refusesUnknown tells whether client_ids that the registry does not know are refused now.
func (g *gateway) refusesUnknown(store *registry.Registry) bool {
	return g.options.RefuseUnknown || store.Epoch().Unconfirmed()
}

// unknown tells whether a client_id that the registry does not know is refused.
func (g *gateway) unknown(store *registry.Registry, id string) bool {
	return g.refusesUnknown(store) && !g.options.KnownClient(id)
}

var errUnknownClient = errors.New("the registry does not know this client_id, and unknown_clients has it refused, or a restore or loss that nobody has confirmed")

// refuseUnknown refuses it where clients authenticate.
func (g *gateway) refuseUnknown(store *registry.Registry, id string) error {
	if !g.unknown(store, id) {
		return nil
	}
	return verify.Refuse(verify.InvalidClient, "unknown_clients", "client authentication: no client is registered here with this client_id; register, or ask the bank").Because(errUnknownClient)
}

// refuseNameless refuses a request that names no client where clients authenticate. At
// introspection a resource server may send a token in place of that (RFC 7662 2.1), whose
// client is looked at apart.
func (g *gateway) refuseNameless(r *http.Request, store *registry.Registry, who *verify.ClientAuthentication, at purpose) error {
	if len(who.ClientIDs) > 0 || r.Method == http.MethodOptions || !g.refusesUnknown(store) {
		return nil
	}
	if p, err := verify.ReadPresentedToken(r.Header["Authorization"], r.URL.RawQuery, ""); at == introspection && err == nil && p.Raw != "" {
		return nil
	}
	return verify.Refuse(verify.InvalidClient, "unknown_clients", "client authentication: no client_id; send the one that you have registered").Because(errUnknownClient)
}
