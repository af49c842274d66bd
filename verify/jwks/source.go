package jwks

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// Times of a Source. A server's max-age counts within MinAge and MaxAge.
const (
	// DefaultAge is how long keys are fresh when the server does not say.
	DefaultAge = 15 * time.Minute
	MinAge     = time.Minute
	MaxAge     = 24 * time.Hour
	// MaxStale is how long after their end keys are still used while the server is down.
	MaxStale = 24 * time.Hour
	// RefreshEvery bounds forced refreshes for unknown kids, and is the longest pause
	// after attempts that failed.
	RefreshEvery = 30 * time.Second
	// FirstPause is the pause after one failed attempt. It doubles with each further one
	// up to RefreshEvery, and a success ends it.
	FirstPause = time.Second
)

// Source is the verify.KeySource of one JWKS URL. Concurrent callers share one
// fetch; the fetch outlives a caller that goes away.
type Source struct {
	client *Client
	url    string
	parse  func([]byte) ([]verify.Key, []verify.LeftOut, error)
	grown  func() // called after a fetch, nil for nobody
	now    func() time.Time
	keeper Keeper // nil for none
	// early bounds the attempts that come sooner than RefreshEvery after one that failed,
	// nil for a URL that the operator wrote.
	early *earlyAttempts

	flight singleflight.Group
	mu     sync.Mutex
	keys   []verify.Key  // nil until there are some: no revoked keys are some
	got    time.Time     // when keys were fetched
	fresh  time.Time     // until when keys need no fetch
	tried  time.Time     // last attempt
	failed error         // of the last attempt
	pause  time.Duration // until the next one, where it failed
	tries  uint64        // attempts that have ended
	size   int           // bytes that the keys were read from
	// organisation is whose keys these are (org_id), empty where nobody has said.
	organisation string
}

// NewSource makes the source of a URL. Nothing is fetched yet. now is the clock,
// nil for time.Now.
func NewSource(client *Client, url string, now func() time.Time) *Source {
	return newSource(client, url, verify.ReadJWKS, now)
}

// NewRevokedSource makes the source of a JWKS of revoked keys, which may be empty:
// for verify.Key.CheckRevoked.
func NewRevokedSource(client *Client, url string, now func() time.Time) *Source {
	return newSource(client, url, func(body []byte) ([]verify.Key, []verify.LeftOut, error) {
		keys, err := verify.ParseRevokedJWKS(body)
		return keys, nil, err
	}, now)
}

func newSource(client *Client, url string, parse func([]byte) ([]verify.Key, []verify.LeftOut, error), now func() time.Time) *Source {
	if now == nil {
		now = time.Now
	}
	return &Source{client: client, url: url, parse: parse, now: now}
}

// Keys returns fresh keys, or stale ones while the server is down, or an error
// when there are none.
func (s *Source) Keys(ctx context.Context) ([]verify.Key, error) {
	s.mu.Lock()
	now := s.now()
	keys, failed, tries := s.keys, s.failed, s.tries
	fresh := now.Before(s.fresh)
	paused := failed != nil && now.Sub(s.tried) < s.pause
	stale := now.Before(s.fresh.Add(MaxStale))
	s.mu.Unlock()
	switch {
	case keys != nil && fresh:
		return keys, nil
	case paused && keys != nil && stale:
		return keys, nil
	case paused:
		return nil, failed
	}
	fetched, err := s.fetch(ctx, tries)
	if err != nil && keys != nil && stale {
		return keys, nil
	}
	return fetched, err
}

// Refresh fetches once more, unless that was done less than RefreshEvery ago.
func (s *Source) Refresh(ctx context.Context) ([]verify.Key, error) {
	s.mu.Lock()
	recent, tries := s.now().Sub(s.tried) < RefreshEvery, s.tries
	s.mu.Unlock()
	if recent {
		return s.Keys(ctx)
	}
	if keys, err := s.fetch(ctx, tries); err == nil {
		return keys, nil
	}
	return s.Keys(ctx)
}

