package caddymodule

import (
	"errors"
	"net/http"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// checkAuthorization refuses to ask a user for a client of the registry that may do
// nothing, and for one that is not clearly the only one. Clients that are not the
// registry's pass untouched, or not at all (UnknownClients).
func (g *gateway) checkAuthorization(w http.ResponseWriter, r *http.Request) error {
	by := guardCallerOf(r)
	by.beginForm(r)
	form, err := g.readForm(w, r)
	if err != nil {
		return err
	}
	by.begin("authorization_request", "authorization_request", "RFC 6749 4.1.1, RFC 9101 5")
	request, err := verify.ReadAuthorizationRequest(r.URL.RawQuery, form)
	if err != nil {
		return err
	}
	by.names(request.ClientIDs)
	store, err := g.options.Stores.Enter()
	if err != nil {
		return err
	}
	defer g.options.Stores.Leave()
	var client *registry.Client
	for _, id := range request.ClientIDs {
		by.beginClient(id)
		c, err := store.Client(r.Context(), g.options.Workspace.Name, id)
		switch {
		case errors.Is(err, registry.ErrAlike):
			return verify.Refuse(verify.MalformedRequest, "authorization_request", "client_id: not written as it was given out; send it exactly so").Because(err)
		case errors.Is(err, registry.ErrNotFound) && g.unknown(store, id):
			return verify.Refuse(verify.MalformedRequest, "unknown_clients", "client_id: no client is registered here with it; register, or ask the bank").Because(errUnknownClient)
		case errors.Is(err, registry.ErrNotFound):
			by.conclude(notRegistered)
		case err != nil:
			return err
		default:
			client = c
			by.is(c)
		}
	}
	if client == nil {
		return nil
	}
	if err := request.CheckRegistered(); err != nil {
		return err
	}
	switch {
	case client.Status != registry.Active:
		return verify.Refuse(verify.MalformedRequest, "authorization_request", "client_id: this client was deleted; register a new one")
	case client.Suspended:
		return registry.Suspended()
	}
	return nil
}

// refuseAuthorization shows a page to a browser. It redirects nowhere: where the client
// may have the user sent back to is what the gateway has just not believed (RFC 6749
// 4.1.2.1), and a client that is suspended is to get nothing.
func (g *gateway) refuseAuthorization(w http.ResponseWriter, r *http.Request, err error) {
	x := g.guardExchange(w, r, "authorization")
	x.page = strings.Contains(strings.ToLower(strings.Join(r.Header["Accept"], ",")), "text/html")
	x.refuse(err)
}
