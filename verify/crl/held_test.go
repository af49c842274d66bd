package crl

import (
	"bytes"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/crl/crltest"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

var at = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// server answers with a list; without one, and while it is down, with 503.
type server struct {
	*httptest.Server
	list  atomic.Pointer[[]byte]
	asked atomic.Int32
	age   string // Cache-Control, empty for none
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := new(server)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.asked.Add(1)
		list := s.list.Load()
		if list == nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if s.age != "" {
			w.Header().Set("Cache-Control", s.age)
		}
		_, _ = w.Write(*list)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) serves(list []byte) { s.list.Store(&list) }

// held is a set under test, with its log.
type held struct {
	*Set
	t   *testing.T
	log bytes.Buffer
	now time.Time
}

func newHeld(t *testing.T, keeper Keeper) *held {
	h := &held{t: t, now: at}
	h.Set = NewSet(Options{Log: slog.New(slog.NewTextHandler(&h.log, nil)), Now: func() time.Time { return h.now }, Keeper: keeper})
	return h
}

// client is what addresses are asked with here.
func client() *jwks.Client {
	return jwks.NewClient(jwks.Options{PrivateRanges: true, PlainHTTP: true, MaxBytes: verify.MaxCRL})
}

// attempt asks the address once more.
func (h *held) attempt() *source {
	h.sources[0].attempt(h.t.Context())
	return h.sources[0]
}

// revokes tells what the set knows of a serial number of a CA.
func (h *held) revokes(ca *crltest.Authority, serial int64) bool {
	for _, l := range h.SignedBy(ca.Certificate) {
		if l.Revokes(big.NewInt(serial)) {
			return true
		}
	}
	return false
}

func (h *held) check(what string, got, want any) {
	h.t.Helper()
	if got != want {
		h.t.Errorf("%s: %v, want %v; log:\n%s", what, got, want, h.log.String())
	}
}
