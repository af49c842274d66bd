package verify

import (
	"context"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/trace"
)

// The keys that a verified statement names. Its URLs come from the directory, and
// still only hosts that the operator allows for this directory are asked.

// softwareKeys is the source of one of the statement's endpoints, nil when it
// names none.
func (s *SoftwareStatement) softwareKeys(claim, endpoint string) (KeySource, error) {
	return s.source(claim, endpoint, s.Issuer.SoftwareKeys)
}

func (s *SoftwareStatement) source(claim, endpoint string, sources func(string) (KeySource, error)) (KeySource, error) {
	if endpoint == "" || sources == nil {
		return nil, nil
	}
	source, err := sources(endpoint)
	if err != nil {
		return nil, refusal.New(refusal.UnapprovedSoftwareStatement, claim, "software_statement: %s %s is not at a host that is accepted for this issuer; publish the keys at the directory", claim, refusal.Quote(endpoint)).Because(err)
	}
	return KeysOf(source, s.OrgID), nil
}

// KeysOf tells a source whose keys it has (org_id), where it wants to know: what it keeps
// and fetches is shared out among organisations.
func KeysOf(source KeySource, organisation string) KeySource {
	if s, ok := source.(interface {
		Of(organisation string) KeySource
	}); ok {
		return s.Of(organisation)
	}
	return source
}

// beginEndpoint begins the step that looks at where the software's keys are.
func beginEndpoint(t *trace.Trace, s *SoftwareStatement) {
	t.BeginWith("software_statement", "software_jwks_endpoint", "DCR 3.2, OpenID Registration 2 jwks_uri", func() any { return s.JWKSEndpoint })
}

// checkRevoked asks, where the operator wants it, whether the directory has
// revoked a key that verified the request. A statement that names no list of
// revoked keys has none.
func (s *SoftwareStatement) checkRevoked(ctx context.Context, k Key) error {
	if s.Issuer.RevokedKeys != nil && s.RevokedEndpoint != "" {
		trace.FromContext(ctx).BeginWith("request", "revoked_keys", "DCR 3.2, software_jwks_revoked_endpoint", func() any { return k.ID })
	}
	revoked, err := s.source("software_jwks_revoked_endpoint", s.RevokedEndpoint, s.Issuer.RevokedKeys)
	if err != nil || revoked == nil {
		return err
	}
	return k.CheckRevoked(ctx, revoked)
}

// transportKeys are the JWKS where the software's and its organisation's transport
// certificates are. One at a refused host is a source that says so.
func (s *SoftwareStatement) transportKeys() (sources []KeySource) {
	for _, e := range []struct{ claim, endpoint string }{
		{"software_jwks_endpoint", s.JWKSEndpoint}, {"org_jwks_endpoint", s.OrgJWKSEndpoint},
	} {
		source, err := s.softwareKeys(e.claim, e.endpoint)
		if err != nil {
			source = refusedKeys{err}
		}
		if source != nil {
			sources = append(sources, source)
		}
	}
	return sources
}

// refusedKeys are those that are not fetched.
type refusedKeys struct{ error }

func (r refusedKeys) Keys(context.Context) ([]Key, error)    { return nil, r.error }
func (r refusedKeys) Refresh(context.Context) ([]Key, error) { return nil, r.error }
