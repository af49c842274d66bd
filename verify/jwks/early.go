package jwks

import (
	"sync"
	"time"
)

// Bounds of the attempts that come sooner than RefreshEvery after one that failed, in
// each RefreshEvery. A TPP has as many URLs as it has software, and with self-signed
// statements as many as it likes: each of them fails once a RefreshEvery, as before, and
// what comes sooner is shared out.
const (
	maxEarly      = 64
	maxEarlyOfOne = 5 // as many as one URL makes: after 1, 2, 4, 8 and 16 seconds
)

// earlyAttempts counts them, for all URLs of one directory. The zero value is ready.
type earlyAttempts struct {
	mu    sync.Mutex
	since time.Time
	all   int
	of    map[string]int
}

// take tells whether an organisation may make another one.
func (e *earlyAttempts) take(organisation string, now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.of == nil || now.Sub(e.since) >= RefreshEvery || now.Before(e.since) {
		e.since, e.all, e.of = now, 0, map[string]int{}
	}
	if e.all >= maxEarly || e.of[organisation] >= maxEarlyOfOne {
		return false
	}
	e.all++
	e.of[organisation]++
	return true
}
