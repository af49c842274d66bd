package crl

import (
	"context"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/verify/crl/crltest"
)

// TestRefresh: a list is fetched again by its age, at its end, and more and more seldom
// where that brings nothing.
func TestRefresh(t *testing.T) {
	ca := crltest.New(t, at, "CA", nil, nil)
	s := newServer(t)
	h := newHeld(t, nil)
	h.AddURL(client(), s.URL)
	for _, c := range []struct {
		list []byte
		age  string
		want time.Duration
	}{
		{nil, "", firstPause}, {nil, "", 2 * firstPause}, {[]byte("x"), "", 4 * firstPause}, {nil, "", 8 * firstPause}, {nil, "", 16 * firstPause}, {nil, "", maxPause},
		{ca.List(func(l *x509.RevocationList) { l.NextUpdate = at.Add(48 * time.Hour) }), "", defaultAge},
		{nil, "", firstPause}, // the pause begins anew
		{ca.List(func(l *x509.RevocationList) { l.NextUpdate = at.Add(48 * time.Hour) }), "max-age=7200", 2 * time.Hour},
		{ca.List(func(l *x509.RevocationList) { l.NextUpdate = at.Add(48 * time.Hour) }), "max-age=1", minAge},
		{ca.List(func(l *x509.RevocationList) { l.NextUpdate = at.Add(72 * time.Hour) }), "max-age=999999", 24 * time.Hour},
		{ca.List(func(l *x509.RevocationList) { l.NextUpdate = at.Add(20 * time.Minute) }), "", 20 * time.Minute},
		{ca.List(func(l *x509.RevocationList) { l.NextUpdate = at.Add(time.Second) }), "", firstPause},
		{ca.List(func(l *x509.RevocationList) { l.NextUpdate = at.Add(-time.Second) }), "", firstPause},
		{ca.List(func(l *x509.RevocationList) { l.NextUpdate = at.Add(-time.Second) }), "", 2 * firstPause},
	} {
		s.list.Store(nil)
		if c.list != nil {
			s.serves(c.list)
		}
		s.age = c.age
		h.check("pause after "+c.age, h.attempt().pause, c.want)
	}
}

// TestRun: the first lists are waited for, and then they are fetched again until the end.
func TestRun(t *testing.T) {
	ca := crltest.New(t, at, "CA", nil, nil)
	s := newServer(t)
	s.serves(ca.List(nil, 1))
	h := newHeld(t, nil)
	tick := make(chan time.Time)
	h.after = func(d time.Duration) <-chan time.Time {
		if d == readyWithin {
			return nil
		}
		return tick
	}
	h.AddURL(client(), s.URL)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { h.Run(ctx); close(ended) }()
	h.Ready(t.Context())
	h.check("revoked", h.revokes(ca, 1), true)
	s.serves(ca.List(ca.Numbered(8, time.Minute), 2))
	tick <- at
	tick <- at // the attempt before has ended
	h.check("revoked later", h.revokes(ca, 2), true)
	cancel()
	wait.For(t, ended, "the end of Run")
}

// TestReady: a server that hangs is waited for together, and for a time; not at all where a
// current list was kept.
func TestReady(t *testing.T) {
	ca := crltest.New(t, at, "CA", nil, nil)
	free, fetched := make(chan struct{}), make(chan struct{}, 3)
	hanging := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { fetched <- struct{}{}; <-free }))
	defer hanging.Close()
	defer close(free)
	for _, c := range []struct {
		name  string
		list  []byte
		waits bool
	}{
		{"nothing kept", nil, true}, {"a current list kept", ca.List(nil, 1), false},
		{"an old list kept", ca.List(func(l *x509.RevocationList) { l.NextUpdate = at.Add(-time.Minute) }, 1), true},
	} {
		k := new(kept)
		if c.list != nil {
			k.Keep(Kept{URL: hanging.URL, Body: c.list})
		}
		h := newHeld(t, k)
		enough := make(chan time.Time)
		h.after = func(time.Duration) <-chan time.Time { return enough }
		h.AddURL(client(), hanging.URL)
		ready := make(chan struct{})
		go func() { h.Ready(t.Context()); close(ready) }()
		wait.For(t, fetched, c.name+": the request") // what was kept is read by now
		if c.waits {
			select {
			case enough <- at:
			case <-ready:
				t.Errorf("%s: nothing is waited for", c.name)
			}
		}
		wait.For(t, ready, c.name+": the end of Ready")
		h.Ready(t.Context()) // and never again
		h.check(c.name, h.revokes(ca, 1), c.list != nil)
	}
}
