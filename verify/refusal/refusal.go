// Package refusal has the one table of what can be wrong with a request: its kinds, and
// the status and error code of each. A refusal says what a TPP is told, and keeps apart
// what the log alone is told.
package refusal

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Kind is one row of the error table: what went wrong, as far as the answer
// to the TPP tells cases apart.
type Kind uint8

// The rows of the error table, in the order of RFC 7591 3.2.2 and RFC 6750 3.1.
const (
	// InvalidClientMetadata: the request JWS or a claim in it is not acceptable.
	InvalidClientMetadata Kind = iota + 1
	// InvalidRedirectURI: a redirect URI is malformed or not in the SSA.
	InvalidRedirectURI
	// InvalidSoftwareStatement: no SSA, or one that does not verify.
	InvalidSoftwareStatement
	// UnapprovedSoftwareStatement: an SSA of an issuer that is not configured, or one that the bank does not accept.
	UnapprovedSoftwareStatement
	// NoCertificate: no client certificate that Caddy verified.
	NoCertificate
	// NoToken: no access token at all; the challenge carries no error code (RFC 6750 3.1).
	NoToken
	// InvalidToken: an access token that is bad, used up, or not this client's.
	InvalidToken
	// InsufficientScope: a valid token without the scope dcr_register.
	InsufficientScope
	// AccessDenied: the operator switched this off.
	AccessDenied
	// InvalidClient: client authentication at the token endpoint failed (RFC 6749 5.2).
	InvalidClient
	// MalformedRequest: a request that the token endpoint guard cannot read unambiguously (RFC 6749 5.2).
	MalformedRequest
	// TooLarge: the body exceeds its limit.
	TooLarge
	// TooManyRequests: somebody asks more often than the operator lets them.
	TooManyRequests
	// UnsupportedMediaType: not the media type that this endpoint takes.
	UnsupportedMediaType
	// MethodNotAllowed: a verb that the endpoint does not have.
	MethodNotAllowed
	// NotFound: nothing is served under this path.
	NotFound
	// Misdirected: a request for another host than the one that it was sent to (RFC 9110 15.5.20).
	Misdirected
	// Unavailable: the AS, the directory or the registry does not answer, or not with sense.
	Unavailable
)

// errorTable is the only place where a kind becomes a status and a code.
var errorTable = [...]struct {
	status int
	code   string
	name   string
}{
	InvalidClientMetadata:       {400, "invalid_client_metadata", "request"},
	InvalidRedirectURI:          {400, "invalid_redirect_uri", "redirect_uris"},
	InvalidSoftwareStatement:    {400, "invalid_software_statement", "software_statement"},
	UnapprovedSoftwareStatement: {400, "unapproved_software_statement", "software_statement"},
	NoCertificate:               {401, "invalid_client", "client_certificate"},
	NoToken:                     {401, "invalid_token", "access_token"},
	InvalidToken:                {401, "invalid_token", "access_token"},
	InsufficientScope:           {403, "insufficient_scope", "access_token"},
	AccessDenied:                {403, "access_denied", "switch"},
	InvalidClient:               {401, "invalid_client", "client_authentication"},
	MalformedRequest:            {400, "invalid_request", "request"},
	TooLarge:                    {413, "invalid_request", "size"},
	TooManyRequests:             {429, "invalid_request", "rate_limit"},
	UnsupportedMediaType:        {415, "invalid_request", "media_type"},
	MethodNotAllowed:            {405, "invalid_request", "method"},
	NotFound:                    {404, "invalid_request", "path"},
	Misdirected:                 {421, "invalid_request", "target"},
	Unavailable:                 {503, "temporarily_unavailable", "dependency"},
}

// MaxDescription is the length of an error_description in bytes, at most.
const MaxDescription = 500

// DefaultRetryAfter is the Retry-After of an Unavailable error that names none.
const DefaultRetryAfter = 5 * time.Second

// Error is a refusal: what the TPP is told, and what only the log is told.
type Error struct {
	// Kind selects status and code.
	Kind Kind
	// Rule is the claim, header or rule that was broken, for logs and metrics.
	// Default: the kind's own name.
	Rule string
	// Description is told to the TPP: it names the claim, what was found and
	// how to mend it. Never a key, a token, an address.
	Description string
	// RetryAfter is sent with an Unavailable or a TooManyRequests error. Default: DefaultRetryAfter.
	RetryAfter time.Duration
	// Cause is for the log only.
	Cause error
}

