package gateway

import (
	"errors"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

func TestRateLimit(t *testing.T) {
	l, err := NewRateLimits(3, 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i, c := range []struct {
		who  string
		at   time.Duration
		wait time.Duration // 0: taken
	}{
		{"a", 0, 0}, {"a", 0, 0}, {"a", 0, 0},
		{"a", 0, 10 * time.Second},
		{"a", 4 * time.Second, 6 * time.Second}, // what is refused costs nothing
		{"b", 4 * time.Second, 0},               // another one's
		{"a", 10 * time.Second, 0},
		{"a", 10 * time.Second, 10 * time.Second},
		{"a", time.Hour, 0}, {"a", time.Hour, 0}, {"a", time.Hour, 0},
		{"a", time.Hour, 10 * time.Second}, // a long rest gives no more than at the begin
	} {
		err := l.take(c.who, begin.Add(c.at))
		if c.wait == 0 {
			if err != nil {
				t.Errorf("request %d: %v", i, err)
			}
			continue
		}
		var e *refusal.Error
		if !errors.As(err, &e) || e.Status() != 429 || e.Code() != "invalid_request" || e.RetryAfter.Round(time.Millisecond) != c.wait {
			t.Errorf("request %d: %v, want 429 after %s", i, err, c.wait)
		}
	}
	var off *RateLimits
	for range 1000 {
		if err := off.take("a", begin); err != nil {
			t.Fatal(err)
		}
	}
}

// What nobody will ask again is forgotten, so that certificates cannot fill the memory.
func TestRateLimitForgets(t *testing.T) {
	l, err := NewRateLimits(100, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	const most = 10_000
	for i := range most + 100 {
		if err := l.take(time.Duration(i).String(), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if n := l.seen.Len(); n != most {
		t.Errorf("%d are remembered, want %d", n, most)
	}
}

// TestRateLimitOfSoftware: many certificates are still one TPP, and all software of an
// organisation together may ask four times as often as one.
func TestRateLimitOfSoftware(t *testing.T) {
	l, err := NewRateLimits(10, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	taken := func(directory, software, organisation string, times int) (n int, last *refusal.Error) {
		for range times {
			err := l.takeOf(directory, software, organisation, "PSDGB-FCA-1", now)
			if err == nil {
				n++
				continue
			}
			if !errors.As(err, &last) || last.Status() != 429 || last.RetryAfter <= 0 {
				t.Errorf("%v, want 429 with Retry-After", err)
			}
		}
		return n, last
	}
	if n, e := taken("d", "software", "org", 20); n != 10 || e.Description != "too many requests of this software; send at most 10 in 10s, with all its certificates together" {
		t.Errorf("%d of one software, %v", n, e)
	}
	if err := l.takeOf("d", "software", "org", "PSDGB-FCA-2", now); err != nil {
		t.Errorf("who sends on another's requests has used up that other's: %v", err)
	}
	if n, _ := taken("d", "software", "other org", 1); n != 0 {
		t.Error("the software is another one with another organisation")
	}
	if n, _ := taken("another", "software", "org", 20); n != 10 {
		t.Errorf("%d of a software of that id in another directory", n)
	}
	total := 10
	var told *refusal.Error
	for _, software := range []string{"a", "b", "c", "e", "f"} {
		n, e := taken("d", software, "org", 10)
		total += n
		told = e
	}
	if total != 40 || told.Description != "too many requests of this organisation; send at most 40 in 10s, with all its software together" {
		t.Errorf("%d of one organisation, %v", total, told)
	}
	if n, _ := taken("d", "", "", 100); n != 100 {
		t.Errorf("%d of nobody knows whom", n)
	}
	now = now.Add(time.Second)
	if n, _ := taken("d", "software", "org", 20); n != 1 {
		t.Errorf("%d a second later, want 1", n)
	}
	var off *RateLimits
	if err := off.takeOf("d", "software", "org", "", now); err != nil {
		t.Error(err)
	}
}
