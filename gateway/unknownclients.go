package gateway

import (
	"errors"
	"net/http"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// refusesUnknown tells whether client_ids that the registry does not know are refused now.
func (q *request) refusesUnknown() bool {
	return q.options().RefuseUnknown || q.store.Epoch().Unconfirmed()
}

// unknown tells whether a client_id that the registry does not know is refused.
func (q *request) unknown(id string) bool {
	return q.refusesUnknown() && !q.options().KnownClient(id)
}

var errUnknownClient = errors.New("the registry does not know this client_id, and unknown_clients has it refused, or a restore or loss that nobody has confirmed")

// refuseUnknown refuses it where clients authenticate.
func (q *request) refuseUnknown(id string) error {
	if !q.unknown(id) {
		return nil
	}
	return refusal.New(refusal.InvalidClient, "unknown_clients", "client authentication: no client is registered here with this client_id; register, or ask the bank").Because(errUnknownClient)
}

// refuseNameless refuses a request that names no client where clients authenticate. At
// introspection a resource server may send a token in place of that (RFC 7662 2.1), whose
// client is looked at apart.
func (a *authentication) refuseNameless() error {
	q := a.request
	if len(a.who.ClientIDs) > 0 || q.r.Method == http.MethodOptions || !q.refusesUnknown() {
		return nil
	}
	if p, err := verify.ReadPresentedToken(q.r.Header["Authorization"], q.r.URL.RawQuery, ""); q.purpose == introspection && err == nil && p.Raw != "" {
		return nil
	}
	return refusal.New(refusal.InvalidClient, "unknown_clients", "client authentication: no client_id; send the one that you have registered").Because(errUnknownClient)
}
