package caddymodule

import (
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
)

func TestRateLimit(t *testing.T) {
	for _, c := range []struct {
		of       *RateLimit
		requests int
		window   time.Duration
	}{
		{nil, 100, 10 * time.Second}, {new(RateLimit), 100, 10 * time.Second},
		{&RateLimit{Requests: 1}, 1, 10 * time.Second}, {&RateLimit{Window: caddy.Duration(time.Minute)}, 100, time.Minute},
	} {
		if requests, window := c.of.values(); requests != c.requests || window != c.window {
			t.Errorf("%+v: %d in %v, want %d in %v", c.of, requests, window, c.requests, c.window)
		}
	}
	if limits, err := (&RateLimit{Off: true}).provision(); limits != nil || err != nil {
		t.Errorf("off: %v, %v, want no limits", limits, err)
	}
	for _, l := range []*RateLimit{{Window: -1}, {Requests: -1}} {
		if _, err := l.provision(); err == nil {
			t.Errorf("%+v: got it accepted, want an error", l)
		}
	}
}
