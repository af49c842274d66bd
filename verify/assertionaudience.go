package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// AssertionForm is how a client assertion names the server that it is for.
type AssertionForm string

const (
	// AssertionTyped has typ client-authentication+jwt and the issuer as its only aud
	// (RFC 10070, which updates RFC 7523).
	AssertionTyped AssertionForm = "typed"
	// AssertionIssuer has no such typ, and the issuer as its only aud.
	AssertionIssuer AssertionForm = "issuer"
	// AssertionEndpoint has no such typ, and another aud, or several: an endpoint, as RFC 7523
	// 3 and OpenID Connect Core 9 allow.
	AssertionEndpoint AssertionForm = "endpoint"
)

// assertionType is the typ of RFC 10070, assertionTypes are those that an assertion may have.
const assertionType = "client-authentication+jwt"

var assertionTypes = append(slices.Clip(neutralTypes), assertionType)

// CheckAssertionAudience checks what a client assertion says of its audience against RFC
// 10070, where the AS verifies it. With issuerOnly one without that RFC's typ must satisfy the
// issuer too; otherwise its audience is the AS's affair.
//
// Errors: InvalidClient.
func (c *ClientAuthentication) CheckAssertionAudience(issuer string, issuerOnly bool) (AssertionForm, error) {
	claims, err := UnverifiedClaims([]byte(c.assertion))
	if err != nil {
		return "", refuseAssertion(err)
	}
	form, audiences, err := assertionForm(plainType(c.assertionHeader("typ")), claims, issuer)
	if err == nil && issuerOnly && form == AssertionEndpoint {
		err = errAudience(audiences, issuer)
	}
	if err != nil {
		return "", refuseAssertion(err)
	}
	return form, nil
}

func refuseAssertion(err error) error {
	return refusal.New(refusal.InvalidClient, "client_assertion", "client authentication: client_assertion %s", refusal.Advise(err, "sign a new one as RFC 7523 says"))
}

// checkAudience checks the aud of an assertion against the rules. All of its values count:
// another server that is named too could send the assertion here.
func (r *AssertionRules) checkAudience(typ string, claims strictjson.Object) (AssertionForm, error) {
	form, audiences, err := assertionForm(typ, claims, r.Issuer)
	unknown := func(a string) bool { return a != r.Issuer && !slices.Contains(r.Audiences, a) }
	if err == nil && (len(audiences) == 0 || slices.ContainsFunc(audiences, unknown)) {
		err = errAudience(audiences, r.Issuer)
	}
	return form, err
}

// assertionForm fails for a typed assertion that does not name the issuer alone.
func assertionForm(typ string, claims strictjson.Object, issuer string) (form AssertionForm, audiences []string, err error) {
	if audiences, err = stringOrList(claims, "aud"); err != nil {
		audiences = nil // not there, or no text: none that counts
	}
	alone := len(audiences) == 1 && audiences[0] == issuer
	switch {
	case typ == assertionType && !alone:
		return "", audiences, fmt.Errorf("has typ %s and %s; with this typ send the issuer %s alone", assertionType, foundAudience(audiences), refusal.QuoteUpTo(issuer, longestAudience))
	case typ == assertionType:
		return AssertionTyped, audiences, nil
	case alone:
		return AssertionIssuer, audiences, nil
	}
	return AssertionEndpoint, audiences, nil
}

func errAudience(audiences []string, issuer string) error {
	return fmt.Errorf("has %s; send the issuer %s alone", foundAudience(audiences), refusal.QuoteUpTo(issuer, longestAudience))
}

func foundAudience(audiences []string) string {
	if len(audiences) == 0 {
		return "no aud that is text"
	}
	return "aud " + refusal.Quote(strings.Join(audiences, " "))
}
