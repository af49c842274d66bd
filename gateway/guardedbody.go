package gateway

import (
	"errors"
	"net/http"
	"regexp"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// Bodies of requests to the endpoints of the AS where clients authenticate, or users or
// tokens are looked at.

// guardRefusals counts since the process began, over reloads.
var guardRefusals = prometheus.NewCounterVec(prometheus.CounterOpts{
	Name: "caddy_openbanking_dcr_guard_refusals_total",
	Help: "Requests that were refused at the endpoints of the authorization server where clients authenticate, by the rule that refused them.",
}, []string{"workspace", "reason"})

// readForm reads the form body and puts it back byte for byte. A body that the
// gateway cannot read in the one way that OAuth knows, the AS must not read in another.
func (q *request) readForm() (string, error) {
	body, err := q.keepBody()
	if err != nil || len(body) == 0 {
		return "", err
	}
	if err := notForm(q.r.Header); err != nil {
		return "", err
	}
	return string(body), nil
}

// keepBody reads the body and puts it back.
func (q *request) keepBody() ([]byte, error) {
	if q.r.Body == nil || q.r.Body == http.NoBody {
		return nil, nil
	}
	body, err := readBody(q.w, q.r, verify.MaxForm)
	switch {
	case errors.Is(err, errTooLarge):
		return nil, refusal.New(refusal.TooLarge, "size", "the request is larger than the %d bytes that are read; send less", verify.MaxForm)
	case err != nil:
		return nil, refusal.New(refusal.MalformedRequest, "body", "the request did not arrive whole in time; send it again").Because(err)
	}
	setForm(q.r, body)
	return body, nil
}

const formType = "application/x-www-form-urlencoded"

// formTypes are the ways to write it that all servers read alike, in the one character
// set that OAuth has (RFC 6749 appendix B): in another, client_id could be spelt without
// these letters.
var formTypes = regexp.MustCompile(`(?i)^application/x-www-form-urlencoded *(; *charset=(utf-8|"utf-8") *)?;?$`)

// isForm tells whether the body is a form, as OAuth knows it.
func isForm(r *http.Request) bool { return notForm(r.Header) == nil }

// notForm says by which rule a body is none, and nil for a form.
func notForm(header http.Header) error {
	t, encodings := header["Content-Type"], header["Content-Encoding"]
	if len(encodings) == 0 && len(t) == 1 && (t[0] == formType || formTypes.MatchString(t[0])) {
		return nil
	}
	switch written := refusal.Quote(strings.Join(t, ", ")); {
	case len(encodings) > 0:
		return refusal.New(refusal.UnsupportedMediaType, "content_encoding", "Content-Encoding: %s; send the form as it is, without this header", refusal.Quote(strings.Join(encodings, ", ")))
	case len(t) == 0:
		return refusal.New(refusal.UnsupportedMediaType, "media_type", "Content-Type: missing; this endpoint takes %s", formType)
	case len(t) == 1 && strings.HasPrefix(strings.ToLower(t[0]), formType):
		return refusal.New(refusal.UnsupportedMediaType, "charset", "Content-Type: %s; this endpoint takes %s in UTF-8, with no other parameter than charset=utf-8", written, formType)
	default:
		return refusal.New(refusal.UnsupportedMediaType, "media_type", "Content-Type: %s; this endpoint takes %s", written, formType)
	}
}

// readGuardedBody is readForm where clients authenticate. There other bodies may pass
// (PassOtherBodies): other says that this is one, and form is what it stands for. The registry
// must not know who sends it.
func (q *request) readGuardedBody() (form string, other bool, err error) {
	body, err := q.keepBody()
	if err != nil || len(body) == 0 {
		return "", false, err
	}
	refused := notForm(q.r.Header)
	if refused == nil {
		return string(body), false, nil
	}
	form, ok := readOtherBody(q.r.Header, body)
	if !q.options().PassOtherBodies || !ok || !verify.AuthenticatesByBasicAlone(q.r.Header["Authorization"], q.r.URL.RawQuery, form) {
		return "", false, refused
	}
	return form, true, nil
}

// jsonTypes and plainTypes are the media types of the other bodies that can be read whole:
// JSON, and forms in a character set in which ASCII means itself.
var (
	jsonTypes  = regexp.MustCompile(`(?i)^application/json *(; *charset=(utf-8|"utf-8") *)?;?$`)
	plainTypes = regexp.MustCompile(`(?i)^application/x-www-form-urlencoded *; *charset="?(us-ascii|iso-8859-1|iso-8859-15|windows-1252)"? *;?$`)
)

// readOtherBody is the form that a body stands for. In any other body, packed ones too, the
// AS could find a client that the gateway does not.
func readOtherBody(header http.Header, body []byte) (form string, ok bool) {
	t := header["Content-Type"]
	switch {
	case len(header["Content-Encoding"]) > 0 || len(t) != 1:
		return "", false
	case plainTypes.MatchString(t[0]):
		return string(body), true
	case jsonTypes.MatchString(t[0]):
		form, err := verify.FormOfJSON(body)
		return form, err == nil
	}
	return "", false
}

// showsCertificate tells whether the AS learns of the client's certificate. With another body
// it does not: whatever it may read there, nobody is authenticated by a certificate.
func (q *request) showsCertificate() bool {
	return (!q.options().PassOtherBodies || q.r.ContentLength == 0 || isForm(q.r)) && q.checkedAgainstCRLs()
}
