package crl

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/crl/crltest"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// TestFile: a file is read anew, and one that is no list changes nothing.
func TestFile(t *testing.T) {
	ca := crltest.New(t, at, "CA", nil, nil)
	h := newHeld(t, nil)
	use := h.AddFile("a.crl")
	if err := use(ca.List(nil, 1)); err != nil {
		t.Fatal(err)
	}
	h.Ready(t.Context())
	h.check("revoked", h.revokes(ca, 1), true)
	if err := use([]byte("x")); err == nil {
		t.Error("x is a list")
	}
	h.check("revoked still", h.revokes(ca, 1), true)
	if err := use(ca.List(ca.Numbered(8, time.Minute), 2)); err != nil {
		t.Fatal(err)
	}
	h.check("revoked before", h.revokes(ca, 1), false)
	h.check("revoked now", h.revokes(ca, 2), true)
	h.now = at.Add(2 * time.Hour)
	h.sources[0].tellEnded()
	h.sources[0].tellEnded()
	h.check("said that it has ended", strings.Count(h.log.String(), "has no current CRL"), 1)
	h.check("current", h.States()[0].Current, false)
}

// TestAnswersOfAnExplanation: nobody is asked where answers stand for the network.
func TestAnswersOfAnExplanation(t *testing.T) {
	ca := crltest.New(t, at, "CA", nil, nil)
	s := newServer(t)
	h := newHeld(t, nil)
	h.AddURL(client(), s.URL)
	h.AddURL(client(), s.URL+"/other")
	h.Ready(jwks.WithAnswers(t.Context(), &jwks.Answers{Bodies: map[string][]byte{s.URL: ca.List(nil, 1)}, Offline: true}))
	h.check("asked", s.asked.Load(), int32(0))
	h.check("revoked", h.revokes(ca, 1), true)
	h.check("whole", h.Whole(), false)
}

// TestPublicOnly: the hosts of lists must be public, as all others.
func TestPublicOnly(t *testing.T) {
	s := newServer(t)
	h := newHeld(t, nil)
	h.AddURL(jwks.NewClient(jwks.Options{PlainHTTP: true}), s.URL)
	if _, err := h.sources[0].fetch(t.Context()); !errors.Is(err, jwks.ErrAddress) {
		t.Errorf("%v, want %v", err, jwks.ErrAddress)
	}
	h.check("asked", s.asked.Load(), int32(0))
}
