package gateway

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// ServeHTTP answers what is the gateway's and passes the rest on.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := checkTarget(r); err != nil {
		g.refuseTarget(w, r, nil, err)
		return
	}
	r, before := g.options.Headers.scrub(g.options.Host, r)
	if g.options.Headers.FromProxy {
		r = g.withProxyCertificate(r, before)
	}
	g.dropClientIDHeader(r)
	path := r.URL.EscapedPath()
	// Before the AS's endpoints are known, nothing of the site is passed on: they may
	// be anywhere. Later this is a look at the clock; documents are renewed in the background.
	t, err := g.current(r.Context())
	if err != nil {
		g.newRequest(w, r, nil, passThrough).refuse("wait", err)
		return
	}
	what, id := t.find(path)
	if err := checkPassed(r, what); err != nil {
		g.refuseTarget(w, r, t, err)
		return
	}
	if what != passThrough || Within(path, g.options.IssuerPath) {
		g.addSharedHeader(r)
	}
	if what == passThrough || what == named {
		g.next.ServeHTTP(w, r)
		return
	}
	q := g.newRequest(w, r, t, what)
	defer q.leave()
	q.serve(path, id)
}

// serve serves what is the gateway's, or checked by it.
func (q *request) serve(path, id string) {
	next := q.gateway.next
	switch q.purpose {
	case discovery:
		q.serveDiscovery(next)
	case registrations, registration:
		q.serveRegistration(id)
	case hidden:
		q.refuse("hidden", refusal.New(refusal.NotFound, "path", "nothing is served at this address; the discovery document names those that there are"))
	case clientAuthentication, revocation, introspection:
		if next = q.checkedToken(next, q.table.checksAt(path)&^checksForm); next != nil {
			q.serveGuarded(next)
		}
	case endpoint:
		q.serveEndpoint(next, q.table.checksAt(path))
	}
}

// refuseTarget answers a request that no address of the site is for.
func (g *Gateway) refuseTarget(w http.ResponseWriter, r *http.Request, t *table, err error) {
	if refusal.From(err).Kind == refusal.MethodNotAllowed {
		w.Header().Set("Allow", allowed)
	}
	g.newRequest(w, r, t, passThrough).refuse("target", err)
}

// current is the table of the newest discovery document.
func (g *Gateway) current(ctx context.Context) (*table, error) {
	m, err := g.options.Server.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	before := g.table.Load()
	if before != nil && before.metadata == m {
		return before, nil
	}
	t := g.newTable(m)
	t.keep(before)
	register := g.options.registerURL(m.Issuer)
	if g.options.RegistrationClosed {
		register = ""
	}
	t.document = m.Publish(Origin(m.Issuer), g.options.MTLSOrigin, register)
	sum := sha256.Sum256(t.document)
	t.tag = `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	if g.table.CompareAndSwap(before, t) {
		g.warnUnchecked(before, t)
	}
	return t, nil
}

func (o *Options) registerURL(issuer string) string {
	return RegisterURL(o.MTLSOrigin, issuer, o.RegisterPath)
}

// RegisterURL is where clients register: at mtlsOrigin, or without one at the origin of the
// issuer. That needs a certificate, and tools do not look for an alias of it.
func RegisterURL(mtlsOrigin, issuer, path string) string {
	return cmp.Or(mtlsOrigin, Origin(issuer)) + path
}

// serveDiscovery serves the published document.
func (q *request) serveDiscovery(next http.Handler) {
	switch q.r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodOptions:
		next.ServeHTTP(q.w, q.r) // CORS as the AS has it
		return
	default:
		q.w.Header().Set("Allow", "GET, HEAD")
		q.refuse("discovery", refusal.New(refusal.MethodNotAllowed, "method", "method: not one of this address; read the discovery document with GET"))
		return
	}
	q.gateway.checkHost(q.table, q.r.Host)
	header := q.w.Header()
	header["Content-Type"] = []string{"application/json"}
	header["Cache-Control"] = []string{"public, max-age=300"}
	header["Access-Control-Allow-Origin"] = []string{"*"}
	header["Etag"] = []string{q.table.tag}
	if isTag(q.r.Header["If-None-Match"], q.table.tag) {
		q.w.WriteHeader(http.StatusNotModified)
		return
	}
	q.w.WriteHeader(http.StatusOK)
	if q.r.Method != http.MethodHead {
		_, _ = q.w.Write(q.table.document) // whoever has asked may have gone
	}
}

// isTag tells whether If-None-Match names an entity tag, weak or not (RFC 9110 13.1.2).
func isTag(fields []string, tag string) bool {
	for _, field := range fields {
		for one := range strings.SplitSeq(field, ",") {
			if one = strings.TrimSpace(one); one == "*" || strings.TrimPrefix(one, "W/") == tag {
				return true
			}
		}
	}
	return false
}

// checkHost warns, once for each document, when it is asked for at another host
// than the issuer's: software looks for it under the issuer alone (RFC 8414 3.3),
// and the addresses in it would lead round this gateway.
func (g *Gateway) checkHost(t *table, host string) {
	at := strings.TrimSuffix("https://"+strings.ToLower(host), ":443")
	if at == strings.TrimSuffix(Origin(t.metadata.Issuer), ":443") || at == strings.TrimSuffix(g.options.MTLSOrigin, ":443") {
		return
	}
	t.elsewhere.Do(func() {
		g.log.Warn("serves discovery at another host than the issuer's; make the public URL of this site the authorization server's issuer",
			slog.String("issuer", t.metadata.Issuer), slog.String("host", refusal.ForLog(host)))
	})
}

// bodyTimeout is how long a body may take to arrive.
const bodyTimeout = 15 * time.Second

var (
	errTooLarge = errors.New("too large")
	errBody     = errors.New("the body did not arrive whole in time")
)

// readBody reads a bounded body in bounded time.
func readBody(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	if r.ContentLength > most {
		return nil, errTooLarge
	}
	// A server that knows no deadlines has its own.
	control := http.NewResponseController(w)
	err := control.SetReadDeadline(time.Now().Add(bodyTimeout))
	if err == nil {
		defer func() { err = control.SetReadDeadline(time.Time{}) }()
	} else if !errors.Is(err, http.ErrNotSupported) {
		return nil, errBody
	}
	var buffer bytes.Buffer
	if r.ContentLength > 0 {
		buffer.Grow(int(r.ContentLength) + bytes.MinRead) // no more than most, see above
	}
	_, err = buffer.ReadFrom(io.LimitReader(r.Body, most+1))
	body := buffer.Bytes()
	switch {
	case int64(len(body)) > most:
		return nil, errTooLarge
	case err != nil:
		return nil, errors.Join(errBody, err)
	}
	return body, nil
}

// mediaType is the media type of the body without parameters, "" when it cannot be read.
func mediaType(r *http.Request) string {
	if len(r.Header["Content-Type"]) != 1 {
		return ""
	}
	t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return t
}
