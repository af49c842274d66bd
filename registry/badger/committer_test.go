package badger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/registry"
)

var errDisk = errors.New("disk on fire")

// commits replaces the committer's commit, before the first update, and counts.
func commits(s *Store, commit func(*badger.Txn) error) *int {
	n := new(int)
	s.committer.commit = func(txn *badger.Txn) error {
		*n++
		return commit(txn)
	}
	return n
}

// queued runs a first update whose function waits until n more updates are in
// the queue, so that all of them are one group. It returns their errors, the
// first one's in front.
func queued(t *testing.T, s *Store, n int, f func(i int, w registry.Writer) error) []error {
	t.Helper()
	var group sync.WaitGroup
	errs := make([]error, n+1)
	entered := make(chan struct{})
	group.Go(func() {
		errs[0] = s.Update(t.Context(), func(w registry.Writer) error {
			close(entered)
			if !wait.Poll(func() bool { return len(s.committer.queue) >= n }) {
				return fmt.Errorf("%d updates are queued after %s, want %d", len(s.committer.queue), wait.Limit, n)
			}
			return f(0, w)
		})
	})
	wait.For(t, entered, "the turn of the first update")
	for i := 1; i <= n; i++ {
		group.Go(func() {
			errs[i] = s.Update(t.Context(), func(w registry.Writer) error { return f(i, w) })
		})
	}
	wait.ForGroup(t, &group, "the end of the queued updates")
	return errs
}

func TestGroupCommit(t *testing.T) {
	t.Parallel()
	s := openIn(t, t.TempDir(), untuned)
	n := commits(s, (*badger.Txn).Commit)
	errs := queued(t, s, 50, func(i int, w registry.Writer) error {
		if i%10 == 1 {
			return errDisk // Fails alone.
		}
		return w.Put(fmt.Sprint(i), []byte("x"))
	})
	for i, err := range errs {
		if i%10 == 1 != errors.Is(err, errDisk) {
			t.Errorf("update %d: %v", i, err)
		}
	}
	if *n != 1 {
		t.Errorf("%d commits for one group", *n)
	}
}

// TestLargeGroup queues four times what one transaction takes, as entries that
// Badger counts in full.
func TestLargeGroup(t *testing.T) {
	t.Parallel()
	const updates, keys = 20, registry.MaxUpdateKeys
	s := openIn(t, t.TempDir(), untuned)
	n := commits(s, (*badger.Txn).Commit)
	value := make([]byte, 4000)
	if total := int64(updates * keys * len(value)); total < 4*s.db.MaxBatchSize() {
		t.Fatalf("%d bytes are not many for a batch of %d", total, s.db.MaxBatchSize())
	}
	errs := queued(t, s, updates-1, func(i int, w registry.Writer) error {
		// Everybody sees those before, whichever batch they went to.
		last := 0
		if data, err := w.Get("last"); err == nil {
			last = int(data[0])
		} else if !errors.Is(err, registry.ErrNotFound) {
			return err
		}
		if err := w.Put("last", []byte{byte(last + 1)}); err != nil {
			return err
		}
		for k := range keys - 1 {
			if err := w.Put(fmt.Sprintf("%02d/%02d", i, k), value); err != nil {
				return err
			}
		}
		return nil
	})
	for i, err := range errs {
		if err != nil {
			t.Errorf("update %d: %v", i, err)
		}
	}
	if *n < 4 {
		t.Errorf("%d commits, want at least 4", *n)
	}
	err := s.View(t.Context(), func(r registry.Reader) error {
		entries, err := r.Scan("", "", 2*updates*keys)
		if want := updates*(keys-1) + 1; len(entries) != want {
			t.Errorf("%d keys, want %d", len(entries), want)
		}
		if last := entries[len(entries)-1]; last.Key != "last" || last.Value[0] != updates {
			t.Errorf("%s counts %d, want %d", last.Key, last.Value[0], updates)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestLimitHoldsOneUpdate is what makes a batch of one always possible.
func TestLimitHoldsOneUpdate(t *testing.T) {
	t.Parallel()
	s := openIn(t, t.TempDir(), untuned)
	limit := limitOf(s.db)
	if limit.count < registry.MaxUpdateKeys || limit.size < registry.MaxUpdateBytes+registry.MaxUpdateKeys*entryOverhead {
		t.Errorf("a batch takes %+v, one update may have more", limit)
	}
}

// TestFailedCommit: nobody of the group is told anything but the failure, not
// even who only read; and the store gives no answers until it is opened anew.
func TestFailedCommit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openIn(t, dir, untuned)
	n := commits(s, func(*badger.Txn) error { return errDisk })
	errs := queued(t, s, 9, func(i int, w registry.Writer) error {
		switch i % 3 {
		case 0:
			return w.Put("a", []byte("x"))
		case 1:
			return errors.New("refused because of what others wrote")
		}
		_, err := w.Get("a")
		return err
	})
	for i, err := range errs {
		if !errors.Is(err, ErrFailed) || !errors.Is(err, errDisk) {
			t.Errorf("update %d: %v, want ErrFailed with its cause", i, err)
		}
	}
	if *n != 1 {
		t.Errorf("%d commits", *n)
	}
	if err := s.View(t.Context(), func(registry.Reader) error { return nil }); !errors.Is(err, ErrFailed) {
		t.Errorf("view: %v, want ErrFailed", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	err := openIn(t, dir, untuned).View(t.Context(), func(r registry.Reader) error {
		_, err := r.Get("a")
		return err
	})
	if !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("opened anew: %v, want ErrNotFound", err)
	}
}

// TestLeavingTheQueue: whoever waits for a turn leaves at once when its context
// ends, although the update in front of it hangs.
func TestLeavingTheQueue(t *testing.T) {
	t.Parallel()
	s := openIn(t, t.TempDir(), untuned)
	entered, release := make(chan struct{}), make(chan struct{})
	first := make(chan error, 1)
	go func() {
		first <- s.Update(t.Context(), func(w registry.Writer) error {
			close(entered)
			<-release
			return w.Put("first", nil)
		})
	}()
	wait.For(t, entered, "the turn of the first update")
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	// More than the queue takes, so that some wait before it.
	for range queueLength + 20 {
		group.Go(func() {
			err := s.Update(ctx, func(w registry.Writer) error { return w.Put("late", nil) })
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want context.Canceled", err)
			}
		})
	}
	if !wait.Poll(func() bool { return len(s.committer.queue) >= queueLength }) {
		t.Errorf("%d updates are queued after %s, want %d", len(s.committer.queue), wait.Limit, queueLength)
	}
	cancel()
	wait.ForGroup(t, &group, "the end of those who left")
	close(release)
	if err := wait.For(t, first, "the first update"); err != nil {
		t.Error(err)
	}
	err := s.View(t.Context(), func(r registry.Reader) error {
		_, err := r.Get("late")
		return err
	})
	if !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("who left has written: %v", err)
	}
}
