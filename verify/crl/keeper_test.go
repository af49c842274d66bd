package crl

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/crl/crltest"
)

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
