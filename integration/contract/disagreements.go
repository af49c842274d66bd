package contract

import "slices"

// disagreement is a violation that is meant.
type disagreement struct {
	// versions of the specification. Default: all.
	versions []string
	// method and status of the answers. Default: any.
	method string
	status int
	// violation is what Check would say.
	violation string
	// why the product does so.
	why string
}

func (d *disagreement) in(version string) bool {
	return len(d.versions) == 0 || slices.Contains(d.versions, version)
}

const (
	requestOnly = "claims of the request JWT are no metadata; they do not come back (RFC 7591 3.2.1)"
	notListed   = "the files list no answer for this; RFC 6750 3.1, RFC 9110 15.5 and FAPI want one that says what is wrong"
	bothNames   = "mobile is the name of DCR 3.2, native that of OpenID Connect and DCR 3.4; real software sends either, and gets back what it sent"
)

// disagreements is every place where the product knowingly answers otherwise than
// the official files say.
var disagreements = []disagreement{
	{violation: `/iss property "iss" is missing`, why: requestOnly},
	{violation: `/iat property "iat" is missing`, why: requestOnly},
	{violation: `/exp property "exp" is missing`, why: requestOnly},
	{violation: `/aud property "aud" is missing`, why: requestOnly},
	{violation: `/jti property "jti" is missing`, why: requestOnly},
	{method: "POST", status: 401, violation: "the status 401 is not listed", why: notListed},
	{method: "POST", status: 413, violation: "the status 413 is not listed", why: notListed},
	{method: "POST", status: 415, violation: "the status 415 is not listed", why: notListed},
	{method: "GET", status: 405, violation: "the method is not listed", why: notListed},
	{versions: []string{"3.2", "3.3"}, violation: `/application_type value is not one of the allowed values ["web","mobile"]`, why: bothNames},
	{versions: []string{"3.4"}, violation: `/application_type value is not one of the allowed values ["web","native"]`, why: bothNames},
}

// known is the index of the disagreement that a violation is, -1 when it is none.
func (s *Specification) known(a Answer, violation string) int {
	return slices.IndexFunc(disagreements, func(d disagreement) bool {
		return d.in(s.Version) && (d.method == "" || d.method == a.Method) && (d.status == 0 || d.status == a.Status) && violation == d.violation
	})
}
