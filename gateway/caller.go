package gateway

import (
	"log/slog"
	"slices"
	"strings"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// caller is who sends a request to an endpoint of the AS, as far as it is known, for the
// log. Nothing of it decides.
type caller struct {
	// presented are the client_ids that the request names, registered or not.
	presented []string
	// who is how the request authenticates, nil where that was not read.
	who *verify.ClientAuthentication
	// clientID is a client of the registry that the request names, or its access token;
	// empty for none. of is whose that is, known where somebody will read it.
	clientID string
	of       owner
	// inactive is why the gateway, and not the AS, calls the token inactive that the request
	// asks about, empty where it does not. inactiveOf is its client, where that is why.
	inactive, inactiveOf string
}

// owner is whose a client is. It never changes.
type owner struct{ softwareID, orgID string }

// presents takes what a request says of its sender, which nobody has verified.
func (c *caller) presents(who *verify.ClientAuthentication) {
	c.who, c.presented = who, who.ClientIDs
	if len(who.ClientIDs) > 0 { // else it is whose access token came with it
		c.clientID, c.of = "", owner{}
	}
}

// is takes a client of the registry that the request names.
func (q *request) is(client *registry.Client) {
	q.caller.clientID, q.caller.of = client.ClientID, owner{client.SoftwareID, client.OrgID}
	q.trace.showClient(client)
}

// asksForInactive takes that an answer of the AS about a token does not stand.
func (c *caller) asksForInactive(why, clientID string) { c.inactive, c.inactiveOf = why, clientID }

// callerFields are what the log says of the sender. What was not verified is quoted, and cut.
func (q *request) callerFields() (fields []slog.Attr) {
	c := &q.caller
	add := func(key, value string) {
		if value != "" {
			fields = append(fields, slog.String(key, value))
		}
	}
	add("client_id", c.clientID)
	add("software_id", c.of.softwareID)
	add("org_id", c.of.orgID)
	if len(c.presented) > 0 && !slices.Equal(c.presented, []string{c.clientID}) {
		add("presented_client_id", refusal.ForLog(strings.Join(c.presented, " ")))
	}
	add("token_inactive", c.inactive)
	add("token_client_id", c.inactiveOf)
	if c.who != nil && c.who.Assertion {
		if kid := c.who.AssertionKeyID(); kid != "" {
			add("kid", refusal.ForLog(kid))
		}
	}
	if cert, absent := q.certificate(); absent == nil {
		add("certificate", cert.Thumbprint)
	}
	return fields
}

// logsPassed tells whether somebody reads who sent a request that goes on: a line of the
// gateway's own at level debug, or the access log.
func (q *request) logsPassed() bool {
	return q.gateway.log.Enabled(q.r.Context(), slog.LevelDebug) || q.options().Host.LogsAccess(q.r)
}

// logPassed says who sent a request that went on to the AS. Of clients that are not the
// registry's only the access log tells.
func (q *request) logPassed() {
	c := &q.caller
	if q.refused || c.inactive == "" && !q.logsPassed() {
		return
	}
	fields := q.callerFields()
	if code := sentSupportCode(q.r); code != "" {
		fields = append(fields, slog.String("support_code", code))
	}
	fields = append(fields, slog.String("outcome", "passed"))
	switch {
	case c.inactive != "": // what is said is not the AS's
		q.gateway.log.LogAttrs(q.r.Context(), slog.LevelInfo, "introspection", fields...)
	case c.clientID != "":
		q.gateway.log.LogAttrs(q.r.Context(), slog.LevelDebug, "guard", fields...)
	}
	q.options().Host.AddToAccessLog(q.r, fields)
}

// maxOwners bounds the memory: about 200 bytes each.
const maxOwners = 4096

// owners are those of clients whose requests were let through, by client_id.
type owners struct {
	once  sync.Once
	known *lru.Cache[string, owner]
}

func (p *owners) cache() *lru.Cache[string, owner] {
	p.once.Do(func() { p.known, _ = lru.New[string, owner](maxOwners) }) // an error is only for a size below 1
	return p.known
}

// remembered takes the client of a request that was let through before, without a look
// at the registry: whose it is, is remembered too, and read only where somebody reads it.
func (q *request) remembered(clientID string) {
	q.caller.clientID = clientID
	if !q.logsPassed() {
		return
	}
	known := q.gateway.owners.cache()
	of, ok := known.Get(clientID)
	if !ok {
		client, err := q.store.Client(q.r.Context(), q.options().Workspace.Name, clientID)
		if err != nil {
			return // it is only for the log
		}
		of = owner{client.SoftwareID, client.OrgID}
		known.Add(clientID, of)
	}
	q.caller.of = of
}
