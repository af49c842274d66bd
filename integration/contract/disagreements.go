package contract

import (
	"fmt"
	"regexp"
	"slices"
)

// disagreement is a violation that is meant.
type disagreement struct {
	// versions of the specification. Default: all.
	versions []string
	// method and status of the answers. Default: any.
	method string
	status int
	// violation is what Check would say.
	violation string
	// value matches the value that is meant; another one is a violation. Default: any.
	value *regexp.Regexp
	// claims: it is about the claims of the request, which the operator may have answered.
	claims bool
	// why the product does so.
	why string
}

func (d *disagreement) in(s *Specification) bool {
	return (len(d.versions) == 0 || slices.Contains(d.versions, s.Version)) && !(d.claims && s.RequestClaims)
}

const (
	requestOnly = "claims of the request JWT are no metadata; they do not come back (RFC 7591 3.2.1)"
	bothNames   = "mobile is the name of DCR 3.2 and 3.3, native that of OpenID Connect and DCR 3.4; real software sends either, and gets back what it sent"
	spelling    = "an address in another spelling than its own is nobody's, whatever the method, and never the authorization server's (RFC 9110 15.5.5)"
	method      = "a method that an address does not take, or that the operator took away, is 405 with Allow (RFC 9110 15.5.6)"
	longID      = "some directories issue UUIDs as software_id; lenient takes them, and a registration tells them as they are"
)

var isUUID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// disagreements is every place where the product knowingly answers otherwise than
// the official files say.
var disagreements = []disagreement{
	{violation: `/iss property "iss" is missing`, claims: true, why: requestOnly},
	{violation: `/iat property "iat" is missing`, claims: true, why: requestOnly},
	{violation: `/exp property "exp" is missing`, claims: true, why: requestOnly},
	{violation: `/aud property "aud" is missing`, claims: true, why: requestOnly},
	{violation: `/jti property "jti" is missing`, claims: true, why: requestOnly},
	{violation: `/software_statement property "software_statement" is missing`, why: "where the operator does without statements there is none to return (RFC 7591 2.3 leaves it to the server)"},
	{violation: `/software_id maximum string length is 22`, value: isUUID, why: longID},
	{violation: `/software_id string doesn't match the regular expression "^[0-9a-zA-Z]{1,22}$"`, value: isUUID, why: longID},
	{versions: []string{"3.2", "3.3"}, violation: `/tls_client_auth_subject_dn maximum string length is 128`, why: "real subjects are longer; DCR 3.4 knows it, and a DN that is cut names nobody (RFC 8705 2.1.2)"},
	{method: "POST", status: 401, violation: "the status 401 is not listed", why: "a client without a certificate or a token is challenged (RFC 6750 3)"},
	{method: "POST", status: 403, violation: "the status 403 is not listed", why: "a token without dcr_register, and a server that takes no new clients (RFC 6750 3.1)"},
	{status: 404, violation: "the status 404 is not listed", why: spelling},
	{status: 404, violation: "the method is not listed", why: spelling},
	{status: 405, violation: "the status 405 is not listed", why: method},
	{status: 405, violation: "the method is not listed", why: method},
	{status: 413, violation: "the status 413 is not listed", why: "a bound on bodies (RFC 9110 15.5.14)"},
	{status: 415, violation: "the status 415 is not listed", why: "never fall through to a request that is not signed (RFC 9110 15.5.16)"},
	{status: 429, violation: "the status 429 is not listed", why: "one client may not use up the endpoint (RFC 6585 4)"},
	{status: 503, violation: "the status 503 is not listed", why: "what fails at the bank or the directory is not the client's fault (RFC 9110 15.6.4)"},
	{versions: []string{"3.2", "3.3"}, violation: `/application_type value is not one of the allowed values ["web","mobile"]`, value: regexp.MustCompile("^native$"), why: bothNames},
}

// known is the index of the disagreement that a violation is, -1 when it is none.
func (s *Specification) known(a Answer, v violation) int {
	return slices.IndexFunc(disagreements, func(d disagreement) bool {
		return d.in(s) && (d.method == "" || d.method == a.Method) && (d.status == 0 || d.status == a.Status) &&
			v.text == d.violation && (d.value == nil || d.value.MatchString(fmt.Sprint(v.value)))
	})
}