// New makes an Error. The arguments of format that come from outside are
// quoted with Quote, so that descriptions stay bounded and ASCII. %w takes an
// error whose text is made for the TPP too.
func New(kind Kind, rule, format string, args ...any) *Error {
	return &Error{Kind: kind, Rule: rule, Description: clean(fmt.Errorf(format, args...).Error())}
}

// Advise is the text of an error for a TPP: what was found, and after a semicolon
// how to mend it, where the error does not say that itself.
func Advise(err error, how string) string {
	text := err.Error()
	if strings.Contains(text, "; ") {
		return text
	}
	return text + "; " + how
}

// Because returns e with the cause that only the log shows.
func (e *Error) Because(cause error) *Error {
	e.Cause = cause
	return e
}

// Error is the text for logs: code, rule, description, cause.
func (e *Error) Error() string {
	s := e.Code() + " (" + e.RuleName() + "): " + e.Description
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

// Unwrap gives errors.Is and errors.As the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Status is the HTTP status of the answer.
func (e *Error) Status() int { return errorTable[e.Kind].status }

// Code is the error code of the answer.
func (e *Error) Code() string { return e.Kind.Code() }

// Code is the error code of an answer of this kind (RFC 7591 3.2.2, RFC 6750 3.1,
// RFC 6749 5.2).
func (k Kind) Code() string { return errorTable[k].code }

// RuleName is the broken rule, or the kind's own name.
func (e *Error) RuleName() string {
	if e.Rule != "" {
		return e.Rule
	}
	return errorTable[e.Kind].name
}

// Challenge is the WWW-Authenticate value of a 401 or 403 of a DCR endpoint,
// or "" for every other status. A request without a token is told no error
// code (RFC 6750 3.1), and neither is one without a certificate.
// scope is what a token without it must ask for (RFC 6750 3.1).
func (e *Error) Challenge(realm, scope string) string {
	if s := e.Status(); s != 401 && s != 403 {
		return ""
	}
	v := `Bearer realm="` + quotable(realm) + `"`
	switch e.Kind {
	case InvalidToken:
		v += `, error="invalid_token"`
	case InsufficientScope:
		v += `, error="insufficient_scope", scope="` + scope + `"`
	}
	return v
}

// ClientChallenge is the WWW-Authenticate value of a 401 at an endpoint where clients
// authenticate: in the scheme that the client has used (RFC 6749 5.2), which can only
// be Basic. authorization is the request's.
func (e *Error) ClientChallenge(realm, authorization string) string {
	scheme, _, _ := strings.Cut(authorization, " ")
	if e.Status() != 401 || !strings.EqualFold(scheme, "Basic") {
		return ""
	}
	return `Basic realm="` + quotable(realm) + `"`
}

// quotable is a realm within quotes.
func quotable(realm string) string {
	return clean(strings.NewReplacer(`"`, "", `\`, "").Replace(realm))
}

// From returns err as an *Error. What is none is a fault on our side, told
// to the TPP as temporarily unavailable and to the log as it is.
func From(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return New(Unavailable, "", "the registration service cannot answer now; try again later").Because(err)
}

// Quote renders a value from outside for a description: ASCII, escaped, at
// most 80 bytes and a mark where it was cut.
func Quote(s string) string { return QuoteUpTo(s, 80) }

// QuoteUpTo is Quote for values of which more is shown, in bytes.
func QuoteUpTo(s string, most int) string {
	cut := ""
	if len(s) > most {
		s, cut = s[:most], "..."
	}
	return strings.ReplaceAll(strconv.QuoteToASCII(s), `\"`, `'`) + cut
}

// ForLog is a text from outside as the log has it, which quotes by itself: cut at 80 bytes,
// and in ASCII, so that no character of it does anything to a terminal.
func ForLog(s string) string {
	quoted := strconv.QuoteToASCII(s[:min(len(s), 80)])
	shown := strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
	if len(s) > 80 {
		shown += "..."
	}
	return shown
}

// QuoteEach quotes each value that may be sent: one text in quotes would be one value.
func QuoteEach(list []string, between string) string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = Quote(s)
	}
	return strings.Join(quoted, between)
}

// clean bounds a description and keeps it within the characters that RFC 6749
// 5.2 allows in error_description.
func clean(s string) string {
	if len(s) > MaxDescription {
		s = s[:MaxDescription-3] + "..."
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r == '\\':
			return '/'
		case r < 0x20 || r > 0x7e:
			return '?'
		}
		return r
	}, s)
}
