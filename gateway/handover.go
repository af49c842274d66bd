package gateway

import (
	"crypto/x509"
	"net/http"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// What the gateway tells the AS about a connection: the client's certificate, and that
// the request comes through the gateway.

// encoded spares the encoding (14 us) on a connection that is kept: a connection's
// certificate is always the same pointer.
type encoded struct {
	leaf *x509.Certificate
	as   verify.CertificateHeader
}

var encodedCertificates = newCertificateCache()

// maxEncoded bounds the memory: about 3 KiB each.
const maxEncoded = 2048

func newCertificateCache() *lru.Cache[encoded, []string] {
	c, err := lru.New[encoded, []string](maxEncoded)
	if err != nil {
		return nil // only for a size below 1
	}
	return c
}

// handOver hands the verified certificate on, in the form that the AS expects.
func handOver(r *http.Request, as verify.CertificateHeader, now time.Time) {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || len(r.TLS.VerifiedChains[0]) == 0 {
		return
	}
	chain := r.TLS.VerifiedChains[0]
	if now.After(chain[0].NotAfter) {
		return // it ended during the connection
	}
	key := encoded{chain[0], as}
	fields, ok := encodedCertificates.Get(key)
	if !ok {
		var intermediates [][]byte
		for i := 1; i < len(chain)-1; i++ { // without the root, which the AS has or does not trust
			intermediates = append(intermediates, chain[i].Raw)
		}
		fields = as.Write(chain[0].Raw, intermediates...)
		encodedCertificates.Add(key, fields)
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header[fields[i]] = []string{fields[i+1]} // later handlers of the site change values in place
	}
}

// addSharedHeader marks a request as one that comes through the gateway, where the AS knows it
// by that.
func (g *Gateway) addSharedHeader(r *http.Request) {
	if s := &g.options.SharedHeader; s.Name != "" {
		r.Header[s.Name] = []string{s.Value}
	}
}
