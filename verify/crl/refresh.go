package crl

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// Times of an address. A server's max-age counts within minAge and maxAge; a list that
// ends sooner is fetched again at its nextUpdate.
const (
	defaultAge = time.Hour
	minAge     = 5 * time.Minute
	maxAge     = 24 * time.Hour
	// firstPause is the pause after an attempt that failed, and after one that brought a
	// list that has ended. It doubles up to maxPause.
	firstPause = 30 * time.Second
	maxPause   = 15 * time.Minute
	// readyWithin is how long after the beginning requests wait for the first attempts,
	// FetchWithin what one attempt may take.
	readyWithin = 5 * time.Second
	FetchWithin = 30 * time.Second
)

// begin asks every address once, and what was kept of it before. It waits for nothing: a
// request does, for as long as it may take until there is a current list of each, and for
// readyWithin after the beginning at most.
func (s *Set) begin(ctx context.Context) {
	s.beginning.Do(func() {
		ctx = context.WithoutCancel(ctx) // of the request that came first
		var awaited sync.WaitGroup
		for _, from := range s.sources {
			if from.client == nil {
				close(from.first)
				continue
			}
			awaited.Add(1)
			go from.begin(ctx, awaited.Done)
		}
		enough := make(chan struct{})
		go func() { awaited.Wait(); close(enough) }()
		go func() {
			select {
			case <-enough:
			case <-s.after(readyWithin):
			}
			s.loaded.Store(true)
			close(s.begun)
		}()
	})
}

// begin calls ready when there is a current list, or when there is none to be had.
func (f *source) begin(ctx context.Context, ready func()) {
	defer close(f.first)
	if f.recall(ctx); f.state(f.set.now()).Current {
		ready()
		f.attempt(ctx)
		return
	}
	f.attempt(ctx)
	ready()
}

// Run fetches the lists, and fetches them again, until ctx ends.
func (s *Set) Run(ctx context.Context) {
	s.begin(ctx)
	var all sync.WaitGroup
	for _, from := range s.sources {
		all.Go(func() { from.run(ctx) })
	}
	all.Wait()
}

func (f *source) run(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-f.first:
	}
	for {
		f.tellEnded()
		select {
		case <-ctx.Done():
			return
		case <-f.set.after(f.next()):
		}
		if f.client != nil {
			f.attempt(ctx)
		}
	}
}

// next is how long it is until the next attempt, or the next look at a file's list.
func (f *source) next() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.client == nil {
		return minAge
	}
	return f.pause
}

// attempt fetches the list.
func (f *source) attempt(ctx context.Context) {
	age, err := f.fetch(ctx)
	if ctx.Err() != nil {
		return // the configuration ends: that says nothing
	}
	f.tell(err)
	if err != nil && !f.holds() { // the store may not have been open before
		f.recall(ctx)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	now, l := f.set.now(), f.shown()
	if err != nil || l == nil || !l.Current(now) {
		f.retry = min(max(2*f.retry, firstPause), maxPause)
		f.pause = f.retry
		return
	}
	f.retry, f.pause = 0, max(min(age, l.NextUpdate.Sub(now)), firstPause)
}

func (f *source) fetch(ctx context.Context) (age time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, FetchWithin)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, f.name, nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Accept", "application/pkix-crl, */*")
	res, err := f.client.Do(r)
	if err != nil {
		return 0, err
	}
	if res.Status != http.StatusOK {
		return 0, fmt.Errorf("it answered %d", res.Status)
	}
	sum := sha256.Sum256(res.Body)
	f.mu.Lock()
	same := sum == f.sum && (f.held == nil || f.held.Current(f.set.now())) // else it may take the place of what has ended
	f.mu.Unlock()
	if !same {
		if err := f.use(res.Body, false); err != nil {
			return 0, err
		}
		f.mu.Lock()
		f.sum = sum
		f.mu.Unlock()
	}
	return jwks.Age(res.Header, defaultAge, minAge, maxAge), nil
}

const cure = "look at the address and at what it answers; with crl_mode strict its clients are refused once the list that is held has ended"

// tell says once that there is no list to be had, and that there is again.
func (f *source) tell(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case errors.Is(err, jwks.ErrOffline):
	case err != nil && !f.failing:
		f.log.Warn("cannot use a CRL; goes on with the previous one, if there is one", slog.String("crl", f.name), slog.Any("error", err), slog.String("cure", cure))
		f.failing = true
	case err == nil && f.failing:
		f.log.Info("can use a CRL again", slog.String("crl", f.name))
		f.failing = false
	}
}

// tellEnded says once that a list has ended and no other has come.
func (f *source) tellEnded() {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.shown()
	ended := l != nil && !l.Current(f.set.now())
	if ended && !f.ended {
		f.log.Warn("has no current CRL: the last one is past its nextUpdate, and there is no newer one", slog.String("crl", f.name), slog.Time("next_update", l.NextUpdate), slog.String("cure", "ask the CA, or put its current list into the file"))
	}
	f.ended = ended
}
