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

// MaxSources is the number of software JWKS that are kept at once, the least
// used forgotten first.
const MaxSources = 4096

// Sources gives the key source for each software_jwks_endpoint of one
// directory's statements, of allowed hosts only.
type Sources struct {
	client *Client
	hosts  []string
	now    func() time.Time
	cache  *lru.Cache[string, *Source]
}

// NewSources makes an empty cache. hosts are the names (lower case, without
// port) that an endpoint may have; no host, no source. now nil is time.Now.
func NewSources(client *Client, hosts []string, now func() time.Time) *Sources {
	cache, err := lru.New[string, *Source](MaxSources)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &Sources{client: client, hosts: hosts, now: now, cache: cache}
}

// Source returns the source of an endpoint, or an error when its URL or host is
// not allowed. Concurrent callers get the same one.
func (s *Sources) Source(endpoint string) (verify.KeySource, error) {
	if source, ok := s.cache.Get(endpoint); ok {
		return source, nil
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil:
		return nil, err
	case u.Scheme != "https" || u.User != nil || u.Fragment != "" || u.Opaque != "":
		return nil, fmt.Errorf("%s is not a plain https URL", u.Redacted())
	case !slices.Contains(s.hosts, strings.ToLower(u.Hostname())):
		return nil, fmt.Errorf("host %s is not allowed", u.Hostname())
	}
	source := NewSource(s.client, endpoint, s.now)
	if first, ok, _ := s.cache.PeekOrAdd(endpoint, source); ok {
		return first, nil
	}
	return source, nil
}
