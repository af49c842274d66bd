package caddymodule

import (
	"bytes"
	"crypto/tls"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// certificateHeaders are the beginnings (lower case, dashes) of the names in which
// servers and load balancers carry a client's certificate, or what one says.
var certificateHeaders = []string{
	"x-forwarded-tls-client",         // Traefik
	"x-ssl-", "ssl-", "x-client-ssl", // nginx, Apache, HAProxy
	"x-amzn-mtls-", "x-tls-client", "x-subject-dn", "x-cert", "cert-",
	"$wscc", "$wssc", "$wsis", // WebSphere
}

// certificateWords make a certificate header of every name that has one of them:
// Client-Cert (RFC 9440), X-Forwarded-Client-Cert (Envoy), WL-Proxy-Client-Cert,
// X-ARR-ClientCert, CF-Client-Cert-Der-Base64, X-WSO2-Mutual-Auth-Cert and so on.
var certificateWords = []string{"client-cert", "clientcert", "mutual-auth", "mtls", "ssl-client", "sslclient", "client-dn", "client-s-dn", "client-verify"}

// ordinary names need no closer look: they are most of all headers.
var ordinary = map[string]bool{
	"Accept": true, "Accept-Encoding": true, "Accept-Language": true, "Authorization": true, "Cache-Control": true, "Connection": true,
	"Content-Length": true, "Content-Type": true, "Cookie": true, "Origin": true, "Referer": true, "User-Agent": true,
	"X-Fapi-Interaction-Id": true, "X-Forwarded-For": true,
}

// pathHeaders make some servers serve another path than the one that was checked.
var pathHeaders = []string{"x-original-ur", "x-rewrite-ur"}

// ownHeaders are the headers of the gateway that the configuration names: nobody else
// may send them.
type ownHeaders struct {
	names map[string]bool // folded
	// fromProxy: a load balancer may send certificates, and what was removed is looked at.
	fromProxy bool
}

func (o *ownHeaders) add(names ...string) {
	if o.names == nil {
		o.names = map[string]bool{}
	}
	for _, name := range names {
		o.names[dashed.Replace(strings.ToLower(name))] = true
	}
}

// isForged tells whether a header field from outside may pass for a certificate, for
// another path, or for a header of the gateway's own. Underscores and dots count as
// dashes: some servers read them so.
func (o *ownHeaders) isForged(name string) bool {
	if len(name) > maxHeaderName || ordinary[name] {
		return false
	}
	var buf [maxHeaderName]byte
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= 'A' && c <= 'Z':
			c |= 0x20
		case c == '_', c == '.':
			c = '-'
		}
		buf[i] = c
	}
	folded := buf[:len(name)]
	if o.names[string(folded)] {
		return true
	}
	for _, prefixes := range [][]string{certificateHeaders, pathHeaders} {
		for _, prefix := range prefixes {
			if len(folded) >= len(prefix) && string(folded[:len(prefix)]) == prefix {
				return true
			}
		}
	}
	for _, word := range certificateWords {
		if bytes.Contains(folded, []byte(word)) {
			return true
		}
	}
	return false
}

// maxHeaderName is the longest name that is looked at; no known one is near it.
const maxHeaderName = 96

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
func (o *ownHeaders) scrub(r *http.Request) (*http.Request, *scrubbed) {
	if before, ok := caddyhttp.GetVar(r.Context(), scrubbedVar).(*scrubbed); ok {
		return r, before
	}
	before := nothingKept
	if o.fromProxy {
		before = &scrubbed{header: map[string][]string{}, tls: r.TLS}
	}
	caddyhttp.SetVar(r.Context(), scrubbedVar, before)
	for name, values := range r.Header {
		if !o.isForged(name) {
			continue
		}
		if o.fromProxy {
			canonical := http.CanonicalHeaderKey(name)
			before.header[canonical] = append(before.header[canonical], values...)
		}
		delete(r.Header, name)
	}
	// The proxy removes, after this handler, what Connection names: a way to erase
	// the header that the gateway sets.
	for _, v := range r.Header["Connection"] {
		for token := range strings.SplitSeq(v, ",") {
			if o.isForged(strings.TrimSpace(token)) {
				keepConnection(r)
			}
		}
	}
	// A proxy that forwards an upgrade to h2c copies bytes that nobody guards.
	if u := r.Header["Upgrade"]; len(u) > 0 && (len(u) != 1 || !strings.EqualFold(u[0], "websocket")) {
		delete(r.Header, "Upgrade")
		delete(r.Header, "Http2-Settings")
		keepConnection(r)
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
func (h *Handler) dropClientIDHeader(r *http.Request) {
	own := h.AuthorizationServer.Provision.ClientIDHeader
	if own == "" {
		return
	}
	own = dashed.Replace(own)
	for name := range r.Header {
		if len(name) == len(own) && strings.EqualFold(dashed.Replace(name), own) {
			delete(r.Header, name)
		}
	}
}

// dashed is a header's name as servers read it that take other characters for dashes.
var dashed = strings.NewReplacer("_", "-", ".", "-")

// keepConnection leaves in Connection only what concerns the connection itself.
func keepConnection(r *http.Request) {
	var keep []string
	for _, v := range r.Header["Connection"] {
		for token := range strings.SplitSeq(v, ",") {
			switch token = strings.ToLower(strings.TrimSpace(token)); token {
			case "close", "keep-alive", "upgrade":
				keep = append(keep, token)
			}
		}
	}
	if len(keep) == 0 {
		delete(r.Header, "Connection")
		return
	}
	r.Header["Connection"] = []string{strings.Join(keep, ", ")}
}
