package registry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/backup"
	"github.com/caddy-dcr/caddy-dcr/registry/badger"
	"github.com/caddy-dcr/caddy-dcr/registry/memory"
)

// clock is one that a test sets.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time       { return time.Unix(c.at.Load(), 0) }
func (c *clock) set(at time.Time)     { c.at.Store(at.Unix()) }
func (c *clock) add(d time.Duration)  { c.at.Add(int64(d / time.Second)) }
func clockAt(at time.Time) (c *clock) { c = &clock{}; c.set(at); return c }

// backedUp is a backup of a store with records of every kind, and the store.
func backedUp(t testing.TB, s registry.Sealer) ([]byte, kept) {
	t.Helper()
	store := kept{memory.Open(memory.Options{})}
	everyKind(t, store)
	return backupOf(t, store, s), store
}

func backupOf(t testing.TB, store registry.Store, s registry.Sealer) []byte {
	t.Helper()
	r, err := registry.Open(t.Context(), registry.Options{Store: store, Sealer: s})
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if _, err := r.Backup(t.Context(), &file, nil); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// differing are what a restore changes: the epoch and the mark of the first start, and what
// is not in a backup.
var differing = []string{"store/epoch", "store/unopened", "audit/w/1", "making/", "loss/"}

// TestRestoreEqualsTheOriginal: record for record, expiries too, but for what is documented
// to differ, from each engine into each.
func TestRestoreEqualsTheOriginal(t *testing.T) {
	t.Parallel()
	engines := map[string]func(t *testing.T) registry.Store{
		"memory": func(t *testing.T) registry.Store { return keep(t) },
		"badger": func(t *testing.T) registry.Store {
			s, err := badger.Open(badger.Options{Dir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
			return lasting{s}
		},
	}
	for from, source := range engines {
		for to, target := range engines {
			t.Run(from+" to "+to, func(t *testing.T) {
				k := newKeyset(t)
				original, restored := source(t), target(t)
				everyKind(t, original)
				file := backupOf(t, original, k)
				v, err := registry.Restore(t.Context(), registry.Restoration{From: bytes.NewReader(file), Store: restored, Sealer: k})
				if err != nil {
					t.Fatal(err)
				}
				got := records(t, restored)
				differ(t, got, records(t, original), differing...)
				if v.Records != v.Header.Records() || v.Records < 20 || !strings.HasPrefix(v.Label, "backup of "+v.Time.Format(time.RFC3339)+", restored ") {
					t.Errorf("got %+v", v)
				}
				if _, err := opens(t, registry.Options{Store: restored, Sealer: k}); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// lasting outlives its registry.
type lasting struct{ registry.Store }

func (lasting) Close() error { return nil }

// TestRestoreBeginsAnEpoch: with the restore, and once more with the first start, because
// another gateway may have been at work until then; not with the second start.
func TestRestoreBeginsAnEpoch(t *testing.T) {
	t.Parallel()
	for _, confirm := range []string{"", "the gateway moved, and was stopped before the backup"} {
		t.Run(confirm, func(t *testing.T) {
			c := clockAt(start)
			file, _ := backedUp(t, plain{})
			s := keep(t)
			if _, err := registry.Restore(t.Context(), registry.Restoration{From: bytes.NewReader(file), Store: s, Sealer: plain{}, Confirm: confirm, Now: c.now}); err != nil {
				t.Fatal(err)
			}
			if got := records(t, s)["store/epoch"]; !strings.Contains(string(got.Value), fmt.Sprintf(`"at":%d`, start.Add(time.Minute).Unix())) {
				t.Errorf("before the first start: got %s, want an epoch a minute after %d", got.Value, start.Unix())
			}
			c.add(time.Hour)
			var first registry.Epoch
			for n := range 2 {
				r, err := registry.Open(t.Context(), registry.Options{Store: s, Sealer: plain{}, Now: c.now})
				if err != nil {
					t.Fatal(err)
				}
				e := r.Epoch()
				if n == 0 {
					first = e
				}
				if e.At != start.Add(time.Hour+time.Minute).Unix() || e.Cause != registry.EpochRestored || e.Label == "" || e.Label != first.Label || e.Unconfirmed() != (confirm == "") || e.Reason != confirm {
					t.Errorf("start %d: got %+v, want that of the first start, confirmed %t", n+1, e, confirm != "")
				}
				if err := r.DeclareRestored(t.Context(), e.Label); err != nil || r.Epoch().At != first.At {
					t.Errorf("the label is not among those seen: %+v, %v", r.Epoch(), err)
				}
				entries, _, err := r.Audit(t.Context(), "w", start, "", 10)
				want := []string{registry.AuditStoreRestored, registry.AuditConfirmed}[:1+min(len(confirm), 1)]
				var got []string
				for _, e := range entries {
					got = append(got, e.Change)
				}
				if err != nil || strings.Join(got, " ") != strings.Join(want, " ") && strings.Join(got, " ") != "confirmed store_restored" {
					t.Errorf("the audit trail has %v, %v, want %v", got, err, want)
				}
				if err := r.Close(); err != nil {
					t.Error(err)
				}
				c.add(time.Hour)
			}
		})
	}
}

// TestRestoreNeedsAnEmptyStore: whatever is there is named, and stays as it is.
func TestRestoreNeedsAnEmptyStore(t *testing.T) {
	t.Parallel()
	file, original := backedUp(t, plain{})
	before := records(t, original)
	_, err := registry.Restore(t.Context(), registry.Restoration{From: bytes.NewReader(file), Store: original, Sealer: plain{}})
	if !errors.Is(err, registry.ErrNotEmpty) || !strings.Contains(err.Error(), ": it has 1 client, of w; ") {
		t.Errorf("got %v, want ErrNotEmpty with the clients that are there", err)
	}
	differ(t, records(t, original), before)

	fresh := keep(t)
	if _, err := opens(t, registry.Options{Store: fresh, Sealer: plain{}}); err != nil {
		t.Fatal(err)
	}
	if _, err := registry.Restore(t.Context(), registry.Restoration{From: bytes.NewReader(file), Store: fresh, Sealer: plain{}}); !errors.Is(err, registry.ErrNotEmpty) || !strings.Contains(err.Error(), "it has no clients, but other records") {
		t.Errorf("a store that a gateway has opened: got %v, want ErrNotEmpty", err)
	}
}

// TestClientsInTheWay: a refused restore says how many there are, within bounds.
func TestClientsInTheWay(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		workspaces, clients int
		want                string
	}{
		{2, 3, "it has 6 clients, of w/0, w/1;"},
		{6, 1, "it has 6 clients, of w/0, w/1, w/2, w/3, w/4, others;"},
		{1, 1001, "it has more than 1000 clients, of w/0;"},
	} {
		s := keep(t)
		for n := range tc.workspaces * tc.clients {
			key := fmt.Sprintf("client/w%%2F%d/%d", n%tc.workspaces, n)
			if err := s.Update(t.Context(), func(w registry.Writer) error { return w.Put(key, []byte("{}")) }); err != nil {
				t.Fatal(err)
			}
		}
		_, err := registry.Restore(t.Context(), registry.Restoration{From: strings.NewReader(""), Store: s, Sealer: plain{}})
		if !errors.Is(err, registry.ErrNotEmpty) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got %v, want ErrNotEmpty with %q", err, tc.want)
		}
	}
}

// TestNothingIsRestoredFromABadFile: an altered, truncated, foreign or newer backup leaves
// the store empty.
func TestNothingIsRestoredFromABadFile(t *testing.T) {
	t.Parallel()
	k, other := newKeyset(t), newKeyset(t)
	file, _ := backedUp(t, k)
	s := keep(t)
	restore := func(file []byte, by registry.Sealer) error {
		_, err := registry.Restore(t.Context(), registry.Restoration{From: bytes.NewReader(file), Store: s, Sealer: by})
		if empty, emptyErr := registry.Empty(t.Context(), s); !empty || emptyErr != nil {
			t.Fatalf("after %v the store is not empty", err)
		}
		return err
	}
	for n := range file {
		altered := bytes.Clone(file)
		altered[n] ^= 1
		if restore(altered, k) == nil || restore(file[:n], k) == nil {
			t.Fatalf("byte %d: a backup that was altered there, or ends there, is restored", n)
		}
	}
	if err := restore(append(bytes.Clone(file), 0), k); !errors.Is(err, backup.ErrAltered) {
		t.Errorf("a byte more: got %v, want ErrAltered", err)
	}
	if err := restore(file, other); !errors.Is(err, registry.ErrMissingKeys) || !strings.Contains(err.Error(), fmt.Sprintf("lacks its keys %d;", k.KeyIDs()[0])) {
		t.Errorf("another keyset: got %v, want ErrMissingKeys with the id %d", err, k.KeyIDs()[0])
	}
	newer := writtenBy(t, backup.Header{Schema: registry.StoreSchema + 1, Counts: map[string]int64{}}, k)
	if err := restore(newer, k); err == nil || !strings.Contains(err.Error(), "the backup has schema 2, this version knows 1: run the newer version") {
		t.Errorf("a newer schema: got %v", err)
	}
	record := writtenBy(t, backup.Header{Schema: 1, Counts: map[string]int64{"client": 1}}, k, backup.Record{Key: "client/w/1", Value: []byte(`{"v":99}`)})
	if err := restore(record, k); err == nil || !strings.Contains(err.Error(), "client record of schema 99, this version knows 2: run the newer version") {
		t.Errorf("a newer record: got %v", err)
	}
	if _, err := registry.Restore(t.Context(), registry.Restoration{From: bytes.NewReader(file), Store: s, Sealer: k}); err != nil {
		t.Errorf("the file itself: %v", err)
	}
}

func writtenBy(t *testing.T, h backup.Header, s registry.Sealer, records ...backup.Record) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := backup.NewWriter(&b, s, h)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		err = errors.Join(err, w.Put(r))
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestBackupNeedsTheKeysThatHaveSealed: those that were the first one, and not one that was
// only added. A keyset of before will do, one without an old key will not.
func TestBackupNeedsTheKeysThatHaveSealed(t *testing.T) {
	t.Parallel()
	k := newRotation(t)
	s := keep(t)
	open := func() []byte { return backupOf(t, s, k.sealer()) }
	open()
	k.rotate()
	before := k.sealer()
	if _, err := k.Add(aead.AES256GCMKeyTemplate()); err != nil {
		t.Fatal(err)
	}
	file := open()
	restore := func(by registry.Sealer) error {
		_, err := registry.Restore(t.Context(), registry.Restoration{From: bytes.NewReader(file), Store: keep(t), Sealer: by})
		return err
	}
	if err := restore(before); err != nil {
		t.Errorf("a keyset without the key that was added: %v", err)
	}
	old := fmt.Sprint(k.ids[0])
	k.forget()
	if err := restore(k.sealer()); !errors.Is(err, registry.ErrMissingKeys) || !strings.Contains(err.Error(), old) {
		t.Errorf("a keyset without the first key: got %v, want ErrMissingKeys with %s", err, old)
	}
}

// TestEarlierSchemasAreMigrated, one after the other, each record into none, one or several.
func TestEarlierSchemasAreMigrated(t *testing.T) {
	file := writtenBy(t, backup.Header{Schema: -1, Counts: map[string]int64{"client": 1, "old": 2}}, plain{},
		backup.Record{Key: "client/w/1", Value: []byte(`{"v":1}`)}, backup.Record{Key: "old/1", Value: []byte("x")}, backup.Record{Key: "old/2", Value: []byte("y")})
	s := keep(t)
	restore := func() error {
		_, err := registry.Restore(t.Context(), registry.Restoration{From: bytes.NewReader(file), Store: s, Sealer: plain{}})
		return err
	}
	if err := restore(); err == nil || !strings.Contains(err.Error(), "the backup has schema -1, from which there is no way to schema 1") {
		t.Errorf("without a migration: got %v", err)
	}
	registry.Migrate(t, -1, func(r backup.Record) ([]backup.Record, error) {
		if r.Key == "old/1" {
			return nil, nil
		}
		return []backup.Record{r}, nil
	})
	registry.Migrate(t, 0, func(r backup.Record) ([]backup.Record, error) {
		if r.Key == "old/2" {
			return []backup.Record{{Key: "index/new/a", Value: r.Value}, {Key: "index/new/b", Value: []byte{}}}, nil
		}
		return []backup.Record{r}, nil
	})
	if err := restore(); err != nil {
		t.Fatal(err)
	}
	want := map[string]registry.Entry{"client/w/1": {Value: []byte(`{"v":1}`)}, "index/new/a": {Value: []byte("y")}, "index/new/b": {}}
	differ(t, records(t, s), want, "store/")
}

// fullAfter is a store that takes so many updates.
type fullAfter struct {
	registry.Store
	left atomic.Int64
	err  error
}

func (s *fullAfter) Update(ctx context.Context, f func(registry.Writer) error) error {
	if s.left.Add(-1) < 0 {
		return s.err
	}
	return s.Store.Update(ctx, f)
}

// TestKilledRestore: wherever a restore ends, by a kill or on a full disk, the store is
// empty, or none that opens; and the next restore makes it whole, with another file too.
func TestKilledRestore(t *testing.T) {
	t.Parallel()
	k := newKeyset(t)
	original := keep(t)
	everyKind(t, original)
	for n := range 1000 {
		if err := original.Update(t.Context(), func(w registry.Writer) error { return w.Put(fmt.Sprintf("document/%04d", n), []byte("x")) }); err != nil {
			t.Fatal(err)
		}
	}
	file, other := backupOf(t, original, k), backupOf(t, keep(t), k)
	refusedOnce := false
	for updates := int64(0); ; updates++ {
		s := keep(t)
		broken := &fullAfter{Store: s, err: badger.ErrFull}
		broken.left.Store(updates)
		_, err := registry.Restore(t.Context(), registry.Restoration{From: bytes.NewReader(file), Store: broken, Sealer: k})
		if err == nil {
			break
		}
		if !errors.Is(err, badger.ErrFull) {
			t.Errorf("after %d updates: got %v, want ErrFull", updates, err)
		}
		if empty, _ := registry.Empty(t.Context(), s); empty {
			continue
		}
		refusedOnce = true
		if _, err := opens(t, registry.Options{Store: s, Sealer: k}); !errors.Is(err, registry.ErrRestoring) || !strings.Contains(err.Error(), "run caddy dcr restore again") {
			t.Errorf("after %d updates: opening: got %v, want ErrRestoring", updates, err)
		}
		if _, err := registry.BindingID(t.Context(), s); !errors.Is(err, registry.ErrRestoring) {
			t.Errorf("after %d updates: without a keyset: got %v, want ErrRestoring", updates, err)
		}
		if mark := string(records(t, s)["store/keyset"].Value); !strings.HasPrefix(mark, `{"v":2,`) {
			t.Errorf("after %d updates: an earlier version, which knows schema 1, opens %s", updates, mark)
		}
		next := file
		if updates%2 == 0 {
			next = other
		}
		if _, err := registry.Restore(t.Context(), registry.Restoration{From: bytes.NewReader(next), Store: s, Sealer: k}); err != nil {
			t.Fatalf("after %d updates: once more: %v", updates, err)
		}
		got := records(t, s)
		if updates%2 == 1 {
			differ(t, got, records(t, original), differing...)
		} else if len(got) != 3 {
			t.Errorf("after %d updates: got %d records of a backup without clients, want the three about the store", updates, len(got))
		}
		if _, err := opens(t, registry.Options{Store: s, Sealer: k}); err != nil {
			t.Errorf("after %d updates: %v", updates, err)
		}
	}
	if !refusedOnce {
		t.Error("no restore was cut off, so the test proves nothing")
	}
}

// TestCancelledRestores: cancelled at any moment, a restore leaves what a kill does.
func TestCancelledRestores(t *testing.T) {
	t.Parallel()
	file, original := backedUp(t, plain{})
	for after := 0; after < 100; after++ {
		s := keep(t)
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		_, err := registry.Restore(ctx, registry.Restoration{From: &touched{bytes.NewReader(file), func() {
			if calls++; calls > after {
				cancel()
			}
		}}, Store: s, Sealer: plain{}})
		cancel()
		if err == nil {
			if after < 3 {
				t.Errorf("cancelled after %d calls, and restored", after)
			}
			differ(t, records(t, s), records(t, original), differing...)
			return
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("after %d calls: got %v, want context.Canceled", after, err)
		}
		if empty, _ := registry.Empty(t.Context(), s); !empty {
			if _, err := opens(t, registry.Options{Store: s, Sealer: plain{}}); !errors.Is(err, registry.ErrRestoring) {
				t.Errorf("after %d calls: got %v, want ErrRestoring", after, err)
			}
		}
	}
	t.Error("no restore came to its end")
}

// touched calls f with each read.
type touched struct {
	io.ReadSeeker
	f func()
}

func (r *touched) Read(p []byte) (int, error) { r.f(); return r.ReadSeeker.Read(p[:min(len(p), 2000)]) }

// TestFileThatChanges: a file that is another valid backup when it is read for the second
// time is refused, and what was written of it is no store that opens.
func TestFileThatChanges(t *testing.T) {
	t.Parallel()
	k := newKeyset(t)
	one, _ := backedUp(t, k)
	two, _ := backedUp(t, k)
	s := keep(t)
	seeks := 0
	f := &switching{Reader: bytes.NewReader(one)}
	f.seek = func() {
		if seeks++; seeks == 3 {
			f.Reader = bytes.NewReader(two)
		}
	}
	_, err := registry.Restore(t.Context(), registry.Restoration{From: f, Store: s, Sealer: k})
	if err == nil || !strings.Contains(err.Error(), "the file has changed while it was read") {
		t.Errorf("got %v after %d seeks, want that the file has changed", err, seeks)
	}
	if _, err := opens(t, registry.Options{Store: s, Sealer: k}); !errors.Is(err, registry.ErrRestoring) {
		t.Errorf("got %v, want ErrRestoring", err)
	}
}

type switching struct {
	*bytes.Reader
	seek func()
}

func (s *switching) Seek(offset int64, whence int) (int64, error) {
	s.seek()
	return s.Reader.Seek(offset, whence)
}

// TestWorkGoesOnAfterARestore: what the outbox had to do at the time of the backup, it does
// after the restore: the AS is told again what a client is registered with, and a client
// whose registration was under way is taken back.
func TestWorkGoesOnAfterARestore(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		c := x.register(request("jti1", ""))
		x.as.set(func() { x.as.fail["update"] = []error{registry.ErrLost, registry.ErrLost} })
		if _, err := x.Update(x.t.Context(), x.ws, c.ClientID, narrower("jti2")); err == nil {
			t.Fatal("taken")
		}
		x.as.set(func() { x.as.fail["create"], x.as.carriedOut = []error{registry.ErrLost, registry.ErrLost}, true })
		if _, err := x.Register(x.t.Context(), x.ws, request("jti3", "")); err == nil {
			t.Fatal("taken")
		}
		x.as.set(func() { x.as.carriedOut = false })
		if x.as.count() != 2 {
			t.Fatalf("the AS has %d clients, want 2", x.as.count())
		}
		var file bytes.Buffer
		if _, err := x.Backup(x.t.Context(), &file, nil); err != nil {
			t.Fatal(err)
		}
		s := kept{memory.Open(memory.Options{})}
		if _, err := registry.Restore(x.t.Context(), registry.Restoration{From: bytes.NewReader(file.Bytes()), Store: s, Sealer: plain{}}); err != nil {
			t.Fatal(err)
		}
		there := newAS(true)
		there.clients, there.scopes = maps.Clone(x.as.clients), maps.Clone(x.as.scopes)
		r, err := registry.Open(x.t.Context(), registry.Options{Store: s, Sealer: plain{}})
		if err != nil {
			t.Fatal(err)
		}
		takeBack := r.Attach(registry.Workspace{Name: x.ws.Name, Provisioner: there})
		time.Sleep(time.Hour)
		synctest.Wait()
		takeBack()
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if there.times("update") == 0 || there.count() != 1 {
			t.Errorf("got the calls %q and %d clients, want the metadata told again, and the client of nobody deleted", there.calls, there.count())
		}
		if left := append(keysOf(t, s, "outbox/"), keysOf(t, s, "later/")...); len(left) > 0 {
			t.Errorf("left to do: %q", left)
		}
	})
}

func keysOf(t *testing.T, s registry.Store, prefix string) (keys []string) {
	t.Helper()
	err := s.View(t.Context(), func(v registry.Reader) (err error) {
		keys, err = v.Keys(prefix, "", 100)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}
