package verify

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-dcr/caddy-dcr/verify/dn"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// MaxForm is the size of a request to a guarded endpoint in bytes, at most.
const MaxForm = 64 << 10

// maxRepeats bounds how often one parameter is looked at.
const maxRepeats = 4

// ClientAuthentication is what a request to the token endpoint (or another
// endpoint that authenticates clients) says about who sends it. Nothing of it is
// verified.
type ClientAuthentication struct {
	// ClientIDs are all different ids that the request names: in the form, the
	// query, HTTP Basic, the assertion's sub; without any, the iss of a JWT bearer grant.
	ClientIDs []string
	// Secret and Assertion tell which credentials it carries.
	Secret, Assertion bool
	// Repeated is a parameter that occurs more than once, with values or without, or empty.
	// One AS takes the first of two values and another the last.
	Repeated string
	// Empty: a parameter of these has no value, and so counts as omitted (RFC 6749 3.2). An AS
	// may count it all the same: send what WithoutEmpty leaves.
	Empty bool
	// Garbled is a parameter whose name or value is not UTF-8, or has a null byte, at
	// which some servers stop reading.
	Garbled string
	// InQuery: a credential, or the client_id, is in the query (RFC 6749 2.3.1 forbids it).
	InQuery bool

	// assertion and assertionType are the first of each, as sent.
	assertion, assertionType string
	secrets                  sentSecrets
}

// ReadClientAuthentication reads the client's identity from the Authorization
// header fields, the query and the form body of a request. What cannot be read
// in exactly one way is refused: the AS might read it in the other. What was read until
// then is returned beside the error, for the log alone.
//
// Errors: MalformedRequest.
func ReadClientAuthentication(authorization []string, query, form string) (*ClientAuthentication, error) {
	c := &ClientAuthentication{}
	refuse := func(what string) (*ClientAuthentication, error) {
		return c, refusal.New(refusal.MalformedRequest, "client_authentication", "%s", refusal.Advise(errors.New(what), "send each parameter once, spelt and encoded as RFC 6749 says"))
	}
	if len(authorization) > 1 {
		return refuse("Authorization: sent more than once")
	}
	if len(authorization) == 1 && !c.basic(authorization[0]) {
		return refuse("Authorization: the Basic credentials cannot be read")
	}
	all, inQuery, err := readParameters(query, form)
	if err != nil {
		return refuse(err.Error())
	}
	for name, v := range inQuery {
		c.InQuery = c.InQuery || isSpelling(name, credentials) && slices.ContainsFunc(v, present)
	}
	for name, v := range all {
		if slices.Contains(credentials, name) {
			c.Empty = c.Empty || slices.Contains(v, "")
		} else if isSpelling(name, credentials) {
			return refuse(refusal.Quote(name) + ": spell it as OAuth does")
		}
		if c.Garbled == "" && (garbled(name) || slices.ContainsFunc(v, garbled)) {
			c.Garbled = cmp.Or(name, "a parameter without a name")
		}
		if len(v) > 1 && (c.Repeated == "" || name < c.Repeated) && !slices.Contains(repeatable, name) {
			c.Repeated = name
		}
	}
	if len(all["client_id"]) > maxRepeats || len(all["client_assertion"]) > maxRepeats {
		return refuse("client_id: sent too often") // each would be looked up
	}
	for _, id := range all["client_id"] {
		c.add(id)
	}
	c.Secret, c.secrets.form = c.Secret || slices.ContainsFunc(all["client_secret"], present), all.Get("client_secret")
	for _, assertion := range all["client_assertion"] {
		if !present(assertion) {
			continue
		}
		c.Assertion = true
		if !c.readAssertion(assertion) {
			return refuse("client_assertion: not a JWT whose sub and iss are the client")
		}
	}
	c.assertion, c.assertionType = all.Get("client_assertion"), all.Get("client_assertion_type")
	// RFC 7521 4.1: the assertion of a grant may be all that says who asks.
	if grants := all["assertion"]; len(c.ClientIDs) == 0 && len(grants) > 0 && !c.readGrants(grants) {
		return refuse("assertion: not one that all servers read alike; send one JWT, or client_id")
	}
	for _, id := range c.ClientIDs {
		if !utf8.ValidString(id) || strings.ContainsFunc(id, unicode.IsControl) || strings.TrimSpace(id) != id {
			return refuse("client_id: not UTF-8, or with blanks around it")
		}
	}
	return c, nil
}

// credentials are the parameters by which a client says who it is.
var credentials = []string{"client_id", "client_secret", "client_assertion", "client_assertion_type"}

// repeatable are the parameters that a request may have several times (RFC 8707 2, RFC 8693 2.1).
var repeatable = []string{"resource", "audience"}

// present tells whether a parameter is there: without a value it counts as omitted (RFC 6749 3.1, 3.2).
func present(value string) bool { return value != "" }

func garbled(s string) bool { return !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 }

func (c *ClientAuthentication) add(id string) {
	if id != "" && !slices.Contains(c.ClientIDs, id) {
		c.ClientIDs = append(c.ClientIDs, id)
	}
}

