package verify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// AssertionType is the client_assertion_type of private_key_jwt (RFC 7523 2.2).
const AssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// MaxAssertionLifetime is how far exp may lie ahead: the jti is remembered until
// then. Tools write 30 minutes.
const MaxAssertionLifetime = time.Hour

// AssertionRules is what the gateway demands of a client assertion that it checks in
// the AS's place.
type AssertionRules struct {
	// ClientID is the client's that is to be authenticated.
	ClientID string
	// Algorithms it may be signed with: the one that the client registered.
	// Default: DefaultAlgorithms.
	Algorithms []string
	// Issuer is the AS's, which aud names. Audiences are what aud may hold beside it, the
	// endpoints, in an assertion without AssertionType's typ. Default: nothing else.
	Issuer    string
	Audiences []string
	// Keys are those of the software's JWKS. Revoked are its revoked ones, nil
	// where they are not asked for.
	Keys, Revoked KeySource
	// Secret is that of a client with client_secret_jwt. With one, HS256 and nothing else
	// verifies, and Algorithms, Keys and Revoked count for nothing. Default: none, and HS256
	// does not verify.
	Secret string
	// Skew is how far the client's clock may be off. Default: DefaultSkew.
	Skew time.Duration
	// Epoch: an assertion whose iat is not later is refused, and for MaxAssertionLifetime
	// one without. Default: none.
	Epoch Epoch
}

// ClientAssertion is one that has been verified. Whoever acts on it must use it up
// before.
type ClientAssertion struct {
	// JTI identifies it among those of its client, until Expires.
	JTI     string
	Expires time.Time
	// Issued is iat; zero when there is none.
	Issued time.Time
	// Form is how it names this server.
	Form AssertionForm
}

// VerifyClientAssertion authenticates a client by private_key_jwt or client_secret_jwt
// (RFC 7523 3, OpenID Connect Core 9): iss and sub are its client_id, aud this server, exp
// and jti are there, and a key of the software, or the client's secret, has signed it.
//
// Errors: InvalidClient, MalformedRequest, Unavailable.
func (c *ClientAuthentication) VerifyClientAssertion(ctx context.Context, rules *AssertionRules, now time.Time) (*ClientAssertion, error) {
	refuse := func(format string, args ...any) error { return refuseAssertion(fmt.Errorf(format, args...)) }
	if c.assertionType != AssertionType {
		found := refusal.Quote(c.assertionType)
		if c.assertionType == "" {
			found = "missing"
		}
		return nil, refusal.New(refusal.MalformedRequest, "client_assertion_type", "client_assertion_type: %s; send %s", found, AssertionType)
	}
	t, err := SplitJWS([]byte(c.assertion), rules.algorithms(), assertionTypes)
	if err != nil {
		return nil, refuse("%w", err)
	}
	err = ofTPP(rules.checkSignature(ctx, t))
	if full := (*refusal.Error)(nil); errors.As(err, &full) {
		return nil, err
	}
	if err != nil {
		return nil, refuse("%w", err)
	}
	for _, name := range []string{"iss", "sub"} {
		if v, _, err := t.Claims.String(name); err != nil || v != rules.ClientID {
			return nil, refuse("has another %s than the client_id; send the client_id", name)
		}
	}
	a := &ClientAssertion{}
	if a.Form, err = rules.checkAudience(t.Type, t.Claims); err != nil {
		return nil, refuse("%w", err)
	}
	if a.JTI, _, err = t.Claims.String("jti"); err != nil || a.JTI == "" {
		return nil, refuse("has no jti; send a new one with each")
	}
	if err = a.readTimes(t.Claims, rules.Skew, now); err == nil {
		err = a.checkEpoch(rules.Epoch, now)
	}
	if err != nil {
		return nil, refuse("%w", err)
	}
	return a, nil
}

// algorithms are those that an assertion may be signed with. Of a secret it is one, which
// no key has: a public key must not verify as if it was a secret (RFC 8725 2.1).
func (r *AssertionRules) algorithms() []string {
	switch {
	case r.Secret != "":
		return []string{SecretAlgorithm}
	case len(r.Algorithms) == 0:
		return DefaultAlgorithms
	}
	return r.Algorithms
}

// checkSignature verifies with the client's secret, or else with a key of the software.
func (r *AssertionRules) checkSignature(ctx context.Context, t *JWS) error {
	if r.Secret != "" {
		return t.verifyWithSecret(r.Secret)
	}
	by, err := t.VerifiedBy(ctx, r.Keys)
	if err == nil && r.Revoked != nil {
		err = by.CheckRevoked(ctx, r.Revoked)
	}
	if full := (*refusal.Error)(nil); err != nil && !errors.As(err, &full) {
		err = fmt.Errorf("%w; sign with a key that the software's JWKS publishes for signing, and name its kid", err)
	}
	return err
}

// AssertionKeyID is the kid of the assertion that came, empty for none. Nothing of it
// is verified.
func (c *ClientAuthentication) AssertionKeyID() string {
	return c.assertionHeader("kid")
}

// assertionHeader is a member of the assertion's header, empty for none that can be read.
func (c *ClientAuthentication) assertionHeader(name string) string {
	header, _, _ := strings.Cut(c.assertion, ".")
	text, err := segment([]byte(header), "header")
	if err != nil {
		return ""
	}
	o, err := strictjson.Parse(text)
	if err != nil {
		return ""
	}
	value, _, err := o.String(name)
	if err != nil {
		return ""
	}
	return value
}

// readTimes checks exp, which must be there, and iat and nbf, which may.
func (a *ClientAssertion) readTimes(claims strictjson.Object, skew time.Duration, now time.Time) error {
	if skew == 0 {
		skew = DefaultSkew
	}
	for _, name := range []string{"exp", "iat", "nbf"} {
		at, ok, err := claims.NumericDate(name)
		switch {
		case err != nil:
			return fmt.Errorf("has %s that %w; send seconds since 1970", name, err)
		case name == "exp" && !ok:
			return errors.New("has no exp; send seconds since 1970")
		case name == "exp" && !at.After(now):
			return fmt.Errorf("expired at %s, it is %s here", stamp(at), stamp(now))
		case name == "exp" && at.After(now.Add(MaxAssertionLifetime+skew)):
			return fmt.Errorf("expires at %s, more than %s ahead; let it live shorter", stamp(at), MaxAssertionLifetime)
		case name == "exp":
			a.Expires = at
		case ok && at.After(now.Add(skew)):
			return fmt.Errorf("has %s %s, in the future; it is %s here", name, stamp(at), stamp(now))
		case name == "iat" && ok:
			a.Issued = time.Unix(at.Unix(), 0) // compared with an Epoch, as IssuedAt
		}
	}
	return nil
}
