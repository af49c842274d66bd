package verify

import (
	"context"
	"errors"
	"time"
)

// DefaultMaxLifetime is how far exp may lie after iat.
const DefaultMaxLifetime = 24 * time.Hour

// MaxRequest is the size of a registration request in bytes, at most.
const MaxRequest = 64 << 10

// RequestRules is what a workspace demands of a registration request before its
// metadata is looked at.
type RequestRules struct {
	// Issuers are the directories whose software statements are accepted. At least one.
	Issuers []*Issuer
	// Keys verifies the signed body. nil: the SSA's software_jwks_endpoint.
	Keys KeySource
	// Algorithms the body may be signed with. Default: DefaultAlgorithms.
	Algorithms []string
	// Audiences of which aud must hold one. At least one.
	Audiences []string
	// MaxLifetime is the largest exp - iat. Default: DefaultMaxLifetime.
	MaxLifetime time.Duration
	// Skew is how far the TPP's clock may be off. Default: DefaultSkew.
	Skew time.Duration
}

// Request is a registration request whose SSA, signature and claims of the JWT
// itself have been verified. Its metadata has not.
type Request struct {
	// Raw is the body as received.
	Raw []byte
	// Claims are all claims of the body.
	Claims Object
	// Statement is the verified software statement.
	Statement *SoftwareStatement
	// Issuer and JTI identify the request for replay detection until Expires.
	Issuer, JTI string
	Expires     time.Time
	// KeyID is the kid of the key that signed.
	KeyID string
	// Keys is where that key came from; it also names the software's transport certificates.
	Keys KeySource
}

// VerifyRequest verifies a signed registration request, cheapest and least
// trusting first: strict split, SSA, only then the software's keys (whose URL
// the SSA names), request signature, claims.
//
// Errors: InvalidClientMetadata, and those of VerifySoftwareStatement.
func VerifyRequest(ctx context.Context, raw []byte, rules *RequestRules, now time.Time) (*Request, error) {
	t, err := SplitJWS(raw, rules.algorithms(), nil)
	if err != nil {
		return nil, refuseRequest("body", "%w", err)
	}
	r := &Request{Raw: t.Raw, Claims: t.Claims, KeyID: t.KeyID}
	ssa, ok, err := t.Claims.Bytes("software_statement")
	if err != nil || !ok {
		return nil, Refuse(InvalidSoftwareStatement, "software_statement", "software_statement: missing; send the directory's software statement (SSA) as a string claim")
	}
	if r.Statement, err = VerifySoftwareStatement(ctx, ssa, rules.Issuers, now); err != nil {
		return nil, err
	}
	if r.Keys, err = rules.keys(r.Statement); err != nil {
		return nil, err
	}
	if err := t.VerifyWith(ctx, r.Keys); err != nil {
		if unavailable := (*Error)(nil); errors.As(err, &unavailable) {
			return nil, err
		}
		return nil, refuseRequest("signature", "%w", err)
	}
	if err := r.checkClaims(rules, now); err != nil {
		return nil, err
	}
	return r, nil
}

func refuseRequest(rule, format string, args ...any) *Error {
	name := rule
	if rule == "body" || rule == "signature" {
		name = "registration request"
		format = " " + format
	} else {
		format = ": " + format
	}
	return Refuse(InvalidClientMetadata, rule, name+format, args...)
}

func (r *RequestRules) algorithms() []string {
	if len(r.Algorithms) > 0 {
		return r.Algorithms
	}
	return DefaultAlgorithms
}

func (r *RequestRules) keys(s *SoftwareStatement) (KeySource, error) {
	if r.Keys != nil {
		return r.Keys, nil
	}
	if s.JWKSEndpoint == "" || s.Issuer.SoftwareKeys == nil {
		return nil, Refuse(InvalidSoftwareStatement, "software_jwks_endpoint", "software_statement: software_jwks_endpoint is missing, so there is no key to verify the request with")
	}
	source, err := s.Issuer.SoftwareKeys(s.JWKSEndpoint)
	if err != nil {
		return nil, Refuse(UnapprovedSoftwareStatement, "software_jwks_endpoint", "software_statement: software_jwks_endpoint %s is not at a host that is accepted for this issuer", Quote(s.JWKSEndpoint)).Because(err)
	}
	return source, nil
}