// basic reads HTTP Basic (RFC 6749 2.3.1: both parts are form-encoded). Another
// scheme authenticates no client here and is left to the AS.
func (c *ClientAuthentication) basic(value string) bool {
	if strings.ContainsFunc(value, unicode.IsControl) || strings.TrimSpace(value) != value {
		return false // a tab, which some servers take for the blank; blanks that a proxy removes
	}
	scheme, rest, _ := strings.Cut(value, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return true
	}
	decoded, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSpace(rest))
	if err != nil {
		return false
	}
	id, secret, ok := strings.Cut(string(decoded), ":")
	if !ok {
		return false
	}
	unescaped, err := url.QueryUnescape(id)
	if err != nil {
		return false
	}
	c.add(unescaped)
	c.add(id) // some servers do not decode
	c.Secret, c.secrets.isBasic, c.secrets.readings = true, true, []string{unescaped, id}
	if c.secrets.basic, err = url.QueryUnescape(secret); err != nil {
		c.secrets.basic = "" // none of this server's
	}
	return true
}

// readGrants reads the iss of the assertion of a grant, which is the client where nothing
// else names one. Of several an AS may take any, and of a JWT that is no plain one read
// another iss. What is no JWT (RFC 7522) names nobody.
func (c *ClientAuthentication) readGrants(grants []string) bool {
	if len(grants) > 1 {
		return false
	}
	if strings.Count(grants[0], ".") != 2 {
		return true
	}
	claims, err := UnverifiedClaims([]byte(grants[0]))
	if err != nil {
		return false
	}
	iss, _, err := claims.String("iss")
	c.add(iss)
	return err == nil
}

// readAssertion reads the sub (and iss) of a client assertion without believing it.
func (c *ClientAuthentication) readAssertion(raw string) bool {
	claims, err := UnverifiedClaims([]byte(raw))
	if err != nil {
		return false
	}
	sub, ok, err := claims.String("sub")
	if err != nil || !ok || sub == "" {
		return false
	}
	c.add(sub)
	if iss, ok, err := claims.String("iss"); err != nil || ok && iss != sub {
		return false
	}
	return true
}

// Authenticator is what the guard knows of a registered client.
type Authenticator struct {
	ClientID string
	// Method is its token_endpoint_auth_method.
	Method string
	// Subject is the DN that authenticates it, Match how it is compared.
	Subject dn.Name
	Match   dn.Match
	// SANClaim and SAN are the subject alternative name that does so in its place.
	SANClaim, SAN string
	// NeedsCertificate: the client presents its certificate, also where that is not how it
	// authenticates (FAPI 1 Advanced 5.2.2). Default: false, with tls_client_auth alone.
	NeedsCertificate bool
	// SecretHash is the SecretHash of the secret of a client that sends one. Default: none
	// is right.
	SecretHash []byte
}

// Presents tells whether a certificate is the client's.
func (a *Authenticator) Presents(cert *Certificate) bool {
	if a.SANClaim != "" {
		return cert.HasSAN(a.SANClaim, a.SAN)
	}
	return a.Match.Match(a.Subject, cert.Subject)
}

// CheckClient decides whether a request of a registered client may go on to the
// AS: unambiguous, with the credentials that it registered, and with its certificate.
//
// Errors: InvalidClient, MalformedRequest.
func (c *ClientAuthentication) CheckClient(a *Authenticator, cert *Certificate) error {
	switch {
	case c.Secret && !HasSecret(a.Method):
		return refuseClient("this client is registered for %s and has no secret", a.Method)
	case !c.names(a):
		return refuseClient("the request names different clients")
	case c.Repeated != "":
		return refusal.New(refusal.MalformedRequest, "client_authentication", "%s: sent more than once; send it once", refusal.Quote(c.Repeated))
	case c.Garbled != "":
		return refusal.New(refusal.MalformedRequest, "client_authentication", "%s: not UTF-8, or with a null byte; send text", refusal.Quote(c.Garbled))
	case c.InQuery:
		return refusal.New(refusal.MalformedRequest, "client_authentication", "client_id: in the address, or other credentials are; send them in the body")
	}
	switch a.Method {
	case ClientSecretBasic, ClientSecretPost:
		return c.checkSecret(a, cert)
	case "private_key_jwt", ClientSecretJWT:
		if c.Secret {
			return refuseClient("this client is registered for %s; sign a client_assertion with its secret, and never send that", a.Method)
		}
		if !c.Assertion {
			return refuseClient("this client is registered for %s; send a client_assertion", a.Method)
		}
		return a.checkBeside(cert)
	case "tls_client_auth":
		if c.Assertion {
			return refuseClient("this client is registered for tls_client_auth; send no client_assertion")
		}
		if cert == nil {
			return refuseClient("this client is registered for tls_client_auth; connect with its transport certificate")
		}
		if !a.Presents(cert) {
			return refuseClient("the subject of the presented certificate, or its subject alternative name, is not the registered one")
		}
		return nil
	}
	return refuseClient("%s is not supported", refusal.Quote(a.Method))
}

// refuseClient is the refusal of a client that does not authenticate as it must.
func refuseClient(format string, args ...any) error {
	return refusal.New(refusal.InvalidClient, "client_authentication", "client authentication: %s",
		refusal.Advise(fmt.Errorf(format, args...), "authenticate as the client was registered"))
}

// checkBeside checks the certificate beside an assertion against what the client needs. A
// client of which no DN is known, because none was asked for when it was registered,
// presents any that was verified.
func (a *Authenticator) checkBeside(cert *Certificate) error {
	switch {
	case !a.NeedsCertificate:
		return nil
	case cert == nil:
		return refuseClient("every client of this server presents its certificate; connect with the software's transport certificate")
	case len(a.Subject) > 0 && !a.Presents(cert):
		return refuseClient("the subject of the presented certificate is not that of the certificate with which the client was registered; connect with the software's transport certificate")
	}
	return nil
}
