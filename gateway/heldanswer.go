package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"mime"
	"net/http"
	"strconv"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// maxIntrospection is the size of an answer in bytes, at most.
const maxIntrospection = 256 << 10

var (
	errAnswerTooLarge = fmt.Errorf("the authorization server's answer is larger than the %d bytes that are read", maxIntrospection)
	errBrokeOff       = errors.New("the authorization server's answer broke off")
	errNotAnswered    = errors.New("the next handler has not answered")
)

// serveHeld passes a request on, and its answer back once look has seen, and perhaps
// changed, it. With look's error the answer goes nowhere, and neither does one that
// cannot be had whole: the refusal has the header fields that earlier handlers of the
// site have set, and none of the AS's.
func (q *request) serveHeld(next http.Handler, operation string, look func(*heldAnswer) error) {
	delete(q.r.Header, "Accept-Encoding") // an answer that is packed cannot be read
	delete(q.r.Header, "Upgrade")         // and neither can what follows a switch of protocols
	before := q.w.Header().Clone()
	held := &heldAnswer{w: q.w}
	err := q.passOn(held, q.r, next, func() bool { return held.status != 0 })
	switch {
	case held.tooLarge:
		err = incomplete(errAnswerTooLarge)
	case errors.Is(err, errBrokeOff):
		err = incomplete(err)
	case err != nil: // the host answers
		if held.status != 0 {
			setHeader(q.w, before)
		}
		return
	default:
		held.WriteHeader(http.StatusOK) // as of any handler that writes nothing
		err = look(held)
	}
	if err == nil {
		held.send()
		return
	}
	setHeader(q.w, before)
	if held.tooLarge {
		q.gateway.log.Error("cannot buffer an answer of the authorization server, because it is too large; make it shorter there, or have the server answer with an error",
			slog.String("path", q.r.URL.Path), slog.Int("max_bytes", maxIntrospection), slog.String("support_code", q.supportCode()))
	}
	q.refuseClient(operation, err)
}

func incomplete(cause error) error {
	return refusal.New(refusal.Unavailable, "authorization_server", "the authorization server's answer cannot be read; try again later").Because(cause)
}

// passOn is next. It gives errNotAnswered where next could not answer, and errBrokeOff where
// a proxy gives an answer up in the middle: the AS has ended it early, or w takes no more of
// it. The proxy panics then with http.ErrAbortHandler, which cuts the client's connection
// without an answer. While kept says that nothing of the answer has gone out, there can be one.
func (q *request) passOn(w http.ResponseWriter, r *http.Request, next http.Handler, kept func() bool) (err error) {
	defer func() {
		switch cause := recover(); {
		case cause == nil:
		case cause == any(http.ErrAbortHandler) && kept() && r.Context().Err() == nil: // else the client has gone
			err = errBrokeOff
		default:
			panic(cause)
		}
	}()
	next.ServeHTTP(w, r)
	if q.options().Host.Failed(r) {
		return errNotAnswered
	}
	return nil
}

// setHeader puts other header fields into the place of those of an answer.
func setHeader(w http.ResponseWriter, fields http.Header) {
	clear(w.Header())
	maps.Copy(w.Header(), fields)
}

// heldAnswer keeps an answer until it is decided on. Informational answers (1xx) before
// it, and trailers after it, are of nothing that was decided on, and go nowhere.
type heldAnswer struct {
	w      http.ResponseWriter
	status int // 0: none yet
	// header is as it was when the status came.
	header   http.Header
	body     bytes.Buffer
	tooLarge bool
}

func (a *heldAnswer) Header() http.Header { return a.w.Header() }

func (a *heldAnswer) WriteHeader(status int) {
	if a.status == 0 && status >= 200 {
		a.status, a.header = status, a.w.Header().Clone()
		a.header.Del("Trailer")
	}
}

// Write takes no more than maxIntrospection. Its error makes a proxy stop reading.
func (a *heldAnswer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.tooLarge = a.tooLarge || a.body.Len()+len(p) > maxIntrospection; a.tooLarge {
		return 0, errAnswerTooLarge
	}
	return a.body.Write(p)
}

// FlushError sends nothing: what is held is not decided on.
func (*heldAnswer) FlushError() error { return nil }

// claims are those of a JSON answer, or of a signed one (RFC 9701), whose sender the
// connection tells.
//
// Errors: for what makes no sense, and for a member of a token that has several values.
func (a *heldAnswer) claims() (claims strictjson.Object, err error) {
	if a.signed() {
		if claims, err = verify.UnverifiedAnswer(a.body.Bytes()); err != nil {
			return claims, err
		}
		var ok bool
		claims, ok, err = claims.Object("token_introspection")
		if err == nil && !ok {
			err = errors.New("token_introspection is missing")
		}
	} else {
		claims, err = strictjson.ParseAnswer(a.body.Bytes())
	}
	if err == nil {
		err = claims.Ambiguous(verify.TokenMembers)
	}
	return claims, err
}

// signed tells whether the answer is a JWT (RFC 9701 5).
func (a *heldAnswer) signed() bool {
	t, _, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	return err == nil && t == "application/token-introspection+jwt"
}

// replace puts another body into the answer's place.
func (a *heldAnswer) replace(body []byte) {
	for _, name := range []string{"Content-Encoding", "Etag", "Last-Modified", "Digest", "Content-Digest"} {
		a.header.Del(name)
	}
	a.header.Set("Content-Type", "application/json")
	a.header.Set("Content-Length", strconv.Itoa(len(body)))
	a.body = *bytes.NewBuffer(body)
}

// send passes the answer on. Whoever waits for it may have gone.
func (a *heldAnswer) send() {
	setHeader(a.w, a.header)
	a.w.WriteHeader(a.status)
	if a.body.Len() > 0 { // of a status that has none HTTP/2 takes not even nothing
		_, _ = a.w.Write(a.body.Bytes())
	}
}
