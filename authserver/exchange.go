package authserver

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// maxRetryAfter bounds what an AS may ask for.
const maxRetryAfter = time.Hour

// request is one exchange with the AS.
type request struct {
	method string
	// target is path and query.
	target string
	// contentType and body; no body, no type.
	contentType string
	body        []byte
	// authorization is the whole header field. Never logged.
	authorization string
	// headers are further ones: name, value, name, value.
	headers []string
	// secrets are what the request carries and nobody else may read.
	secrets []string
	// among is the family that it belongs to. Default: the exchanges about clients.
	among *family
	// of is the organisation that it is for; empty where that is WithSender's.
	of string
}

// reply is an answer and what is to be blanked in its words.
type reply struct {
	*jwks.Response
	secrets []string
}

// send carries out an exchange, unless the AS is known to be down. An answer of any
// status is no error.
//
// Errors: Unavailable; with registry.ErrLost in its chain when the request may
// have reached the AS, and then beside it what was read of an answer that broke off.
func (s *Server) send(ctx context.Context, q request) (*reply, error) {
	return cmp.Or(q.among, s.clients).do(s.share(ctx, q), func() (*reply, error) { return s.exchange(ctx, q) })
}

func (s *Server) exchange(ctx context.Context, q request) (*reply, error) {
	// A connection that was never had has carried nothing.
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
	r, err := http.NewRequestWithContext(ctx, q.method, s.origin.String()+q.target, bytes.NewReader(q.body))
	if err != nil {
		return nil, unavailable(err)
	}
	r.Header.Set("Accept", "application/json")
	if len(q.body) > 0 {
		r.Header.Set("Content-Type", q.contentType)
	} else {
		r.Body, r.GetBody, r.ContentLength = http.NoBody, nil, 0
	}
	if q.authorization != "" {
		r.Header.Set("Authorization", q.authorization)
	}
	for i := 0; i+1 < len(q.headers); i += 2 {
		r.Header.Set(q.headers[i], q.headers[i+1])
	}
	res, err := s.Client.Do(r)
	var answer *reply
	if res != nil {
		answer = &reply{res, append(q.secrets[:len(q.secrets):len(q.secrets)], s.Secrets...)}
	}
	switch {
	case err != nil && connected.Load():
		return answer, lost(err)
	case err != nil:
		return nil, unavailable(err)
	}
	return answer, nil
}

// path is path and query of a URL that the AS named, "" when it has none. Behind
// the configured origin anything but a slash would be another host.
func path(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" || !strings.HasPrefix(u.EscapedPath(), "/") {
		return ""
	}
	target := url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}
	return target.RequestURI()
}

func bearer(token string) string { return "Bearer " + token }

// basic is RFC 6749 2.3.1: both parts are form-encoded first.
func basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
}

// unavailable is an AS that certainly did nothing.
func unavailable(cause error) *refusal.Error {
	return refusal.New(refusal.Unavailable, "authorization_server", "the authorization server does not answer now; try again later").Because(cause)
}

// lost is an AS that may have done what it was asked.
func lost(cause error) *refusal.Error {
	return unavailable(fmt.Errorf("%w: %w", registry.ErrLost, cause))
}

// unusable says of which AS an answer, or a document, cannot be read; err names the member.
// The operator has to look there, and the TPP can mend nothing.
func (s *Server) unusable(what string, err error) error {
	return fmt.Errorf("%s of %s: %w", what, s.URL, err)
}

var errConfigured = errors.New("check the gateway's credentials at the authorization server")

// unexpected is the error of a status that means the same to every call.
func unexpected(res *reply) *refusal.Error {
	cause := fmt.Errorf("status %d, %s", res.Status, words(res))
	switch {
	case res.Status == http.StatusTooManyRequests, res.Status == http.StatusServiceUnavailable:
		// RFC 9110 15.6.4, RFC 6585 4: the request was not handled.
		e := unavailable(cause)
		if n, err := strconv.ParseUint(res.Header.Get("Retry-After"), 10, 31); err == nil {
			e.RetryAfter = min(time.Duration(n)*time.Second, maxRetryAfter)
		}
		return e
	case res.Status == http.StatusUnauthorized, res.Status == http.StatusForbidden:
		return unavailable(fmt.Errorf("%w: %w", errConfigured, cause))
	case res.Status >= 500, res.Status < 400:
		return lost(cause)
	}
	return unavailable(cause)
}

// maxWords is how much of an AS's error text is repeated.
const maxWords = 200

// words are error and error_description of an answer, cut. Some ASs repeat the
// token that they refuse, and these words go into the log.
func words(res *reply) string {
	code, description := oauthError(res)
	text := code
	if description != "" {
		text += ": " + description
	}
	if text == "" {
		return "no error text"
	}
	for _, secret := range res.secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	if len(text) > maxWords {
		text = text[:maxWords] + "..."
	}
	return text
}

// oauthError reads RFC 6749 5.2 and RFC 7591 3.2.2; what cannot be read is empty.
func oauthError(res *reply) (code, description string) {
	o, err := strictjson.ParseAnswer(res.Body)
	if err != nil {
		return "", ""
	}
	if code, _, err = o.String("error"); err != nil {
		return "", ""
	}
	if description, _, err = o.String("error_description"); err != nil {
		return code, ""
	}
	return code, description
}
