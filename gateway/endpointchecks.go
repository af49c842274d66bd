package gateway

import (
	"net/http"
	"slices"
	"strings"
)

// checks are what the gateway looks at in a request to an endpoint of the AS at which no
// client authenticates: the AS knows nothing of suspended clients, and little of deleted ones.
type checks uint8

const (
	checksClient checks = 1 << iota // for which client a user is asked
	checksToken                     // whose access token it is
	checksForm                      // with checksToken: no body but a form is taken
)

// openEndpoints need no check. Everybody may give a token back (revocation) and log out
// (end session, and what shows the state of a session); whoever enters a code from a
// device is a user, whose client was checked when it got the code.
var openEndpoints = []string{"jwks_uri", "revocation_endpoint", "end_session_endpoint", "check_session_iframe", "device_verification_endpoint"}

// checksOf are those of an endpoint by its name. An endpoint of which the gateway knows
// nothing may take access tokens.
func checksOf(name string) checks {
	switch {
	case slices.Contains(openEndpoints, name), slices.Contains(guarded, name):
		return 0
	case strings.HasSuffix(name, "registration_endpoint"): // with as_registration passthrough, and tokens of its own
		return 0
	case strings.HasSuffix(name, "authorization_endpoint"), name == "authorization_challenge_endpoint":
		return checksClient
	case name == "userinfo_endpoint":
		return checksToken | checksForm
	}
	return checksToken // introspection too: some resource servers authenticate by a token (RFC 7662 2.1)
}

// addChecks adds those of an endpoint to its path, which it may share with others.
func (t *table) addChecks(path string, c checks) {
	if normal, err := NormalPath(path); err == nil && c != 0 {
		t.checks[normal] |= c
	}
}

// checksAt are those of a path, spelt as it is served.
func (t *table) checksAt(path string) checks {
	if !plain(path) {
		path, _ = NormalPath(path) // an error finds nothing, as find has
	}
	return t.checks[path]
}

// serveEndpoint passes a request to an endpoint of the AS on, unless it is for a client
// that may do nothing.
func (q *request) serveEndpoint(next http.Handler, c checks) {
	refuse := func(err error) { q.refuse("guard", err) }
	if c&checksClient != 0 {
		refuse = q.refuseAuthorization
	}
	if err := q.refuseRevoked(); err != nil {
		refuse(err)
		return
	}
	if c&checksClient != 0 {
		if err := q.checkAuthorization(); err != nil {
			refuse(err)
			return
		}
	}
	if next = q.checkedToken(next, c); next == nil {
		return
	}
	defer q.logPassed()
	if q.checkedAgainstCRLs() {
		handOver(q.r, q.options().CertificateHeader, q.gateway.now())
	}
	next.ServeHTTP(q.w, q.r)
}

// checkedAgainstCRLs tells whether the certificate was checked against revocation lists, where
// there are any. One that does not count here (a CA's own, one that is not valid yet) was
// not, and is not handed to the AS then.
func (q *request) checkedAgainstCRLs() bool {
	if q.options().CRLs == nil {
		return true
	}
	_, absent := q.certificate()
	return absent == nil
}

// refuseRevoked keeps a certificate that was revoked from the AS, which believes the
// gateway.
func (q *request) refuseRevoked() error {
	if q.options().CRLs == nil {
		return nil
	}
	cert, absent := q.certificate()
	if absent != nil {
		return nil
	}
	_, err := q.gateway.checkRevoked(q.r.Context(), cert)
	if err != nil {
		q.trace.beginCertificate(q.r.TLS, q.certificate)
		q.trace.beginCRL(q.gateway, nil)
	}
	return err
}
