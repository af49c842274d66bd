package caddymodule

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/memory"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// counted is an engine whose stores are counted.
type counted struct {
	key  string
	fail error

	mu           sync.Mutex
	open, opened int
	// closes, when not nil, lets a close go on.
	closes chan struct{}
}

// now is how many are open, and how many were opened.
func (c *counted) now() (open, opened int) { c.mu.Lock(); defer c.mu.Unlock(); return c.open, c.opened }

func (c *counted) Key() string { return c.key }

func (c *counted) Open(context.Context, *slog.Logger) (registry.Store, error) {
	if c.fail != nil {
		return nil, c.fail
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open++
	c.opened++
	return countedStore{memory.Open(memory.Options{}), c}, nil
}

type countedStore struct {
	registry.Store
	of *counted
}

func (s countedStore) Close() error {
	if s.of.closes != nil {
		select {
		case <-s.of.closes:
		case <-time.After(time.Minute):
			return errors.New("nobody has let this close go on for a minute")
		}
	}
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.of.open--
	return s.Store.Close()
}

// settled waits until a store that is being closed is closed.
func (s *openStores) settled(t *testing.T, engine Engine) {
	t.Helper()
	s.mu.Lock()
	slot := s.slots[engine.Key()]
	s.mu.Unlock()
	if slot == nil || slot.holds > 0 {
		return
	}
	select {
	case <-slot.closed:
	case <-time.After(10 * time.Second):
		t.Fatal("a store is not closed after 10 s")
	}
}

// inMemory is an engine whose store is exclusive.
type inMemory struct{ key string }

func (e inMemory) Key() string { return e.key }
func (inMemory) Open(context.Context, *slog.Logger) (registry.Store, error) {
	return memory.Open(memory.Options{}), nil
}

// configuration is an app of one configuration with one workspace.
func configuration(t *testing.T, engine Engine, keyset string) *App {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	t.Cleanup(cancel)
	a := &App{engine: engine, keyset: keyset, Checks: "off", ctx: ctx, log: slog.New(slog.DiscardHandler)}
	as, err := authserver.New(authserver.Options{URL: "https://localhost:1/default/obuk", Client: jwks.NewClient(jwks.Options{PrivateRanges: true}), Logger: a.log, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	h := &Handler{Workspace: "default/obuk", issuerPath: "/default/obuk", AuthorizationServer: new(AuthorizationServer), as: as} // the outbox may ask it
	if err := a.join(h); err != nil {
		t.Fatal(err)
	}
	return a
}

func TestStoreOverReloads(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	engine := &counted{key: t.Name()}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	expect := func(what string, open, opened int) {
		t.Helper()
		stores.settled(t, engine)
		if o, all := engine.now(); o != open || all != opened {
			t.Fatalf("%s: %d open of %d opened, want %d of %d", what, o, all, open, opened)
		}
	}
	first := configuration(t, engine, "")
	early, err := first.Enter() // a request may come before Start
	must(err)
	must(first.Start())
	expect("after Start", 1, 1)

	second := configuration(t, engine, "")
	must(second.Start())
	shared, err := second.Enter()
	must(err)
	if shared != early {
		t.Error("two registries over one store")
	}
	second.Leave()
	must(first.Stop())
	must(first.Cleanup())
	expect("after a reload, with a request of the old configuration at work", 1, 1)
	first.Leave()
	expect("after the reload", 1, 1)

	// A configuration that never started gives nothing back.
	third := configuration(t, engine, "")
	must(third.Cleanup())
	expect("after a reload that failed", 1, 1)

	_, err = second.Enter()
	must(err)
	must(second.Stop())
	must(second.Cleanup())
	expect("after a reload without the directive, with a request at work", 1, 1)
	second.Leave()
	expect("at the end", 0, 1)

	// A straggler of a gone configuration opens and closes for itself.
	_, err = first.Enter()
	must(err)
	expect("straggler", 1, 2)
	first.Leave()
	expect("after the straggler", 0, 2)
}

func TestStoreThatDoesNotOpen(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	broken := errors.New("broken")
	engine := &counted{key: t.Name(), fail: broken}
	a := configuration(t, engine, "")
	if err := a.Start(); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if err := a.Cleanup(); err != nil {
		t.Fatal(err)
	}
	engine.fail = nil
	if _, err := a.Enter(); err != nil {
		t.Fatalf("%v: it does not recover", err)
	}
	a.Leave()
	stores.settled(t, engine)
	if open, _ := engine.now(); open != 0 {
		t.Error("still open")
	}
}

// TestKeysetIsRotatedByReloads: a reload takes a keyset that opens what is there.
func TestKeysetIsRotatedByReloads(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	engine := &counted{key: t.Name()}
	_, text, err := registry.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	apps := []*App{configuration(t, engine, string(text))}
	if err := apps[0].Start(); err != nil {
		t.Fatal(err)
	}
	for _, change := range []func([]byte) ([]byte, uint32, error){registry.AddKey, registry.PromoteKey} {
		if text, _, err = change(text); err != nil {
			t.Fatal(err)
		}
		next := configuration(t, engine, string(text))
		if err := next.Start(); err != nil {
			t.Fatal(err)
		}
		apps = append(apps, next)
	}
	k, err := registry.ReadKeyset(text)
	if err != nil {
		t.Fatal(err)
	}
	h, err := apps[2].Backup(t.Context(), io.Discard, nil)
	if err != nil || !slices.Equal(h.KeysetIDs, k.KeyIDs()) {
		t.Errorf("got the keys %v, %v, want %v", h.KeysetIDs, err, k.KeyIDs())
	}
	for _, a := range apps {
		if err := a.Cleanup(); err != nil {
			t.Error(err)
		}
	}
	stores.settled(t, engine)
}

func TestKeysetCannotBeReplacedUnderAnOpenStore(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	engine := &counted{key: t.Name()}
	a := configuration(t, engine, "")
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	_, text, err := registry.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	b := configuration(t, engine, string(text))
	if err := b.Start(); !errors.Is(err, registry.ErrForeignKeyset) {
		t.Error(err)
	}
	if err := b.Cleanup(); err != nil {
		t.Error(err)
	}
	if engine.open != 1 {
		t.Error("the failed reload closed the store")
	}
	if err := a.Cleanup(); err != nil || engine.open != 0 {
		t.Errorf("got %v, %d open, want none", err, engine.open)
	}
}
