package jwks

import (
	"context"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// Keeper keeps key sets for the next run of the process, or the next configuration. What
// it gives back is trusted as what was fetched: it must have been fetched from the same
// URL, and verified with the same trust.
type Keeper interface {
	// Keep takes what was fetched just now in place of what it has of the URL. It must
	// return at once. What it cannot keep, it must not have an older set of.
	Keep(set Kept)
	// Kept is the last set of a URL, false for none. It is asked for where a fetch has
	// failed and nothing is in memory.
	Kept(ctx context.Context, url string) (set Kept, ok bool)
}

// Kept is a key set as it was fetched.
type Kept struct {
	URL string
	// Software tells a URL that a software statement names from one that the operator
	// wrote, Organisation whose it is (org_id), empty where nobody has said.
	Software     bool
	Organisation string
	Body         []byte
	// Fetched is when, and Fresh until when the keys need no fetch. They are used until
	// MaxStale after that.
	Fetched, Fresh time.Time
}

// Until is when the keys end.
func (k Kept) Until() time.Time { return k.Fresh.Add(MaxStale) }

// KeptBy has the keys kept. It must be called before the source is used.
func (s *Source) KeptBy(k Keeper) *Source {
	s.keeper = k
	return s
}

// Of says whose keys these are. Of several organisations the first counts.
func (s *Source) Of(organisation string) verify.KeySource {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.organisation == "" {
		s.organisation = organisation
	}
	return s
}

func (s *Source) keep(got fetched) {
	s.mu.Lock()
	organisation := s.organisation
	s.mu.Unlock()
	if s.keeper != nil {
		s.keeper.Keep(Kept{URL: s.url, Organisation: organisation, Software: s.early != nil, Body: got.body, Fetched: got.at, Fresh: got.at.Add(got.age)})
	}
}

// recall gives the keys that were kept, as long as they count: from their fetch on, not
// from the start of the process.
func (s *Source) recall(ctx context.Context) (fetched, bool) {
	s.mu.Lock()
	have := s.keys != nil
	s.mu.Unlock()
	if have || s.keeper == nil {
		return fetched{}, false
	}
	kept, ok := s.keeper.Kept(ctx, s.url)
	now := s.now()
	age := kept.Fresh.Sub(kept.Fetched)
	if !ok || kept.URL != s.url || kept.Fetched.After(now) || age < 0 || age > MaxAge || !now.Before(kept.Until()) {
		return fetched{}, false
	}
	keys, _, err := s.read(kept.Body)
	if err != nil {
		return fetched{}, false
	}
	return fetched{keys, kept.Body, kept.Fetched, age}, true
}
