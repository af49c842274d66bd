package gateway

import (
	"crypto/tls"
	"net/http"
	"slices"
	"strings"
)

// scrubbed is what a request came with before its headers were cleaned, for the
// workspaces of its site: the second must leave alone what the first has set, and see
// the certificate of the connection, not one that the first has taken from a proxy.
type scrubbed struct {
	header map[string][]string // what was removed, by canonical name
	tls    *tls.ConnectionState
}

// nothingKept is of a request of which nobody looks at what was removed.
var nothingKept = new(scrubbed)

const scrubbedVar = "openbanking_dcr.scrubbed"

// scrub removes everything from outside that could pass for a certificate, and
// returns the request to go on with: one without trailers, which Caddy's proxy
// would forward. It does so once per request.
func (o *HeaderFilter) scrub(host Host, r *http.Request) (*http.Request, *scrubbed) {
	if before, ok := host.Value(r, scrubbedVar).(*scrubbed); ok {
		return r, before
	}
	before := nothingKept
	if o.FromProxy {
		before = &scrubbed{header: map[string][]string{}, tls: r.TLS}
	}
	host.SetValue(r, scrubbedVar, before)
	for name, values := range r.Header {
		if !o.isForged(name) {
			continue
		}
		if o.FromProxy {
			canonical := http.CanonicalHeaderKey(name)
			before.header[canonical] = append(before.header[canonical], values...)
		}
		delete(r.Header, name)
	}
	// The proxy removes, after this handler, what Connection names: a way to erase
	// a header that was checked, or that the gateway sets.
	keepConnection(r)
	// A proxy that forwards an upgrade to h2c copies bytes that nobody guards.
	if u := r.Header["Upgrade"]; len(u) > 0 && (len(u) != 1 || !strings.EqualFold(u[0], "websocket")) {
		delete(r.Header, "Upgrade")
		delete(r.Header, "Http2-Settings")
	}
	if r.Trailer != nil || r.ContentLength < 0 {
		clone := *r
		clone.Trailer = nil
		return &clone, before
	}
	return r, before
}

// dropClientIDHeader removes client_id_header: with it whoever reaches the AS's own
// registration (as_registration passthrough) could choose the client_id of a client
// of the registry, and an AS that honours the header replaces that client.
func (g *Gateway) dropClientIDHeader(r *http.Request) {
	own := g.options.ClientIDHeader
	if own == "" {
		return
	}
	own = foldedHeader(own)
	for name := range r.Header {
		if len(name) == len(own) && foldedHeader(name) == own {
			delete(r.Header, name)
		}
	}
}

// connectionOptions are those that concern the connection itself.
var connectionOptions = []string{"close", "keep-alive", "upgrade"}

// keepConnection leaves only these in Connection, each once.
func keepConnection(r *http.Request) {
	if len(r.Header["Connection"]) == 0 {
		return
	}
	var keep []string
	for _, v := range r.Header["Connection"] {
		for token := range strings.SplitSeq(v, ",") {
			token = strings.TrimSpace(token)
			i := slices.IndexFunc(connectionOptions, func(o string) bool { return strings.EqualFold(o, token) })
			if i >= 0 && !slices.Contains(keep, connectionOptions[i]) {
				keep = append(keep, connectionOptions[i])
			}
		}
	}
	if len(keep) == 0 {
		delete(r.Header, "Connection")
		return
	}
	r.Header["Connection"] = []string{strings.Join(keep, ", ")}
}
