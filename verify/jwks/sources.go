package jwks

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// Bounds of a Sources. The least used is forgotten first.
const (
	// MaxSources is the number of software JWKS that are kept at once.
	MaxSources = 4096
	// MaxHeld is the size of all of them together, in bytes as fetched. One software
	// may publish DefaultMaxBytes: MaxSources alone would let them hold 2 GiB.
	MaxHeld = 64 << 20
	// MaxEndpoint is the length of an endpoint's URL, in bytes.
	MaxEndpoint = 2048
)

// Sources gives the key source for each software_jwks_endpoint, or each
// software_jwks_revoked_endpoint, of one directory's statements, of allowed hosts only.
type Sources struct {
	client *Client
	hosts  []string
	make   func(endpoint string) *Source
	cache  *lru.Cache[string, *Source]
	keeper Keeper // nil for none
	early  earlyAttempts
}

// KeptBy has the keys kept. It must be called before the first Source.
func (s *Sources) KeptBy(k Keeper) *Sources {
	s.keeper = k
	return s
}

// NewSources makes an empty cache. hosts are the names (lower case, without
// port) that an endpoint may have; no host, no source. now nil is time.Now.
func NewSources(client *Client, hosts []string, now func() time.Time) *Sources {
	return newSources(client, hosts, func(endpoint string) *Source { return NewSource(client, endpoint, now) })
}

// NewRevokedSources is NewSources for sets of revoked keys.
func NewRevokedSources(client *Client, hosts []string, now func() time.Time) *Sources {
	return newSources(client, hosts, func(endpoint string) *Source { return NewRevokedSource(client, endpoint, now) })
}

func newSources(client *Client, hosts []string, source func(endpoint string) *Source) *Sources {
	cache, err := lru.New[string, *Source](MaxSources)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &Sources{client: client, hosts: hosts, make: source, cache: cache}
}

// Source returns the source of an endpoint, or an error when its URL or host is
// not allowed. Concurrent callers get the same one.
func (s *Sources) Source(endpoint string) (verify.KeySource, error) {
	if source, ok := s.cache.Get(endpoint); ok {
		return source, nil
	}
	if err := s.check(endpoint); err != nil {
		return nil, err
	}
	source := s.make(endpoint)
	source.grown, source.keeper, source.early = s.makeRoom, s.keeper, &s.early
	if first, ok, _ := s.cache.PeekOrAdd(endpoint, source); ok {
		return first, nil
	}
	return source, nil
}

// makeRoom forgets the least used while all hold too much.
func (s *Sources) makeRoom() {
	held := 0
	for _, source := range s.cache.Values() {
		held += source.held()
	}
	for held > MaxHeld {
		_, source, ok := s.cache.RemoveOldest()
		if !ok {
			return
		}
		held -= source.held()
	}
}

// Apart returns a source that is the caller's own: it fetches anew, takes no other's room, and
// is not kept. For background work over many endpoints, which must not send those away that
// requests need.
func (s *Sources) Apart(endpoint string) (verify.KeySource, error) {
	if err := s.check(endpoint); err != nil {
		return nil, err
	}
	return s.make(endpoint), nil
}

// check refuses an endpoint whose URL or host is not allowed.
func (s *Sources) check(endpoint string) error {
	if len(endpoint) > MaxEndpoint {
		return fmt.Errorf("longer than %d bytes", MaxEndpoint)
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil:
		return err
	case u.Scheme != "https" || u.User != nil || u.Fragment != "" || u.Opaque != "":
		return fmt.Errorf("%s is not a plain https URL", u.Redacted())
	case !slices.Contains(s.hosts, strings.ToLower(u.Hostname())):
		return fmt.Errorf("host %s is not allowed: jwks_hosts does not name it", u.Hostname())
	case s.client.proxied:
		return CheckProxyTarget(u)
	}
	return nil
}