// fetch makes an attempt, or waits for the one under way. tries is what the
// caller saw when it decided: where another attempt has ended since, that
// one's outcome counts, because the flight it could have joined has landed.
func (s *Source) fetch(ctx context.Context, tries uint64) ([]verify.Key, error) {
	done := s.flight.DoChan("", func() (any, error) {
		s.mu.Lock()
		keys, err, late := s.keys, s.failed, s.tries != tries
		s.mu.Unlock()
		if late {
			return keys, err
		}
		if err != nil && !s.mayTry() {
			return nil, err
		}
		return s.attempt(context.WithoutCancel(ctx))
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-done:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.([]verify.Key), nil
	}
}

// mayTry tells whether a source whose last attempt failed may make another one now. Each
// of many URLs may be tried early, but not all of them.
func (s *Source) mayTry() bool {
	s.mu.Lock()
	now, tried, organisation := s.now(), s.tried, s.organisation
	s.mu.Unlock()
	return s.early == nil || now.Sub(tried) >= RefreshEvery || s.early.take(organisation, now)
}

// attempt fetches the keys. Where that fails, and there were none before, those count
// that were kept.
func (s *Source) attempt(ctx context.Context) ([]verify.Key, error) {
	got, err := s.get(ctx)
	if err == nil {
		s.keep(got)
	} else if kept, ok := s.recall(ctx); ok {
		s.end(kept, err)
		s.grow()
		return kept.keys, nil
	}
	s.end(got, err)
	if err == nil {
		s.grow()
	}
	return got.keys, err
}

func (s *Source) grow() {
	if s.grown != nil {
		s.grown()
	}
}

// end records the outcome of an attempt: keys, and why they are not those of the server.
func (s *Source) end(got fetched, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tried, s.failed, s.tries = s.now(), err, s.tries+1
	s.pause = min(max(2*s.pause, FirstPause), RefreshEvery)
	if err == nil {
		s.pause = 0
	}
	if got.keys != nil {
		s.keys, s.size, s.got, s.fresh = got.keys, len(got.body), got.at, got.at.Add(got.age)
	}
}

// held is the size of what the source keeps.
func (s *Source) held() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size
}

// fetched is what one answer says.
type fetched struct {
	keys []verify.Key
	body []byte
	at   time.Time
	age  time.Duration
}

func (s *Source) get(ctx context.Context) (fetched, error) {
	res, err := s.client.Get(ctx, s.url)
	if err != nil {
		return fetched{}, fmt.Errorf("fetching keys: %w", err)
	}
	keys, leftOut, err := s.read(res.Body)
	if len(leftOut) > 0 && s.client.leftOut != nil {
		s.client.leftOut(s.url, leftOut)
	}
	if err != nil {
		return fetched{}, fmt.Errorf("keys of %s: %w", s.url, err)
	}
	return fetched{keys, res.Body, s.now(), Age(res.Header, DefaultAge, MinAge, MaxAge)}, nil
}

// read is parse, whose panic would end the process: no request's goroutine runs it.
func (s *Source) read(body []byte) (keys []verify.Key, leftOut []verify.LeftOut, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return s.parse(body)
}

// Age is how long an answer with these headers is fresh: the max-age of its
// Cache-Control within bounds, the smallest of several, or otherwise. no-store and no-cache are not
// followed to the letter, or every request would wait for a fetch: with them it is
// otherwise at most.
func Age(header http.Header, otherwise, least, most time.Duration) time.Duration {
	age, said := most, false
	for part := range strings.SplitSeq(strings.Join(header.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			age, said = min(age, otherwise), true
		case "max-age":
			seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31)
			one := otherwise
			if err == nil {
				one = max(time.Duration(seconds)*time.Second, least)
			}
			age, said = min(age, one), true
		}
	}
	if !said {
		return otherwise
	}
	return age
}
