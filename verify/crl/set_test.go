package crl

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/internal/wait"
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

// kept is a Keeper.
type kept struct {
	mu   sync.Mutex
	list map[string][]byte
}

func (k *kept) Keep(l Kept) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.list == nil {
		k.list = map[string][]byte{}
	}
	k.list[l.URL] = l.Body
}

func (k *kept) Kept(_ context.Context, url string) []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.list[url]
}

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

// TestNewerListCounts: a list takes the place of the one before, and no older one does, nor
// one that its CA has not signed.
func TestNewerListCounts(t *testing.T) {
	ca := crltest.New(t, at, "CA", nil, nil)
	forger := crltest.New(t, at, "CA", nil, func(c *x509.Certificate) { c.SubjectKeyId = ca.Certificate.SubjectKeyId })
	other := crltest.New(t, at, "other CA", nil, nil)
	s, k := newServer(t), new(kept)
	h := newHeld(t, k)
	h.AddURL(client(), s.URL)
	s.serves(ca.List(ca.Numbered(7, time.Hour), 1))
	h.attempt()
	h.check("kept before a CA has signed it", len(k.list), 0)
	h.check("revoked", h.revokes(ca, 1), true)
	h.check("kept", len(k.list), 1)

	second := ca.List(ca.Numbered(8, time.Minute), 1, 2)
	s.serves(second)
	h.attempt()
	h.check("revoked since", h.revokes(ca, 2), true)
	for name, list := range map[string][]byte{
		"an older one": ca.List(ca.Numbered(7, time.Hour)), "a lower number": ca.List(ca.Numbered(6, time.Second)), "a forged one": forger.List(forger.Numbered(9, time.Second)),
		"one of the future": ca.List(ca.Numbered(9, -time.Hour)), "HTML": []byte("<html>"), "nothing": nil, "too much": make([]byte, verify.MaxCRL+1),
	} {
		h.log.Reset()
		h.sources[0].failing = false
		s.serves(list)
		from := h.attempt()
		h.check(name+": the one before counts", h.revokes(ca, 2), true)
		h.check(name+": it was said", strings.Contains(h.log.String(), "cannot use a CRL"), true)
		h.check(name+": it is tried again soon", from.pause <= maxPause, true)
		before := h.log.Len()
		h.attempt()
		h.check(name+": it is said once", h.log.Len(), before)
	}
	s.serves(other.List(nil, 2))
	h.attempt()
	h.check("a list of another CA: the one before counts", h.revokes(ca, 2), true)
	h.check("and the other's own", h.revokes(other, 2), true)
	h.check("and is kept", bytes.Equal(k.Kept(t.Context(), s.URL), second), true)
	s.serves(ca.List(ca.Numbered(9, time.Second)))
	h.attempt()
	h.check("no longer on it", h.revokes(ca, 2), false)
	h.check("it was said that all is well", strings.Contains(h.log.String(), "can use a CRL again"), true)
	h.check("what is kept is the last one", bytes.Equal(k.Kept(t.Context(), s.URL), *s.list.Load()), true)
}

// TestForgedFirstList: what nobody has signed neither counts nor stands for a list.
func TestForgedFirstList(t *testing.T) {
	ca := crltest.New(t, at, "CA", nil, nil)
	forger := crltest.New(t, at, "CA", nil, func(c *x509.Certificate) { c.SubjectKeyId = ca.Certificate.SubjectKeyId })
	s := newServer(t)
	h := newHeld(t, nil)
	h.AddURL(client(), s.URL)
	s.serves(forger.List(nil, 1))
	h.attempt()
	h.check("whole", h.Whole(), true) // nobody knows better yet
	h.check("revoked by a forger", h.revokes(ca, 1), false)
	h.check("whole", h.Whole(), false)
	h.check("current", h.States()[0].Held, false)
	h.check("it was said", strings.Contains(h.log.String(), "rejects a CRL that names a client's CA as its issuer"), true)
	s.serves(ca.List(nil, 1))
	h.attempt()
	h.check("revoked", h.revokes(ca, 1), true)
	h.check("whole", h.Whole(), true)
}

// TestKeptList: after a restart the list that was kept counts while the server is down, and
// where the server sends an older one.
func TestKeptList(t *testing.T) {
	ca := crltest.New(t, at, "CA", nil, nil)
	s, k := newServer(t), new(kept)
	s.serves(ca.List(ca.Numbered(8, time.Minute), 1))
	first := newHeld(t, k)
	first.AddURL(client(), s.URL)
	first.Ready(t.Context())
	first.check("revoked", first.revokes(ca, 1), true)
	for name, list := range map[string]*[]byte{"down": nil, "an older list": new([]byte)} {
		if list != nil {
			*list = ca.List(ca.Numbered(7, time.Hour))
		}
		s.list.Store(list)
		h := newHeld(t, k)
		h.AddURL(client(), s.URL)
		h.Ready(t.Context())
		h.check(name+": revoked", h.revokes(ca, 1), true)
	}
	k.Keep(Kept{URL: s.URL, Body: []byte("x")})
	h := newHeld(t, k)
	h.AddURL(client(), s.URL)
	s.serves(ca.List(ca.Numbered(9, time.Second), 1))
	h.Ready(t.Context())
	h.check("what is kept cannot be read: revoked", h.revokes(ca, 1), true)
}

