package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
	"github.com/caddy-dcr/caddy-dcr/verify/trace"
)

// MaxSoftwareStatement is the size of an SSA in bytes, at most.
const MaxSoftwareStatement = 32 << 10

// DefaultSkew is how far another clock may be off.
const DefaultSkew = 60 * time.Second

// Issuer is a directory whose software statements are accepted.
type Issuer struct {
	// Name is the exact iss of its statements.
	Name string
	// Keys verifies them: the directory's configured JWKS.
	Keys KeySource
	// Algorithms it may sign with. Default: DefaultAlgorithms.
	Algorithms []string
	// MaxAge refuses statements whose iat is older. Default: 0, no limit (the
	// same statement is used many times, and the Open Banking directory gives no exp).
	MaxAge time.Duration
	// Demands are what its statements must say. Default: nothing more than is always demanded.
	Demands []Demand
	// UnlistedRedirectURIs accepts a statement without software_redirect_uris: then
	// the request's count. Default: false.
	UnlistedRedirectURIs bool
	// Unsigned accepts statements without a signature, which count only in a request
	// that is signed with Keys (see unsignedstatement.go). Default: false.
	Unsigned bool
	// SoftwareKeys gives the key source for a software_jwks_endpoint or
	// org_jwks_endpoint of a verified statement, or refuses its host. Default: nil, no
	// request is verified with them.
	SoftwareKeys func(endpoint string) (KeySource, error)
	// RevokedKeys does so for a software_jwks_revoked_endpoint. Default: nil, revoked
	// keys are those that software_jwks_endpoint no longer has.
	RevokedKeys func(endpoint string) (KeySource, error)
}

// SoftwareStatement is an SSA whose signature has been verified.
type SoftwareStatement struct {
	// Raw is the compact JWS as received.
	Raw []byte
	// Claims are all its claims.
	Claims strictjson.Object
	// Issuer is the directory that signed it.
	Issuer *Issuer
	// SoftwareID, OrgID and ClientName are software_id, org_id and software_client_name, never empty.
	SoftwareID, OrgID, ClientName string
	// Issued is its iat. Zero with None.
	Issued time.Time
	// RedirectURIs is software_redirect_uris, Roles is software_roles.
	RedirectURIs, Roles []string
	// JWKSEndpoint is software_jwks_endpoint, OrgJWKSEndpoint org_jwks_endpoint,
	// RevokedEndpoint software_jwks_revoked_endpoint. Each may be empty.
	JWKSEndpoint, OrgJWKSEndpoint, RevokedEndpoint string
	// Unsigned: it has no signature of its own; that of the request is its only one.
	Unsigned bool
	// None stands for the statement where the operator demands none: only
	// SoftwareID and ClientName are there, and they are the request's own word.
	None bool
}

// Demand is a claim that a statement must have, with one of the values
// (org_status Active).
type Demand struct {
	Claim  string
	Values []string
}

// VerifySoftwareStatement verifies an SSA (RFC 7591 2.3). Its unverified iss only
// selects one of the configured issuers.
//
// Errors: InvalidSoftwareStatement, UnapprovedSoftwareStatement, Unavailable.
func VerifySoftwareStatement(ctx context.Context, raw []byte, issuers []*Issuer, now time.Time) (*SoftwareStatement, error) {
	refuse := func(format string, args ...any) error {
		return refusal.New(refusal.InvalidSoftwareStatement, "software_statement", "software_statement: %s",
			refusal.Advise(fmt.Errorf(format, args...), "get a new one from the directory, and send it as it is"))
	}
	if len(raw) > MaxSoftwareStatement {
		return nil, refusal.New(refusal.TooLarge, "software_statement", "software_statement: %d bytes, at most %d are read; ask the directory for a smaller one", len(raw), MaxSoftwareStatement)
	}
	checks := trace.FromContext(ctx)
	t, unsigned, err := splitStatement(raw, issuers)
	if err != nil {
		return nil, refuse("%w", err)
	}
	checks.BeginWith("software_statement", "iss", "RFC 7591 3.1.1", func() any { return t.Claims.Raw("iss") })
	name, _, err := t.Claims.String("iss")
	if err != nil {
		return nil, refuse("iss %w", err)
	}
	if name == "" {
		return nil, refusal.New(refusal.UnapprovedSoftwareStatement, "software_statement", "software_statement: it names no issuer (iss); use a statement of an accepted directory")
	}
	i := slices.IndexFunc(issuers, func(i *Issuer) bool { return i.Name == name })
	if i < 0 {
		return nil, refusal.New(refusal.UnapprovedSoftwareStatement, "software_statement",
			"software_statement: its issuer %s is not one that this server accepts; use a statement of an accepted directory", refusal.Quote(name))
	}
	issuer := issuers[i]
	checks.BeginWith("software_statement", "signature", "RFC 7515 5.2, FAPI 1 Advanced 8.6", func() any { return signer{t.Algorithm, t.KeyID} })
	if unsigned && !issuer.Unsigned {
		return nil, refuse("has an empty signature; use one that the directory has signed")
	}
	if algorithms := issuer.algorithms(); !unsigned && !slices.Contains(algorithms, t.Algorithm) {
		return nil, refuse("alg %s; this issuer signs with %s", refusal.Quote(t.Algorithm), strings.Join(algorithms, ", "))
	}
	if unsigned {
		// Whoever calls verifies the request around it with issuer.Keys.
		checks.Conclude(trace.Off, "it has none; it is believed in a request that is signed with the issuer's keys")
	} else if err := t.VerifyWith(ctx, issuer.Keys); err != nil {
		if unavailable := (*refusal.Error)(nil); errors.As(err, &unavailable) {
			return nil, err
		}
		return nil, refuse("%w", err)
	}
	s := &SoftwareStatement{Raw: raw, Claims: t.Claims, Issuer: issuer, Unsigned: unsigned}
	checks.BeginWith("software_statement", "claims", "RFC 7591 2.3, DCR 3.2", func() any {
		return t.Claims.Only("software_id", "org_id", "software_client_name", "software_roles", "iat", "exp")
	})
	if err := s.read(now); err != nil {
		return nil, refuse("%w", err)
	}
	if err := s.satisfies(checks, issuer.Demands); err != nil {
		return nil, err
	}
	return s, nil
}

