package verify

import (
	"fmt"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/verify/dn"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// PSPIdentifier is an organizationIdentifier of a payment service provider, like
// PSDGB-FCA-730427 (ETSI TS 119 495 5.2.1).
type PSPIdentifier struct {
	// Country of the authority, two capital letters (ISO 3166).
	Country string
	// Authority is the competent authority, 2 to 8 capital letters: FCA, BAFIN.
	// The Open Banking directory is OB there.
	Authority string
	// Number is what the authority calls the provider.
	Number string
}

// ParsePSPIdentifier reads an organizationIdentifier. Errors have texts that go on
// after what it is the identifier of.
func ParsePSPIdentifier(s string) (PSPIdentifier, error) {
	rest, ok := strings.CutPrefix(s, "PSD")
	country, rest, cut := strings.Cut(rest, "-")
	authority, number, again := strings.Cut(rest, "-")
	capitals := func(s string) bool { return strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" }
	if !ok || !cut || !again || len(country) != 2 || !capitals(country) ||
		len(authority) < 2 || len(authority) > 8 || !capitals(authority) || number == "" {
		return PSPIdentifier{}, fmt.Errorf("%s is not like PSDGB-FCA-123456", refusal.Quote(s))
	}
	return PSPIdentifier{country, authority, number}, nil
}

// OrganizationIdentifier is the organizationIdentifier of the subject. None, and
// several of which other software may read another one, are errors.
func (c *Certificate) OrganizationIdentifier() (string, error) {
	return c.Subject.Single(dn.OrganizationIdentifier, "organizationIdentifier")
}
