package caddymodule

import (
	"errors"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// RateLimit bounds what one TPP may ask of the registration endpoints: each
// request costs signatures, and an accepted one a call to the AS and a write.
// Nobody without a certificate gets as far as it.
type RateLimit struct {
	// Requests that may come at once, and in each Window. Default: 100.
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

// maxLimited is the number of TPPs that are told apart, the least recent
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

// take counts one request of somebody.
//
// Errors: TooManyRequests, with the time after which one more may come.
func (l *RateLimit) take(who string, now time.Time) error {
	if l.Off {
		return nil
	}
	l.mu.Lock()
	limiter, ok := l.seen.Get(who)
	if !ok {
		limiter = rate.NewLimiter(rate.Limit(float64(l.Requests)/time.Duration(l.Window).Seconds()), l.Requests)
		l.seen.Add(who, limiter)
	}
	l.mu.Unlock()
	r := limiter.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait == 0 {
		return nil
	}
	r.CancelAt(now)
	e := verify.Refuse(verify.TooManyRequests, "rate_limit", "too many requests with this certificate or from this address; send at most %d in %s", l.Requests, time.Duration(l.Window))
	e.RetryAfter = wait
	return e
}

// sender is whose requests are counted together: a certificate's, or without
// certificates an address's.
func sender(r *http.Request, cert *verify.Certificate) string {
	if cert != nil {
		return cert.Thumbprint
	}
	text, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	// Whoever has one IPv6 address has the 2^64 around it.
	if ip, err := netip.ParseAddr(text); err == nil && ip.Is6() && !ip.Is4In6() {
		if network, err := ip.Prefix(64); err == nil {
			return network.String()
		}
	}
	return text
}
