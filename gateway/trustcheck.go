package gateway

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/crl"
	"github.com/caddy-dcr/caddy-dcr/verify/dn"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// TrustCheck looks again at what the clients of a workspace are trusted for. It is for the
// registry's passes, one call at a time.
type TrustCheck struct {
	// Rules are those of registrations.
	Rules *verify.RequestRules
	// Fresh fetches keys apart from those that requests use, by issuer.
	Fresh map[string]FreshKeys
	// CRLs are those of the site, nil for none.
	CRLs *crl.Set
	// Trust is what client certificates are verified with, as in Options.
	Trust func(*http.Request) (*verify.TransportTrust, error)
	// Now is the clock.
	Now func() time.Time

	// last are the keys that were fetched last, of one software.
	last map[fetchedKeys]fetched
	// failures are how many fetches of a directory have failed in turn.
	failures map[string]int
	// anchors are the subjects of the CAs that the site trusts, nil where that is not known.
	anchors map[string]bool
}

// FreshKeys make sources that fetch anew. Each may be nil.
type FreshKeys struct {
	// Directory is the directory's own JWKS.
	Directory func() verify.KeySource
	// Software and Revoked are those of verify.Issuer.
	Software, Revoked func(endpoint string) (verify.KeySource, error)
}

type fetchedKeys struct {
	directory, endpoint string
	revoked             bool
}

type fetched struct {
	keys []verify.Key
	err  error
}

const (
	// trustFetchWithin is what one fetch may take.
	trustFetchWithin = 15 * time.Second
	// maxTrustFailures is how many fetches may fail in turn before a directory is not asked
	// any more in a pass: each may take its whole time.
	maxTrustFailures = 20
)

var errDirectoryFails = errors.New("fetches from this directory fail; it is not asked any more in this pass")

// CheckDirectories fetches the keys of each directory, and finds out which CAs are trusted.
func (t *TrustCheck) CheckDirectories(ctx context.Context, before map[string]int, wait func(context.Context) error) (found []registry.DirectoryFinding, keys map[string]int) {
	t.last, t.failures, keys = nil, map[string]int{}, map[string]int{}
	t.readAnchors(ctx)
	for _, issuer := range t.Rules.Issuers {
		fresh := t.Fresh[issuer.Name].Directory
		if fresh == nil {
			continue // a file, whose changes the log tells of
		}
		got := t.fetch(ctx, issuer.Name, fresh(), wait)
		f := registry.DirectoryFinding{Directory: issuer.Name}
		switch n := len(got.keys); {
		case emptySet(got.err):
			f.Kind, f.Detail = registry.KeysEmpty, got.err.Error()
		case got.err != nil:
			f.Kind, f.Detail = registry.KeysUnreachable, got.err.Error()
		case 2*n < before[issuer.Name]:
			f.Kind, f.Detail = registry.KeysShrunk, fmt.Sprintf("%d of the %d keys of the pass before are left", n, before[issuer.Name])
		}
		if f.Kind != "" {
			found = append(found, f)
		}
		if keys[issuer.Name] = len(got.keys); got.err != nil {
			keys[issuer.Name] = before[issuer.Name]
		}
	}
	return found, keys
}

// CheckClient looks at the keys of the client's software and at its certificate.
func (t *TrustCheck) CheckClient(ctx context.Context, c *registry.Client, registered *verify.PolicyCertificate, wait func(context.Context) error) registry.TrustResult {
	var r registry.TrustResult
	t.checkKeys(ctx, c, wait, &r)
	t.checkCertificate(ctx, c, registered, &r)
	return r
}

func finding(r *registry.TrustResult, kind, format string, args ...any) {
	r.Findings = append(r.Findings, registry.Finding{Kind: kind, Detail: fmt.Sprintf(format, args...)})
}

