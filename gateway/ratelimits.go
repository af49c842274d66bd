package gateway

import (
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// RateLimits bound what one TPP may ask of the registration endpoints. A nil one bounds nothing.
type RateLimits struct {
	requests int
	window   time.Duration

	mu   sync.Mutex
	seen *lru.Cache[string, *rate.Limiter]
}

// maxLimited is the number of senders that are told apart, the least recent
// forgotten first.
const maxLimited = 10_000

// NewRateLimits lets so many requests come at once, and in each window, with one certificate and
// of one software; of one organisation four times as many.
func NewRateLimits(requests int, window time.Duration) (*RateLimits, error) {
	seen, err := lru.New[string, *rate.Limiter](maxLimited)
	return &RateLimits{requests: requests, window: window, seen: seen}, err
}

// timesOfOrganisation is how often as much all software of an organisation together may
// ask as one certificate, or one software with all its certificates.
const timesOfOrganisation = 4

// take counts one request with a certificate, or from an address.
//
// Errors: TooManyRequests, with the time after which one more may come.
func (l *RateLimits) take(who string, now time.Time) error {
	wait := l.reserve(who, 1, now)
	if wait == 0 {
		return nil
	}
	return after(wait, refusal.New(refusal.TooManyRequests, "rate_limit", "too many requests with this certificate or from this address; send at most %d in %s", l.requests, l.window))
}

// takeOf counts a request that is certainly one of a software's and its organisation's,
// so that many certificates are still one TPP. What is not known is not counted. holder
// is the organisation of the certificate (verify.Certificate.Holder): who sends on
// another's request uses up nothing of that other's.
//
// Errors: as take.
func (l *RateLimits) takeOf(directory, software, organisation, holder string, now time.Time) error {
	if l == nil {
		return nil
	}
	window, by := l.window, " "+refusal.Quote(directory)+" "+refusal.Quote(holder)+" "
	if software != "" {
		if wait := l.reserve("software"+by+software, 1, now); wait > 0 {
			return after(wait, refusal.New(refusal.TooManyRequests, "rate_limit", "too many requests of this software; send at most %d in %s, with all its certificates together", l.requests, window))
		}
	}
	if organisation != "" {
		if wait := l.reserve("organisation"+by+organisation, timesOfOrganisation, now); wait > 0 {
			return after(wait, refusal.New(refusal.TooManyRequests, "rate_limit", "too many requests of this organisation; send at most %d in %s, with all its software together", timesOfOrganisation*l.requests, window))
		}
	}
	return nil
}

func after(wait time.Duration, e *refusal.Error) error {
	e.RetryAfter = wait
	return e
}

// reserve counts one request of somebody who may send times Requests in a Window, and
// returns after what time it may come where it is one too many.
func (l *RateLimits) reserve(who string, times int, now time.Time) (wait time.Duration) {
	if l == nil {
		return 0
	}
	l.mu.Lock()
	limiter, ok := l.seen.Get(who)
	if !ok {
		most := times * l.requests
		limiter = rate.NewLimiter(rate.Limit(float64(most)/l.window.Seconds()), most)
		l.seen.Add(who, limiter)
	}
	l.mu.Unlock()
	r := limiter.ReserveN(now, 1)
	if wait = r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
	}
	return wait
}
