package verify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
	"github.com/caddy-dcr/caddy-dcr/verify/trace"
)

// DefaultMaxLifetime is how far exp may lie after iat.
const DefaultMaxLifetime = 24 * time.Hour

// MaxRequest is the size of a registration request in bytes, at most.
const MaxRequest = 64 << 10

// RequestRules is what a workspace demands of a registration request before its
// metadata is looked at.
type RequestRules struct {
	// Issuers are the directories whose software statements are accepted. At least
	// one, unless NoStatement.
	Issuers []*Issuer
	// IssuerClaim is the statement's claim that iss must equal. Default: software_id.
	IssuerClaim string
	// NoStatement: no software statement is demanded, and none is looked at. Then
	// Keys or Unsigned is needed. Default: false.
	NoStatement bool
	// Keys verifies the signed body. nil: the SSA's software_jwks_endpoint.
	Keys KeySource
	// Unsigned: the body is the bare JSON object of RFC 7591 3.1. Claims of the JWT
	// itself may be absent then, and count where they are there. Default: false.
	Unsigned bool
	// Algorithms the body may be signed with. Default: DefaultAlgorithms.
	Algorithms []string
	// Audiences of which aud must hold one. At least one.
	Audiences []string
	// MaxLifetime is the largest exp - iat. Default: DefaultMaxLifetime.
	MaxLifetime time.Duration
	// Lenient are the claims that a request may leave out. Default: none.
	Lenient Leniency
	// Skew is how far the TPP's clock may be off. Default: DefaultSkew.
	Skew time.Duration
	// Epoch: a request whose iat is not later is refused. Default: none.
	Epoch Epoch
}

// Request is a registration request whose SSA, signature and claims of the JWT
// itself have been verified. Its metadata has not.
type Request struct {
	// Raw is the body as received, without a line end after it.
	Raw []byte
	// Claims are all claims of the body.
	Claims strictjson.Object
	// Statement is the verified software statement.
	Statement *SoftwareStatement
	// Issuer and JTI identify the request for replay detection until Expires.
	Issuer, JTI string
	Expires     time.Time
	// KeyID is the kid of the key that signed.
	KeyID string
	// Unsigned: the body had no signature to verify.
	Unsigned bool
}

// VerifyRequest verifies a registration request, cheapest and least trusting
// first: strict split, SSA, only then the software's keys (whose URL the SSA
// names), request signature, claims.
//
// Beside an error, the request says what is known so far, for the log alone: its
// KeyID, and a Statement if that was verified.
//
// Errors: InvalidClientMetadata, and those of VerifySoftwareStatement.
func VerifyRequest(ctx context.Context, raw []byte, rules *RequestRules, now time.Time) (*Request, error) {
	checks := trace.FromContext(ctx)
	checks.BeginWith("request", "body", "RFC 7515 7.1, DCR 3.2", func() any { return size{len(raw)} })
	t, err := rules.split(raw)
	if err != nil {
		return nil, refuseRequest("body", "%w", err)
	}
	r := &Request{Raw: t.Raw, Claims: t.Claims, KeyID: t.KeyID, Unsigned: rules.Unsigned}
	if rules.NoStatement {
		checks.Off("software_statement", "software_statement", "software_statement off")
		r.Statement, err = noStatement(t.Claims)
	} else {
		r.Statement, err = rules.statement(ctx, t.Claims, now)
	}
	if err != nil {
		return r, err
	}
	if rules.Unsigned {
		checks.Off("request", "signature", "signed_request_body off")
	} else {
		if err := r.verify(ctx, t, rules); err != nil {
			if r.Statement.Unsigned || r.Statement.None { // trusted by this signature alone
				r.Statement = nil
			}
			return r, err
		}
	}
	// Whoever verifies with other keys tells the AS of these all the same: it fetches
	// them for private_key_jwt.
	if rules.Unsigned || !rules.signedByEndpoint(r.Statement) {
		beginEndpoint(checks, r.Statement)
	}
	if _, err := r.Statement.softwareKeys("software_jwks_endpoint", r.Statement.JWKSEndpoint); err != nil {
		return r, err
	}
	if err := r.checkClaims(checks, rules, now); err != nil {
		return r, err
	}
	return r, nil
}