// TestKeptListBesideAnotherCAs: a list that was kept waits for its CA, whosever list is
// sent meanwhile.
func TestKeptListBesideAnotherCAs(t *testing.T) {
	root := crltest.New(t, at, "root", nil, nil)
	ca := crltest.New(t, at, "CA", root, nil)
	s, k := newServer(t), new(kept)
	own := ca.List(nil, 1)
	k.Keep(Kept{URL: s.URL, Body: own})
	s.serves(root.List(ca.Numbered(9, time.Second)))
	h := newHeld(t, k)
	h.AddURL(client(), s.URL)
	h.Ready(t.Context())
	h.SignedBy(root.Certificate)
	h.check("revoked", h.revokes(ca, 1), true)
}

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
		{ca.List(func(l *x509.RevocationList) { l.NextUpdate = at.Add(48 * time.Hour) }), "max-age=999999", maxAge},
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

// TestSameCA: the certificate of a CA that the client has sent is another object each time,
// and another certificate of the same CA and key has the same lists.
func TestSameCA(t *testing.T) {
	root := crltest.New(t, at, "root", nil, nil)
	ca := crltest.New(t, at, "CA", root, nil)
	h := newHeld(t, nil)
	use := h.AddFile("a.crl")
	if err := use(ca.List(nil, 1)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		again, err := x509.ParseCertificate(ca.Certificate.Raw)
		if err != nil {
			t.Fatal(err)
		}
		if len(h.SignedBy(again)) != 1 {
			t.Fatal("the list is not found")
		}
	}
	remembered := func() (n int) {
		for _, of := range *h.signers.Load() {
			n += len(of)
		}
		return n
	}
	h.check("CAs", remembered(), 1)
	for range 2 * maxLists {
		h.SignedBy(crltest.New(t, at, "CA", root, nil).Certificate)
	}
	h.check("CAs of one name", remembered(), maxLists)
	for i := range maxSigners {
		another := *root.Certificate
		another.RawSubject = []byte(fmt.Sprint("another CA ", i))
		h.SignedBy(&another)
	}
	h.check("CAs are forgotten", remembered() <= maxSigners, true)
	h.check("found again", len(h.SignedBy(ca.Certificate)), 1)
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
		t.Error(err)
	}
	h.check("asked", s.asked.Load(), int32(0))
}

// BenchmarkCheckRevocation is what each request costs.
func BenchmarkCheckRevocation(b *testing.B) {
	root := crltest.New(b, at, "root", nil, nil)
	ca := crltest.New(b, at, "CA", root, nil)
	set := NewSet(Options{})
	serials := make([]int64, 1000)
	for i := range serials {
		serials[i] = int64(i) + 1000
	}
	for _, list := range [][]byte{ca.List(nil, serials...), root.List(nil, serials...)} {
		if err := set.AddFile("a.crl")(list); err != nil {
			b.Fatal(err)
		}
	}
	state := ca.Chain(ca.Client(1), root)
	cert, err := verify.CaptureCertificate(state, at)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		set.Ready(b.Context())
		if unchecked, err := cert.CheckRevocation(set, at); unchecked != nil || err != nil {
			b.Fatal(unchecked, err)
		}
	}
}

// TestHeldListStaysHeld: what one certificate of a CA has verified, another one of that name
// takes nothing from, in whatever order they come.
func TestHeldListStaysHeld(t *testing.T) {
	ca := crltest.New(t, at, "CA", nil, nil)
	odd := crltest.New(t, at, "CA", nil, func(c *x509.Certificate) { c.SubjectKeyId = ca.Certificate.SubjectKeyId })
	for name, order := range map[string][]*crltest.Authority{"the good one first": {ca, odd}, "the odd one first": {odd, ca}} {
		h := newHeld(t, nil)
		if err := h.AddFile("a.crl")(ca.List(nil, 1)); err != nil {
			t.Fatal(err)
		}
		for _, of := range order {
			h.SignedBy(of.Certificate)
		}
		h.check(name+": held", h.States()[0].Held && h.Whole(), true)
		h.check(name+": revoked", h.revokes(ca, 1), true)
	}
}

// lateKeeper has nothing when it is asked first, as a store that is not open yet.
type lateKeeper struct {
	kept
	asked int
}

func (k *lateKeeper) Kept(ctx context.Context, url string) []byte {
	if k.asked++; k.asked < 3 {
		return nil
	}
	return k.kept.Kept(ctx, url)
}

// TestKeptListThatComesLater: the keeper is asked again while there is no list.
func TestKeptListThatComesLater(t *testing.T) {
	ca := crltest.New(t, at, "CA", nil, nil)
	s, k := newServer(t), new(lateKeeper)
	k.Keep(Kept{URL: s.URL, Body: ca.List(nil, 1)})
	h := newHeld(t, k)
	h.AddURL(client(), s.URL)
	h.Ready(t.Context())
	h.check("revoked, before the store is open", h.revokes(ca, 1), false)
	h.attempt()
	h.check("revoked", h.revokes(ca, 1), true)
}