// checkKeys looks at the software's JWKS and its list of revoked keys. A key that has left the
// JWKS is a rotation, and no finding. A JWKS that is empty or cannot be fetched says nothing
// about the software: an attacker or an outage may have emptied it.
func (t *TrustCheck) checkKeys(ctx context.Context, c *registry.Client, wait func(context.Context) error, r *registry.TrustResult) {
	if c.Directory == "" {
		return // registered without a software statement
	}
	i := slices.IndexFunc(t.Rules.Issuers, func(i *verify.Issuer) bool { return i.Name == c.Directory })
	if i < 0 {
		finding(r, registry.DirectoryNotConfigured, "no software_statement names the directory %s", refusal.ForLog(c.Directory))
		r.Unknown = []string{registry.KeyRevoked, registry.NoUsableKey}
		return
	}
	fresh := t.Fresh[c.Directory]
	if c.JWKSURI == "" || fresh.Software == nil || !t.signs(c) {
		return
	}
	keys := t.fetchOf(ctx, c, fetchedKeys{c.Directory, c.JWKSURI, false}, fresh.Software, wait)
	if unreadable(keys.err) {
		t.blame(c, "software_jwks_endpoint", keys.err, r)
		r.Unknown = []string{registry.KeyRevoked, registry.NoUsableKey}
		return
	}
	var signing []verify.Key
	for _, k := range keys.keys {
		if k.Verifies(t.algorithms()) {
			signing = append(signing, k)
		}
	}
	if len(signing) == 0 {
		why := "no key is for signatures with an accepted algorithm"
		if keys.err != nil {
			why = keys.err.Error()
		}
		finding(r, registry.NoUsableKey, "%s: %s", refusal.ForLog(c.JWKSURI), why)
		return
	}
	if c.RevokedJWKSURI == "" || fresh.Revoked == nil {
		return
	}
	revoked := t.fetchOf(ctx, c, fetchedKeys{c.Directory, c.RevokedJWKSURI, true}, fresh.Revoked, wait)
	if revoked.err != nil {
		t.blame(c, "software_jwks_revoked_endpoint", revoked.err, r)
		r.Unknown = []string{registry.KeyRevoked}
		return
	}
	for _, k := range signing {
		if k.CheckRevoked(ctx, verify.FixedKeys(revoked.keys)) != nil {
			finding(r, registry.KeyRevoked, "the software can sign with the key %s, which %s lists", refusal.ForLog(k.ID), refusal.ForLog(c.RevokedJWKSURI))
			return
		}
	}
}

// signs tells whether the software's keys verify anything of this client.
func (t *TrustCheck) signs(c *registry.Client) bool {
	return t.Rules.Keys == nil && !t.Rules.Unsigned || c.Metadata.TokenEndpointAuthMethod == "private_key_jwt"
}

func (t *TrustCheck) algorithms() []string {
	if len(t.Rules.Algorithms) > 0 {
		return t.Rules.Algorithms
	}
	return verify.DefaultAlgorithms
}

// blame finds that a directory, or what it publishes, cannot be read.
func (t *TrustCheck) blame(c *registry.Client, claim string, err error, r *registry.TrustResult) {
	r.Directory = &registry.DirectoryFinding{
		Directory: c.Directory, Kind: registry.SoftwareKeysUnreadable, Count: 1,
		Detail: fmt.Sprintf("%s of software_id %s: %v", claim, refusal.ForLog(c.SoftwareID), err),
	}
}

// emptySet tells whether a JWKS was read that has no key at all.
func emptySet(err error) bool {
	unusable := (*verify.UnusableKeys)(nil)
	return errors.As(err, &unusable) && unusable.Set == nil && len(unusable.LeftOut) == 0
}

// unreadable tells whether nothing is known of a software's keys. Of a JWKS whose keys are all
// unusable it is known that none could verify a request.
func unreadable(err error) bool {
	return err != nil && (emptySet(err) || !errors.As(err, new(*verify.UnusableKeys)))
}

// fetchOf fetches one JWKS of a software. Those of the client before are not fetched again
// where they are the same.
func (t *TrustCheck) fetchOf(ctx context.Context, c *registry.Client, what fetchedKeys, sources func(string) (verify.KeySource, error), wait func(context.Context) error) fetched {
	if got, ok := t.last[what]; ok {
		return got
	}
	got := fetched{}
	source, err := sources(what.endpoint)
	switch {
	case err != nil:
		got.err = err
	case t.failures[what.directory] >= maxTrustFailures:
		got.err = errDirectoryFails
	default:
		got = t.fetch(ctx, what.directory, verify.KeysOf(source, c.OrgID), wait)
	}
	if len(t.last) >= 2 {
		t.last = nil
	}
	if t.last == nil {
		t.last = map[fetchedKeys]fetched{}
	}
	t.last[what] = got
	return got
}

func (t *TrustCheck) fetch(ctx context.Context, directory string, source verify.KeySource, wait func(context.Context) error) (got fetched) {
	if got.err = wait(ctx); got.err != nil {
		return got
	}
	ctx, cancel := context.WithTimeout(ctx, trustFetchWithin)
	defer cancel()
	got.keys, got.err = source.Keys(ctx)
	if t.failures == nil { // a reload in the middle of a pass
		t.failures = map[string]int{}
	}
	if t.failures[directory]++; got.err == nil || errors.As(got.err, new(*verify.UnusableKeys)) {
		t.failures[directory] = 0
	}
	return got
}

// serialOf reads a serial number in hexadecimal.
func serialOf(text string) (*big.Int, bool) { return new(big.Int).SetString(text, 16) }

// canonical is a DN that can be compared; empty for none.
func canonical(text string) string {
	name, err := dn.Parse(text)
	if err != nil || len(name) == 0 {
		return ""
	}
	return name.Canonical()
}

// Interface guard.
var _ registry.TrustChecker = (*TrustCheck)(nil)
