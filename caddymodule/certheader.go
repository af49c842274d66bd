package caddymodule

import (
	"bytes"
	"crypto/x509"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/caddy-dcr/caddy-dcr/authserver"
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

// isForged tells whether a header field from outside may pass for a certificate,
// or for another path. Underscores and dots count as dashes: some servers read them so.
func isForged(name string) bool {
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

// scrubbed marks a request whose headers were cleaned, for a second workspace on
// the same site: it must leave alone what the first has set.
const scrubbed = "openbanking_dcr.scrubbed"

// scrub removes everything from outside that could pass for a certificate, and
// returns the request to go on with: one without trailers, which Caddy's proxy
// would forward. It does so once per request.
func scrub(r *http.Request) *http.Request {
	if caddyhttp.GetVar(r.Context(), scrubbed) != nil {
		return r
	}
	caddyhttp.SetVar(r.Context(), scrubbed, true)
	for name := range r.Header {
		if isForged(name) {
			delete(r.Header, name)
		}
	}
	// The proxy removes, after this handler, what Connection names: a way to erase
	// the header that the gateway sets.
	for _, v := range r.Header["Connection"] {
		for token := range strings.SplitSeq(v, ",") {
			if isForged(strings.TrimSpace(token)) {
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
		return &clone
	}
	return r
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

// encodedCertificates spares the encoding (14 us) on a connection that is kept:
// a connection's certificate is always the same pointer.
var encodedCertificates = newCertificateCache()

// maxEncoded bounds the memory: about 3 KiB each.
const maxEncoded = 2048

func newCertificateCache() *lru.Cache[*x509.Certificate, string] {
	c, err := lru.New[*x509.Certificate, string](maxEncoded)
	if err != nil {
		return nil // only for a size below 1
	}
	return c
}

// setClientCert hands the verified certificate on.
func setClientCert(r *http.Request, now time.Time) {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || len(r.TLS.VerifiedChains[0]) == 0 {
		return
	}
	leaf := r.TLS.VerifiedChains[0][0]
	if now.After(leaf.NotAfter) {
		return // it ended during the connection
	}
	value, ok := encodedCertificates.Get(leaf)
	if !ok {
		value = authserver.ClientCert(leaf.Raw)
		encodedCertificates.Add(leaf, value)
	}
	r.Header[authserver.ClientCertHeader] = []string{value}
}