// split reads the outer form of the body.
func (r *RequestRules) split(raw []byte) (*JWS, error) {
	if !r.Unsigned {
		return SplitJWS(raw, r.algorithms(), nil)
	}
	claims, err := strictjson.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("is no acceptable JSON object (%w)", err)
	}
	return &JWS{Raw: raw, Claims: claims}, nil
}

func (r *RequestRules) statement(ctx context.Context, claims strictjson.Object, now time.Time) (*SoftwareStatement, error) {
	checks := trace.FromContext(ctx)
	checks.Begin("software_statement", "software_statement", "RFC 7591 2.3, RFC 7515 7.1", nil)
	ssa, ok, err := claims.Bytes("software_statement")
	if err != nil || !ok {
		return nil, refusal.New(refusal.InvalidSoftwareStatement, "software_statement", "software_statement: missing; send the directory's software statement (SSA) as a string claim")
	}
	if checks != nil {
		checks.Show(size{len(ssa)})
	}
	s, err := VerifySoftwareStatement(ctx, ssa, r.Issuers, now)
	if err == nil && s.Unsigned && r.Unsigned {
		return nil, refusal.New(refusal.InvalidSoftwareStatement, "software_statement", "software_statement: unsigned, and so is the request that carries it; sign one of them")
	}
	return s, err
}

// verify checks the signature of the body, and that its key was not revoked.
func (r *Request) verify(ctx context.Context, t *JWS, rules *RequestRules) error {
	checks := trace.FromContext(ctx)
	if rules.signedByEndpoint(r.Statement) {
		beginEndpoint(checks, r.Statement)
	}
	keys, err := rules.keys(r.Statement)
	if err != nil {
		return err
	}
	checks.BeginWith("request", "signature", "RFC 7515 5.2, FAPI 1 Advanced 8.6", func() any { return signer{t.Algorithm, t.KeyID} })
	by, err := t.VerifiedBy(ctx, keys)
	if err == nil {
		err = r.Statement.checkRevoked(ctx, by)
	}
	if err != nil && rules.signedByEndpoint(r.Statement) {
		err = ofTPP(err)
	}
	if full := (*refusal.Error)(nil); err == nil || errors.As(err, &full) {
		return err
	}
	return refuseRequest("signature", "%w", err)
}

// requestMends tell how to mend what a rule of the request itself refuses.
var requestMends = map[string]string{
	"body":        "send one compact JWS (RFC 7515 7.1) with a header like {'alg':'PS256','kid':'...'}",
	"signature":   "sign with a key that the software's JWKS publishes for signing, and name its kid",
	"iss":         "send the software_id",
	"aud":         "send the bank's id at the directory, or its issuer",
	"iat":         "send seconds since 1970",
	"exp":         "sign a new request with a shorter life",
	"nbf":         "send seconds since 1970, or leave it out",
	"jti":         "send a new UUID v4",
	"client_name": "send a short text",
}

func refuseRequest(rule, format string, args ...any) *refusal.Error {
	name := rule + ": "
	if rule == "body" || rule == "signature" {
		name = "registration request "
	}
	return refusal.New(refusal.InvalidClientMetadata, rule, "%s%s", name, refusal.Advise(fmt.Errorf(format, args...), requestMends[rule]))
}

func (r *RequestRules) algorithms() []string {
	if len(r.Algorithms) > 0 {
		return r.Algorithms
	}
	return DefaultAlgorithms
}

// signedByEndpoint: the keys that verify a request are those that its statement names.
func (r *RequestRules) signedByEndpoint(s *SoftwareStatement) bool {
	return !s.Unsigned && r.Keys == nil
}

func (r *RequestRules) keys(s *SoftwareStatement) (KeySource, error) {
	if s.Unsigned {
		return s.Issuer.Keys, nil // nothing that it names has been verified
	}
	if !r.signedByEndpoint(s) {
		return r.Keys, nil
	}
	source, err := s.softwareKeys("software_jwks_endpoint", s.JWKSEndpoint)
	if source == nil && err == nil {
		return nil, refusal.New(refusal.InvalidSoftwareStatement, "software_jwks_endpoint", "software_statement: software_jwks_endpoint is missing, so there is no key to verify the request with; publish the software's keys at the directory and get a new statement")
	}
	return source, err
}

// What is told of a document that is not shown.
type (
	size struct {
		Bytes int `json:"bytes"`
	}
	signer struct {
		Algorithm string `json:"alg"`
		KeyID     string `json:"kid"`
	}
)
