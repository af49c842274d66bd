package jwks

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// MaxShownKeyIDs is how many key ids a State has at most.
const MaxShownKeyIDs = 100

// State is what a Source has now, for operators.
type State struct {
	URL string
	// Organisation is whose keys these are (org_id), empty where nobody has said.
	Organisation string
	// Keys is how many there are, KeyIDs the kid of those that have one, MaxShownKeyIDs at most.
	Keys   int
	KeyIDs []string
	// Fetched is when they were fetched, Fresh until when they need no fetch, and Until when
	// they end if none succeeds. Zero where there are none.
	Fetched, Fresh, Until time.Time
	// Tried is the last attempt, zero for none. Failed is its error, nil where it has none, and
	// Next when a request may make another one after that.
	Tried  time.Time
	Failed error
	Next   time.Time
}

// State does not fetch.
func (s *Source) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := State{URL: s.url, Organisation: s.organisation, Keys: len(s.keys), Tried: s.tried, Failed: s.failed}
	for _, k := range s.keys {
		if k.ID != "" && len(state.KeyIDs) < MaxShownKeyIDs {
			state.KeyIDs = append(state.KeyIDs, k.ID)
		}
	}
	if s.keys != nil {
		state.Fetched, state.Fresh, state.Until = s.got, s.fresh, s.fresh.Add(MaxStale)
	}
	if s.failed != nil {
		state.Next = s.tried.Add(s.pause)
	}
	return state
}

// RefreshNow is Refresh for an operator: fetched tells whether there was an attempt since the
// call, which there is not within RefreshEvery of the last one. State has what came of it.
func (s *Source) RefreshNow(ctx context.Context) (fetched bool) {
	before := s.attempts()
	_, _ = s.Refresh(ctx)
	return s.attempts() != before
}

func (s *Source) attempts() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tries
}

// URL is where the keys are fetched.
func (s *Source) URL() string { return s.url }

// All are the sources that are kept now, by URL.
func (s *Sources) All() []*Source {
	all := s.cache.Values()
	slices.SortFunc(all, func(a, b *Source) int { return cmp.Compare(a.url, b.url) })
	return all
}
