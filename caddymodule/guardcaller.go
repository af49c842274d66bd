package caddymodule

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// guardCaller is who sends a request to an endpoint of the AS, as far as it is known, for
// the log. Nothing of it decides. A nil one takes nothing.
type guardCaller struct {
	// presented are the client_ids that the request names, registered or not.
	presented []string
	// who is how the request authenticates, nil where that was not read.
	who *verify.ClientAuthentication
	// clientID is a client of the registry that the request names, or its access token;
	// empty for none. of is whose that is, known where somebody will read it.
	clientID string
	of       party
	// inactive is why the gateway, and not the AS, calls the token inactive that the request
	// asks about, empty where it does not. inactiveOf is its client, where that is why.
	inactive, inactiveOf string
	// refused: the request was answered here, and has its line.
	refused bool
	// operation and trace are what an explanation has. Nothing is traced with explain off.
	operation string
	traces    bool
	trace     verify.Trace
}

// party is whose a client is. It never changes.
type party struct{ softwareID, orgID string }

// presents takes what a request says of its sender, which nobody has verified.
func (c *guardCaller) presents(who *verify.ClientAuthentication) {
	if c != nil {
		c.who, c.presented = who, who.ClientIDs
		if len(who.ClientIDs) > 0 { // else it is whose access token came with it
			c.clientID, c.of = "", party{}
		}
	}
}

// names takes the client_ids of a request in which nobody authenticates.
func (c *guardCaller) names(clientIDs []string) {
	if c != nil {
		c.presented = clientIDs
	}
}

// is takes a client of the registry that the request names.
func (c *guardCaller) is(client *registry.Client) {
	if c != nil {
		c.clientID, c.of = client.ClientID, party{client.SoftwareID, client.OrgID}
		c.showClient(client)
	}
}

// asksForInactive takes that an answer of the AS about a token does not stand.
func (c *guardCaller) asksForInactive(why, clientID string) {
	if c != nil {
		c.inactive, c.inactiveOf = why, clientID
	}
}

// fields are what the log says of the sender. What was not verified is quoted, and cut.
func (g *gateway) fields(r *http.Request) (fields []slog.Attr) {
	c := guardCallerOf(r)
	if c == nil {
		return nil
	}
	add := func(key, value string) {
		if value != "" {
			fields = append(fields, slog.String(key, value))
		}
	}
	add("client_id", c.clientID)
	add("software_id", c.of.softwareID)
	add("org_id", c.of.orgID)
	if len(c.presented) > 0 && !slices.Equal(c.presented, []string{c.clientID}) {
		add("presented_client_id", verify.Shown(strings.Join(c.presented, " ")))
	}
	add("token_inactive", c.inactive)
	add("token_client_id", c.inactiveOf)
	if c.who != nil && c.who.Assertion {
		if kid := c.who.AssertionKeyID(); kid != "" {
			add("kid", verify.Shown(kid))
		}
	}
	if cert, err := captureCertificate(r.TLS, g.now()); err == nil {
		add("certificate", cert.Thumbprint)
	}
	return fields
}

// logsPassed tells whether somebody reads who sent a request that goes on: a line of the
// gateway's own at level debug, or the access log.
func (g *gateway) logsPassed(r *http.Request) bool {
	return g.log.Enabled(r.Context(), slog.LevelDebug) || g.options.Host.LogsAccess(r)
}

// logPassed says who sent a request that went on to the AS. Of clients that are not the
// registry's only the access log tells.
func (g *gateway) logPassed(r *http.Request) {
	c := guardCallerOf(r)
	if c == nil || c.refused || c.inactive == "" && !g.logsPassed(r) {
		return
	}
	fields := g.fields(r)
	if code := sentSupportCode(r); code != "" {
		fields = append(fields, slog.String("support_code", code))
	}
	fields = append(fields, slog.String("outcome", "passed"))
	switch {
	case c.inactive != "": // what is said is not the AS's
		g.log.LogAttrs(r.Context(), slog.LevelInfo, "introspection", fields...)
	case c.clientID != "":
		g.log.LogAttrs(r.Context(), slog.LevelDebug, "guard", fields...)
	}
	g.options.Host.AddToAccessLog(r, fields)
}

// maxParties bounds the memory: about 200 bytes each.
const maxParties = 4096

// parties are those of clients whose requests were let through, by client_id.
type parties struct {
	once  sync.Once
	known *lru.Cache[string, party]
}

func (p *parties) cache() *lru.Cache[string, party] {
	p.once.Do(func() { p.known, _ = lru.New[string, party](maxParties) }) // an error is only for a size below 1
	return p.known
}

// remembered takes the client of a request that was let through before, without a look
// at the registry: whose it is, is remembered too, and read only where somebody reads it.
func (g *gateway) remembered(r *http.Request, store *registry.Registry, clientID string) {
	c := guardCallerOf(r)
	if c == nil {
		return
	}
	c.clientID = clientID
	if !g.logsPassed(r) {
		return
	}
	of, ok := g.parties.cache().Get(clientID)
	if !ok {
		client, err := store.Client(r.Context(), g.options.Workspace.Name, clientID)
		if err != nil {
			return // it is only for the log
		}
		of = party{client.SoftwareID, client.OrgID}
		g.parties.cache().Add(clientID, of)
	}
	c.of = of
}