// satisfies checks a statement against what the operator demands of this directory's.
func (s *SoftwareStatement) satisfies(checks *trace.Trace, demands []Demand) error {
	for _, d := range demands {
		checks.BeginWith("software_statement", d.Claim, "what the bank demands of this directory", func() any { return s.Claims.Raw(d.Claim) })
		v, ok, err := s.Claims.String(d.Claim)
		found := refusal.Quote(v)
		switch {
		case err == nil && ok && slices.Contains(d.Values, v):
			continue
		case err != nil:
			found = "no text"
		case !ok:
			found = "missing"
		}
		return refusal.New(refusal.UnapprovedSoftwareStatement, d.Claim, "software_statement: its %s is %s; this server accepts %s",
			d.Claim, found, strings.Join(d.Values, ", "))
	}
	return nil
}

// algorithmsOf are those of any of the issuers, each once.
func algorithmsOf(issuers []*Issuer) (all []string) {
	for _, i := range issuers {
		all = append(all, i.algorithms()...)
	}
	return distinct(all)
}

func (i *Issuer) algorithms() []string {
	if len(i.Algorithms) > 0 {
		return i.Algorithms
	}
	return DefaultAlgorithms
}

// read takes the verified claims apart.
func (s *SoftwareStatement) read(now time.Time) error {
	claims := s.stated()
	for _, c := range []struct {
		name string
		to   *string
		need bool
	}{
		{"software_id", &s.SoftwareID, true},
		{"org_id", &s.OrgID, true},
		{"software_client_name", &s.ClientName, true},
		{"software_jwks_endpoint", &s.JWKSEndpoint, false},
		{"org_jwks_endpoint", &s.OrgJWKSEndpoint, false},
		{"software_jwks_revoked_endpoint", &s.RevokedEndpoint, false},
	} {
		v, ok, err := claims.String(c.name)
		if err != nil {
			return fmt.Errorf("%s %w", c.name, err)
		}
		if c.need && (!ok || v == "") {
			return fmt.Errorf("%s is missing", c.name)
		}
		*c.to = v
	}
	var err error
	if s.RedirectURIs, _, err = claims.Strings("software_redirect_uris"); err != nil {
		return fmt.Errorf("software_redirect_uris %w", err)
	}
	if s.Roles, _, err = claims.Strings("software_roles"); err != nil {
		return fmt.Errorf("software_roles %w", err)
	}
	iat, ok, err := s.Claims.NumericDate("iat")
	switch {
	case err != nil:
		return fmt.Errorf("iat %w", err)
	case !ok:
		return errors.New("iat is missing")
	case iat.After(now.Add(DefaultSkew)):
		return errors.New("iat is in the future")
	case s.Issuer.MaxAge > 0 && now.Sub(iat) > s.Issuer.MaxAge:
		return fmt.Errorf("issued at %s, older than the %s that are accepted; get a new one from the directory", stamp(iat), s.Issuer.MaxAge)
	}
	s.Issued = iat
	exp, ok, err := s.Claims.NumericDate("exp")
	switch {
	case err != nil:
		return fmt.Errorf("exp %w", err)
	case ok && !exp.After(now):
		return fmt.Errorf("expired at %s; get a new one from the directory", stamp(exp))
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
