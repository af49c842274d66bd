package caddymodule

import (
	"cmp"
	"errors"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-dcr/caddy-dcr/gateway"
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
}

// Defaults of RateLimit. A conformance run sends a few requests a second.
const (
	defaultRequests = 100
	defaultWindow   = 10 * time.Second
)

// provision makes the limits, nil where there are none.
func (l *RateLimit) provision() (*gateway.RateLimits, error) {
	switch {
	case l != nil && (l.Requests < 0 || l.Window < 0):
		return nil, errors.New("rate_limit: must be positive")
	case l != nil && l.Off:
		return nil, nil
	}
	return gateway.NewRateLimits(l.values())
}

// values are those of the configuration, or the defaults.
func (l *RateLimit) values() (requests int, window time.Duration) {
	if l == nil {
		return defaultRequests, defaultWindow
	}
	return cmp.Or(l.Requests, defaultRequests), cmp.Or(time.Duration(l.Window), defaultWindow)
}
