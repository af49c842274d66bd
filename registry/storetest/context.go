package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/registry"
)

var contexts = []test{
	{"an ended one writes nothing", func(t *testing.T, s registry.Store) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range 50 {
			if err := put(ctx, s, "a", "x"); !errors.Is(err, context.Canceled) {
				t.Fatalf("update: %v, want context.Canceled", err)
			}
		}
		wantAbsent(t, s, "a")
	}},
	{"ended in the queue", endedInQueue},
	{"ended at any time", endedAnyTime},
	{"ended within the function", func(t *testing.T, s registry.Store) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		err := s.Update(ctx, func(w registry.Writer) error {
			cancel()
			return w.Put("a", []byte("x"))
		})
		wantOutcome(t, s, err, "a")
	}},
}

// wantOutcome demands all of an update's keys or none, as it has said.
func wantOutcome(t *testing.T, s registry.Store, err error, keys ...string) {
	t.Helper()
	for _, key := range keys {
		_, found := lookup(t, s, key)
		switch {
		case err == nil && !found:
			t.Errorf("%q is missing, its update returned nil", key)
		case err != nil && found:
			t.Errorf("%q is there, its update returned %v", key, err)
		}
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("update: %v, want nil or context.Canceled", err)
	}
}

// endedInQueue ends contexts while another update keeps everybody waiting.
func endedInQueue(t *testing.T, s registry.Store) {
	const waiting = 8
	entered, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	first := make(chan error, 1)
	go func() {
		first <- s.Update(t.Context(), func(w registry.Writer) error {
			once.Do(func() { close(entered) })
			<-release
			return w.Put("first", []byte("x"))
		})
	}()
	wait.For(t, entered, "the first update's turn")

	ctx, cancel := context.WithCancel(t.Context())
	var waiters sync.WaitGroup
	outcomes := make([]error, waiting)
	for i := range outcomes {
		waiters.Go(func() { outcomes[i] = writePair(ctx, s, i) })
	}
	cancel()
	close(release)
	if err := wait.For(t, first, "the first update"); err != nil {
		t.Errorf("the first update: %v", err)
	}
	all := make(chan struct{})
	go func() { waiters.Wait(); close(all) }()
	wait.For(t, all, "the updates in the queue")
	wantValue(t, s, "first", "x")
	for i, err := range outcomes {
		wantOutcome(t, s, err, fmt.Sprintf("left/%d", i), fmt.Sprintf("right/%d", i))
	}
}

// endedAnyTime races the end of a context with updates under it.
func endedAnyTime(t *testing.T, s registry.Store) {
	const updates = 64
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	outcomes := make([]error, updates)
	together(t, updates+1, func(i int) error {
		if i == updates {
			cancel()
			return nil
		}
		outcomes[i] = writePair(ctx, s, i)
		return nil
	})
	for i, err := range outcomes {
		wantOutcome(t, s, err, fmt.Sprintf("left/%d", i), fmt.Sprintf("right/%d", i))
	}
}

func writePair(ctx context.Context, s registry.Store, i int) error {
	return s.Update(ctx, func(w registry.Writer) error {
		if err := w.Put(fmt.Sprintf("left/%d", i), []byte("x")); err != nil {
			return err
		}
		return w.Put(fmt.Sprintf("right/%d", i), []byte("x"))
	})
}
