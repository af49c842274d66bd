package caddymodule

import (
	"errors"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// within10s fails unless f returns in time.
func within10s(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s takes more than 10 s", what)
	}
}

// TestRequestsDoNotWaitForStoreToClose: the last request after a reload is answered while the store
// is being closed, and nobody waits meanwhile but who wants that store open again.
func TestRequestsDoNotWaitForStoreToClose(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	slow := &counted{key: t.Name() + " slow", closes: make(chan struct{})}
	other := &counted{key: t.Name() + " other"}
	old, next := configuration(t, slow, ""), configuration(t, other, "")
	if err := old.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := old.Enter(); err != nil { // a request at work
		t.Fatal(err)
	}
	within10s(t, "the reload", func() {
		if err := old.Cleanup(); err != nil {
			t.Error(err)
		}
	})
	within10s(t, "the last request", old.Leave)
	within10s(t, "opening another store", func() {
		if err := next.Start(); err != nil {
			t.Error(err)
		}
		if err := next.Cleanup(); err != nil {
			t.Error(err)
		}
	})
	within10s(t, "a scrape of the old configuration", func() {
		if _, ok := old.EnterOpen(); ok {
			t.Error("open")
		}
	})
	again, opened := configuration(t, slow, ""), make(chan error, 1)
	go func() { opened <- again.Start() }()
	within10s(t, "a scrape while the store is waited for", func() { again.EnterOpen() })
	if open, all := slow.now(); open != 1 || all != 1 {
		t.Errorf("%d stores open of %d while the first is being closed", open, all)
	}
	close(slow.closes)
	within10s(t, "opening it again", func() {
		if err := <-opened; err != nil {
			t.Error(err)
		}
	})
	if open, all := slow.now(); open != 1 || all != 2 {
		t.Errorf("%d stores open of %d, want one of two", open, all)
	}
	within10s(t, "the end", func() {
		if err := again.Cleanup(); err != nil {
			t.Error(err)
		}
	})
	if open, _ := slow.now(); open != 0 {
		t.Error("the end did not wait for the close")
	}
}

// TestNothingOpensTheStoreAfterTheEnd: a discovery document that is fetched behind the
// requests may come when everything has ended.
func TestNothingOpensTheStoreAfterTheEnd(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	engine := &counted{key: t.Name()}
	a := configuration(t, engine, "")
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	a.workspaces[0].app = a
	kept := documents{a.workspaces[0]}
	if err := kept.Save(t.Context(), []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if err := a.Cleanup(); err != nil {
		t.Fatal(err)
	}
	if err := kept.Save(t.Context(), []byte("{}")); err != nil {
		t.Error(err)
	}
	if _, err := kept.Load(t.Context()); !errors.Is(err, errGone) {
		t.Errorf("got %v, want %v", err, errGone)
	}
	if open, opened := engine.now(); open != 0 || opened != 1 {
		t.Errorf("%d stores open of %d that were opened, want 0 of 1", open, opened)
	}
	// A request of the old configuration opens it, and then it is there for the document.
	if _, err := a.Enter(); err != nil {
		t.Fatal(err)
	}
	if err := kept.Save(t.Context(), []byte("{}")); err != nil {
		t.Error(err)
	}
	if _, err := kept.Load(t.Context()); err != nil && !errors.Is(err, registry.ErrNotFound) {
		t.Error(err)
	}
	a.Leave()
	stores.settled(t, engine)
}
