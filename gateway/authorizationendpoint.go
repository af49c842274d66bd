package gateway

import (
	"errors"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// checkAuthorization refuses to ask a user for a client of the registry that may do
// nothing, and for one that is not clearly the only one. Clients that are not the
// registry's pass untouched, or not at all (unknown_clients).
func (q *request) checkAuthorization() error {
	q.trace.beginForm(q.r)
	form, err := q.readForm()
	if err != nil {
		return err
	}
	q.trace.Begin("authorization_request", "authorization_request", "RFC 6749 4.1.1, RFC 9101 5", nil)
	asks, err := verify.ReadAuthorizationRequest(q.r.URL.RawQuery, form)
	if err != nil {
		return err
	}
	q.caller.presented = asks.ClientIDs
	store, err := q.enter()
	if err != nil {
		return err
	}
	var client *registry.Client
	for _, id := range asks.ClientIDs {
		q.trace.beginClient(id)
		c, err := store.Client(q.r.Context(), q.options().Workspace.Name, id)
		switch {
		case errors.Is(err, registry.ErrAlike):
			return refusal.New(refusal.MalformedRequest, "authorization_request", "client_id: not written as it was given out; send it exactly so").Because(err)
		case errors.Is(err, registry.ErrNotFound) && q.unknown(id):
			return refusal.New(refusal.MalformedRequest, "unknown_clients", "client_id: no client is registered here with it; register, or ask the bank").Because(errUnknownClient)
		case errors.Is(err, registry.ErrNotFound):
			q.trace.conclude(notRegistered)
		case err != nil:
			return err
		default:
			client = c
			q.is(c)
		}
	}
	if client == nil {
		return nil
	}
	if err := asks.CheckRegistered(); err != nil {
		return err
	}
	switch {
	case !client.Registered():
		return refusal.New(refusal.MalformedRequest, "authorization_request", "client_id: this client was deleted; register a new one")
	case client.Suspended:
		return registry.Suspended()
	case client.Status != registry.Active:
		return registry.Awaiting()
	}
	return nil
}

// refuseAuthorization shows a page to a browser. It redirects nowhere: where the client
// may have the user sent back to is what the gateway has just not believed (RFC 6749
// 4.1.2.1), and a client that is suspended is to get nothing.
func (q *request) refuseAuthorization(err error) {
	q.page = strings.Contains(strings.ToLower(strings.Join(q.r.Header["Accept"], ",")), "text/html")
	q.refuseClient("authorization", err)
}
