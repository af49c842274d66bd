package gateway

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// Bridge mode: a client has authenticated here, with its certificate, an assertion or a
// secret of the gateway's, and the gateway authenticates at the AS in its place, with a secret.

var errSecretRefused = errors.New("the authorization server refuses the secret that the gateway has for this client")

// maxSecrets is how many secrets one request is sent with: those of rotations that
// follow each other while it is on its way.
const maxSecrets = 4

// bridged is next for a client in bridge mode. An AS that refuses the secret may have
// been given another one meanwhile: then it is asked once more.
func (q *request) bridged(next http.Handler, c *registry.Client, form string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		before := w.Header().Clone()
		for try := 1; ; try++ {
			if err := authenticateAs(r, q.store, c, form); err != nil {
				q.refuseBridged(w, err)
				return
			}
			answer := &secretAnswer{ResponseWriter: w}
			err := q.passOn(answer, r, next, func() bool { return answer.refused != 0 })
			if answer.refused == 0 {
				return
			}
			setHeader(w, before)
			switch {
			case errors.Is(err, errNotAnswered): // the host answers
				return
			case err != nil && answer.refused == http.StatusForbidden: // nobody knows what it is about
				q.refuseBridged(w, err)
				return
			case err == nil && !answer.aboutSecret():
				answer.send()
				return
			}
			var newer *registry.Client
			if try < maxSecrets {
				if newer, err = q.store.NewerSecret(r.Context(), c); err != nil {
					q.refuseBridged(w, err)
					return
				}
			}
			if newer == nil {
				q.refusedSecret(w, c, answer)
				return
			}
			c, r = newer, q.options().Host.Again(r)
		}
	})
}

// refusedSecret ends a request whose sender was authenticated here and not at the AS.
// RFC 6749 5.2 has 401 for that alone; 403, which some servers answer instead, may be
// about something else and goes to the client.
func (q *request) refusedSecret(w http.ResponseWriter, c *registry.Client, a *secretAnswer) {
	if a.refused == http.StatusForbidden {
		a.send()
		return
	}
	q.gateway.log.Error("cannot authenticate a client at the authorization server, which rejects the client's secret; rotate the secret", slog.String("client_id", c.ClientID))
	q.refuseBridged(w, errSecretRefused)
}

// refuseBridged answers on w, which may hold answers back.
func (q *request) refuseBridged(w http.ResponseWriter, err error) {
	outer := q.w
	q.w = w
	q.refuseClient("bridge", refusal.New(refusal.Unavailable, "bridge", "the authorization server does not answer now; try again later").Because(err))
	q.w = outer
}

// authenticateAs puts the gateway's authentication as the client into the place of the
// client's own. Every other parameter stays as it was sent.
func authenticateAs(r *http.Request, store *registry.Registry, c *registry.Client, form string) error {
	secret, err := store.Secret(c)
	if err != nil {
		return err
	}
	authorization, parameters := authserver.AsClient(c.Bridge, c.ClientID, secret)
	delete(r.Header, "Authorization")
	if authorization != "" {
		r.Header["Authorization"] = []string{authorization}
	}
	form = verify.WithoutCredentials(form)
	if parameters != "" {
		if form = verify.WithoutClientID(form); form != "" {
			form += "&"
		}
		form += parameters
	}
	setForm(r, []byte(form))
	return nil
}

// setForm makes body the request's.
func setForm(r *http.Request, body []byte) {
	r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	if len(body) == 0 {
		r.Body = http.NoBody
	}
	if r.Header["Content-Length"] != nil {
		r.Header["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
}

// secretAnswer lets every answer pass but one that may be about the secret.
type secretAnswer struct {
	http.ResponseWriter
	// refused is the status of the answer that has not passed, header as it was then, body
	// what is kept of it, of size bytes so far.
	refused int
	header  http.Header
	body    bytes.Buffer
	size    int
}

// maxRefusal is how much of a refusal is held back.
const maxRefusal = 64 << 10

var errRefusalTooLarge = errors.New("the authorization server's refusal is larger than what is read of it")

func (a *secretAnswer) WriteHeader(status int) {
	switch {
	case a.refused != 0:
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		a.refused, a.header = status, a.Header().Clone()
		a.header.Del("Trailer") // what comes behind the body is not held back
	default:
		a.ResponseWriter.WriteHeader(status)
	}
}

// Write keeps nothing of a 401, whose status says it all. A 403 that is longer than any
// error of OAuth is about something else, and passes.
func (a *secretAnswer) Write(p []byte) (int, error) {
	if a.refused == 0 {
		return a.ResponseWriter.Write(p)
	}
	a.size += len(p)
	switch {
	case a.size <= maxRefusal && a.refused == http.StatusForbidden:
		return a.body.Write(p)
	case a.size <= maxRefusal:
		return len(p), nil
	case a.refused == http.StatusUnauthorized:
		return 0, errRefusalTooLarge // makes Caddy's proxy stop reading
	}
	a.send()
	a.refused = 0
	return a.ResponseWriter.Write(p)
}

// aboutSecret tells whether the answer may be about client authentication, of which a
// request that is sent again has used nothing up. A 403 that says something else is not.
func (a *secretAnswer) aboutSecret() bool {
	if a.refused != http.StatusForbidden || a.body.Len() == 0 {
		return true
	}
	o, err := strictjson.ParseAnswer(a.body.Bytes())
	if err != nil {
		return false
	}
	code, _, err := o.String("error")
	return err == nil && code == "invalid_client"
}

// send passes on what was held back. Whoever waits for it may have gone.
func (a *secretAnswer) send() {
	setHeader(a.ResponseWriter, a.header)
	a.ResponseWriter.WriteHeader(a.refused)
	if a.body.Len() > 0 {
		_, _ = a.ResponseWriter.Write(a.body.Bytes())
	}
}

// Unwrap is for http.ResponseController.
func (a *secretAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// ReadFrom is Write's, so that nobody goes round it.
func (a *secretAnswer) ReadFrom(from io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{a}, from)
}

// FlushError passes on what has passed.
func (a *secretAnswer) FlushError() error {
	if a.refused != 0 {
		return nil
	}
	return http.NewResponseController(a.ResponseWriter).Flush()
}

// errNotBridged is a client whose secret is the gateway's, and for which the gateway has
// none at the AS.
func errNotBridged() error {
	return refusal.New(refusal.Unavailable, "bridge", "the authorization server does not answer now; try again later").
		Because(errors.New("the client has a secret of the gateway's, and the registry has none of the authorization server's for it"))
}
