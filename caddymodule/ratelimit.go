package caddymodule

import (
	"errors"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// RateLimit bounds what one TPP may ask of the registration endpoints: each
// request costs signatures, and an accepted one a call to the AS and a write.
// Nobody without a certificate gets as far as it. Requests count for their certificate
// and, as soon as that is certain, for their software and its organisation too.
type RateLimit struct {
	// Requests that may come at once, and in each Window, with one certificate and of one
	// software; of one organisation four times as many. Default: 100.
	Requests int `json:"requests,omitempty"`
	// Window in which as many more may come. Default: 10s.
	Window caddy.Duration `json:"window,omitempty"`
	// Off switches it off. Default: false.
	Off bool `json:"off,omitempty"`

	mu   sync.Mutex
	seen *lru.Cache[string, *rate.Limiter]
}

// Defaults of RateLimit. A conformance run sends a few requests a second.
const (
	defaultRequests = 100
	defaultWindow   = 10 * time.Second
)

// maxLimited is the number of senders that are told apart, the least recent
// forgotten first.
const maxLimited = 10_000

func (l *RateLimit) provision() (err error) {
	if l.Requests < 0 || l.Window < 0 {
		return errors.New("rate_limit: must be positive")
	}
	if l.Requests == 0 {
		l.Requests = defaultRequests
	}
	if l.Window == 0 {
		l.Window = caddy.Duration(defaultWindow)
	}
	l.seen, err = lru.New[string, *rate.Limiter](maxLimited)
	return err
}

// timesOfOrganisation is how often as much all software of an organisation together may
// ask as one certificate, or one software with all its certificates.
const timesOfOrganisation = 4

// take counts one request with a certificate, or from an address.
//
// Errors: TooManyRequests, with the time after which one more may come.
func (l *RateLimit) take(who string, now time.Time) error {
	wait := l.reserve(who, 1, now)
	if wait == 0 {
		return nil
	}
	return after(wait, verify.Refuse(verify.TooManyRequests, "rate_limit", "too many requests with this certificate or from this address; send at most %d in %s", l.Requests, time.Duration(l.Window)))
}

// takeOf counts a request that is certainly one of a software's and its organisation's,
// so that many certificates are still one TPP. What is not known is not counted. holder
// is the organisation of the certificate (verify.Certificate.Holder): who sends on
// another's request uses up nothing of that other's.
//
// Errors: as take.
func (l *RateLimit) takeOf(directory, software, organisation, holder string, now time.Time) error {
	window, by := time.Duration(l.Window), " "+verify.Quote(directory)+" "+verify.Quote(holder)+" "
	if software != "" {
		if wait := l.reserve("software"+by+software, 1, now); wait > 0 {
			return after(wait, verify.Refuse(verify.TooManyRequests, "rate_limit", "too many requests of this software; send at most %d in %s, with all its certificates together", l.Requests, window))
		}
	}
	if organisation != "" {
		if wait := l.reserve("organisation"+by+organisation, timesOfOrganisation, now); wait > 0 {
			return after(wait, verify.Refuse(verify.TooManyRequests, "rate_limit", "too many requests of this organisation; send at most %d in %s, with all its software together", timesOfOrganisation*l.Requests, window))
		}
	}
	return nil
}

func after(wait time.Duration, e *verify.Error) error {
	e.RetryAfter = wait
	return e
}

// reserve counts one request of somebody who may send times Requests in a Window, and
// returns after what time it may come where it is one too many.
func (l *RateLimit) reserve(who string, times int, now time.Time) (wait time.Duration) {
	if l.Off {
		return 0
	}
	l.mu.Lock()
	limiter, ok := l.seen.Get(who)
	if !ok {
		most := times * l.Requests
		limiter = rate.NewLimiter(rate.Limit(float64(most)/time.Duration(l.Window).Seconds()), most)
		l.seen.Add(who, limiter)
	}
	l.mu.Unlock()
	r := limiter.ReserveN(now, 1)
	if wait = r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
	}
	return wait
}
