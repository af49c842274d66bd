package caddymodule

import (
	"bytes"
	"errors"
	"mime"
	"net/http"
	"strconv"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// maxIntrospection is the size of an answer in bytes, at most.
const maxIntrospection = 256 << 10

// serveHeld passes a request on, and its answer back once look has seen, and perhaps
// changed, it. With look's error the answer goes nowhere.
func (h *Handler) serveHeld(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, operation string, look func(*heldAnswer) error) error {
	delete(r.Header, "Accept-Encoding") // an answer that is packed cannot be read
	held := &heldAnswer{w: w}
	if err := next.ServeHTTP(held, r); err != nil {
		return err
	}
	if err := look(held); err != nil {
		clear(w.Header())
		h.guardExchange(w, r, operation).refuse(err)
		return nil
	}
	return held.send()
}

// heldAnswer keeps an answer until it is decided on.
type heldAnswer struct {
	w      http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (a *heldAnswer) Header() http.Header { return a.w.Header() }

func (a *heldAnswer) WriteHeader(status int) {
	if a.status == 0 && status >= 200 { // what is below is not yet the answer
		a.status = status
	}
}

var errAnswerTooLarge = errors.New("the authorization server's answer is too large")

// Write takes no more than maxIntrospection.
func (a *heldAnswer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.body.Len()+len(p) > maxIntrospection {
		return 0, errAnswerTooLarge
	}
	return a.body.Write(p)
}

// claims are those of a JSON answer, or of a signed one (RFC 9701), whose sender the
// connection tells.
func (a *heldAnswer) claims() (verify.Object, error) {
	if t, _, err := mime.ParseMediaType(a.Header().Get("Content-Type")); err == nil && t == "application/token-introspection+jwt" {
		claims, err := verify.UnverifiedClaims(a.body.Bytes())
		if err != nil {
			return claims, err
		}
		claims, ok, err := claims.Object("token_introspection")
		if err == nil && !ok {
			err = errors.New("no token_introspection")
		}
		return claims, err
	}
	return verify.ParseObject(a.body.Bytes())
}

// replace puts another body into the answer's place.
func (a *heldAnswer) replace(body []byte) {
	for _, name := range []string{"Content-Encoding", "Etag", "Last-Modified", "Digest", "Content-Digest"} {
		a.Header().Del(name)
	}
	a.Header().Set("Content-Type", "application/json")
	a.Header().Set("Content-Length", strconv.Itoa(len(body)))
	a.body = *bytes.NewBuffer(body)
}

func (a *heldAnswer) send() error {
	if a.status != 0 {
		a.w.WriteHeader(a.status)
	}
	_, err := a.w.Write(a.body.Bytes())
	return err
}
