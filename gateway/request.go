package gateway

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/google/uuid"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/trace"
)

// request is one request that the gateway answers, or checks before it goes on: what is
// resolved once for all of it. It is the context of r too: every layer of context more
// would cost each request, and each look into it further in.
type request struct {
	context.Context
	gateway *Gateway
	w       http.ResponseWriter
	r       *http.Request
	// table is what is known of the site's paths, with the discovery document that counts for
	// the whole request; nil where none is known. purpose is what its path is for.
	table   *table
	purpose purpose
	// store is the registry, nil before it was entered.
	store *registry.Registry
	// cert is the client's certificate, absent why there is none that counts; captured says
	// that both are known.
	cert     *verify.Certificate
	absent   error
	captured bool
	// day is that of captured, see registry.DayOf. It takes no room beside captured.
	day int32
	// operation is what the log calls the request, fields is what its line says. support is
	// its support code, empty before anybody has needed one.
	operation, support string
	fields             []slog.Attr
	// trace is what was checked so far, nil where nobody will ask.
	trace guardTrace
	// caller is who sends it to an endpoint of the AS.
	caller caller
	// authenticates: a refusal is one of client authentication. page: a person reads it, in a
	// browser. refused: there was one.
	authenticates, page, refused bool
}

// newRequest is a request all of which sees one discovery document. Another may become known
// while its body is on its way: then half of it would be judged by either.
func (g *Gateway) newRequest(w http.ResponseWriter, r *http.Request, t *table, what purpose) *request {
	q := &request{Context: r.Context(), gateway: g, w: w, table: t, purpose: what}
	q.r = r.WithContext(q)
	if g.options.Explain && guardOperations[what] != "" {
		q.trace.Trace = new(trace.Trace)
	}
	return q
}

// Value is that of the request's own context, and the discovery document for the connector
// to the AS.
func (q *request) Value(key any) any {
	if key, ok := key.(authserver.MetadataKey); ok && q.table != nil && key.Server == q.gateway.options.Server {
		return q.table.metadata
	}
	return q.Context.Value(key)
}

func (q *request) options() *Options { return &q.gateway.options }

// enter holds the registry open until leave.
func (q *request) enter() (*registry.Registry, error) {
	if q.store != nil {
		return q.store, nil
	}
	store, err := q.options().Stores.Enter()
	if err == nil {
		q.store = store
	}
	return store, err
}

func (q *request) leave() {
	if q.store != nil {
		q.store = nil
		q.options().Stores.Leave()
	}
}

// certificate captures the client's certificate. absent is why there is none that counts.
func (q *request) certificate() (cert *verify.Certificate, absent error) {
	if !q.captured {
		now := q.gateway.now()
		q.captured, q.day = true, int32(registry.DayOf(now))
		q.cert, q.absent = captureCertificate(q.r.TLS, now)
	}
	return q.cert, q.absent
}

// sender is whose requests are counted together: a certificate's, or without
// certificates an address's.
func (q *request) sender(cert *verify.Certificate) string {
	if cert != nil {
		return cert.Thumbprint
	}
	return NetworkOf(q.options().Host.ClientIP(q.r))
}

// holder is whose requests share what one TPP may have at once, as long as nobody knows
// the organisation: the one that the certificate names, which may have many certificates,
// or else sender.
func (q *request) holder(cert *verify.Certificate) string {
	if id := cert.Holder(); id != "" {
		return "organizationIdentifier " + id
	}
	return "sender " + q.sender(cert)
}

// interactionID finds a request in the log again (FAPI 1 Baseline 6.2.1).
const interactionID = "x-fapi-interaction-id"

// supportCode is the request's interaction id, letter for letter: its sender will look for
// nothing else. What is not exactly one UUID is replaced.
func (q *request) supportCode() string {
	if q.support == "" {
		q.support = sentSupportCode(q.r)
	}
	if q.support == "" {
		q.support = uuid.NewString()
	}
	return q.support
}

// sentSupportCode is empty for none.
func sentSupportCode(r *http.Request) string {
	sent := r.Header.Values(interactionID)
	if len(sent) == 1 && len(sent[0]) == 36 && uuid.Validate(sent[0]) == nil {
		return sent[0]
	}
	return ""
}

// note adds to the log line.
func (q *request) note(key, value string) { q.fields = append(q.fields, slog.String(key, value)) }
