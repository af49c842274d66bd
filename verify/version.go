package verify

import (
	"slices"

	"github.com/caddy-dcr/caddy-dcr/verify/dn"
)

// Version is a version of the UK Open Banking dynamic client registration
// specification. It says what a registration may ask for and how its body is labelled.
type Version string

// Versions are those that a workspace can serve, DefaultVersion when it names none.
var Versions = []Version{"3.1", "3.2", "3.3", "3.4"}

// DefaultVersion is the one in use everywhere.
const DefaultVersion Version = "3.2"

// Grant types that only some versions have.
const (
	GrantCIBA      = "urn:openid:params:grant-type:ciba"
	GrantJWTBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"
)

// MediaTypes are those of a signed request, the version's own first. All
// versions take both: real software mixes them.
func (v Version) MediaTypes() []string {
	if v == "3.1" {
		return []string{"application/jwt", "application/jose"}
	}
	return []string{"application/jose", "application/jwt"}
}

// SupportedMetadata is what the version knows, before the operator and the AS are asked.
func (v Version) SupportedMetadata() SupportedMetadata {
	a := DefaultSupportedMetadata()
	if v == "3.3" || v == "3.4" {
		a.GrantTypes = append(slices.Clone(a.GrantTypes), GrantCIBA)
		a.BackchannelModes, a.BackchannelAlgs = []string{"poll", "ping"}, DefaultAlgorithms
	}
	if v == "3.4" {
		a.GrantTypes = append(a.GrantTypes, GrantJWTBearer)
		a.ApplicationTypes, a.SubjectDNPattern = []string{"web", "native"}, true
	}
	return a
}

// Shown are a client's metadata as an answer of the version has them. It may have been
// registered while the workspace served another version. dn is its DN, asked for where its
// text is another.
func (v Version) Shown(m Metadata, subjectDN func() (dn.Name, error)) Metadata {
	if v != "3.4" {
		return m
	}
	if m.ApplicationType == "mobile" {
		m.ApplicationType = "native"
	}
	if m.TLSClientAuthSubjectDN != "" && !dn.FollowsPattern(m.TLSClientAuthSubjectDN) {
		if name, err := subjectDN(); err == nil && len(name) > 0 { // else the text is all that is known
			m.TLSClientAuthSubjectDN = name.PatternText()
		}
	}
	return m
}
