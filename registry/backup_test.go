package registry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/backup"
	"github.com/caddy-dcr/caddy-dcr/registry/badger"
	"github.com/caddy-dcr/caddy-dcr/registry/memory"
)

// newKeyset is a keyset of Tink.
func newKeyset(t testing.TB) *registry.Keyset {
	t.Helper()
	k, _, err := registry.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// records are all of a store, with their expiries.
func records(t testing.TB, s registry.Store) map[string]registry.Entry {
	t.Helper()
	found := map[string]registry.Entry{}
	err := s.View(t.Context(), func(v registry.Reader) error {
		entries, err := v.Scan("", "", 1<<20)
		for _, e := range entries {
			found[e.Key] = e
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// readRecords are those of a backup.
func readRecords(t testing.TB, file []byte, s registry.Sealer) map[string]registry.Entry {
	t.Helper()
	found := map[string]registry.Entry{}
	r, err := backup.NewReader(bytes.NewReader(file), s)
	if err != nil {
		t.Fatal(err)
	}
	for {
		record, err := r.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		found[record.Key] = registry.Entry{Key: record.Key, Value: record.Value, Expires: record.Expires}
	}
}

// differ reports the records that are not the same in two stores.
func differ(t testing.TB, got, want map[string]registry.Entry, but ...string) {
	t.Helper()
	for key, w := range want {
		g, ok := got[key]
		if slices.ContainsFunc(but, func(prefix string) bool { return strings.HasPrefix(key, prefix) }) {
			continue
		}
		if !ok || !bytes.Equal(g.Value, w.Value) || !g.Expires.Equal(w.Expires) {
			t.Errorf("%s: got %q until %v (there %t), want %q until %v", key, g.Value, g.Expires, ok, w.Value, w.Expires)
		}
	}
	for key := range got {
		if _, ok := want[key]; !ok && !slices.ContainsFunc(but, func(prefix string) bool { return strings.HasPrefix(key, prefix) }) {
			t.Errorf("%s is there, want it absent", key)
		}
	}
}

// everyKind puts a record of each kind into a store that a story has not left there.
func everyKind(t testing.TB, s registry.Store) {
	t.Helper()
	soon := time.Now().Add(time.Hour).Truncate(time.Second)
	for _, key := range []string{
		"client/w/legacy", "document/1", "certificate/1", "id/w/gone", "alike/w/folded", "index/time/w/1-legacy", "repeat/w/1",
		"later/ffffffffffffffff/1", "divergence/w/answer_lost/1", "suspended/w/client/c", "proposal/w/delete/client/c", "discovery/w", "discovered/w",
		"jwks/scope/1", "crl/1", "crl/1/2/3", "software/w/d/s", "used/w/c", "finding/w/1", "pass/w", "stopped/w", "written/w/2026-11-30/o", "explanation/1/2", "making/w/1", "loss/1", "import/1", "imported/1/w/c",
		"reconcile/w",
	} {
		value := []byte("{}")
		if strings.HasPrefix(key, "loss/") {
			value = []byte(`{"time":1,"found":1,"committed":2}`)
		}
		if err := s.Update(context.Background(), func(w registry.Writer) error { return w.Put(key, value) }); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"token/w/1", "jti/w/i/1", "bound/w/1", "assertion/w/r/1", "audit/w/0/1", "history/w/r/0/1"} {
		if err := s.Update(context.Background(), func(w registry.Writer) error { return w.PutExpiring(key, []byte("{}"), soon) }); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBackupHoldsEveryKind: the records of every kind that keys.go lists are in a backup,
// as they are in the store, but for what is documented to be left out.
func TestBackupHoldsEveryKind(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("keys.go")
	if err != nil {
		t.Fatal(err)
	}
	run := func(t *testing.T, s registry.Store, sequence bool) {
		k := newKeyset(t)
		r, err := registry.Open(t.Context(), registry.Options{Store: s, Sealer: k, Restored: "label"})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		everyKind(t, s)
		var file bytes.Buffer
		var last registry.BackupProgress
		h, err := r.Backup(t.Context(), &file, func(p registry.BackupProgress) { last = p })
		if err != nil {
			t.Fatal(err)
		}
		got := readRecords(t, file.Bytes(), k)
		differ(t, got, records(t, s), "making/", "loss/")
		for _, kind := range regexp.MustCompile(`(?m)^//\t([a-z]+)/`).FindAllStringSubmatch(string(text), -1) {
			left := kind[1] == "making" || kind[1] == "loss"
			if (h.Counts[kind[1]] == 0) != left && kind[1] != "outbox" {
				t.Errorf("%s: %d are counted, left out %t", kind[1], h.Counts[kind[1]], left)
			}
		}
		if n := int64(len(got)); h.Records() != n || last.Records != n || last.Total != n || last.Bytes == 0 {
			t.Errorf("got %d in the header, progress %+v, want %d records", h.Records(), last, n)
		}
		if h.Schema != registry.StoreSchema || (h.Sequence > 0) != sequence || !slices.Equal(h.Workspaces, []string{"w"}) || !slices.Equal(h.KeysetIDs, k.KeyIDs()) || time.Since(h.Time) > time.Hour {
			t.Errorf("got the header %+v", h)
		}
	}
	t.Run("memory", func(t *testing.T) { run(t, keep(t), false) })
	t.Run("badger", func(t *testing.T) {
		s, err := badger.Open(badger.Options{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		run(t, s, true)
	})
}

// TestBackupsAreConsistent: in every backup that is made while clients come and go, clients,
// their client_ids and their index entries belong together.
func TestBackupsAreConsistent(t *testing.T) {
	t.Parallel()
	s, err := badger.Open(badger.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	r, err := registry.Open(t.Context(), registry.Options{Store: s, Sealer: plain{}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	as := newAS(true)
	ws := registry.Workspace{Name: "w", Provisioner: as}
	defer r.Attach(ws)()
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for n := range 4 {
		writers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				c, err := r.Register(t.Context(), ws, request(fmt.Sprintf("jti-%d-%d", n, i), ""))
				if err == nil && i%2 == 0 {
					err = r.Delete(t.Context(), ws, c.ClientID, presented(fmt.Sprint("t", n, "-", i)))
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	most := 0
	for round := 0; round < 8 || most < 4 && round < 500; round++ {
		var file bytes.Buffer
		if _, err := r.Backup(t.Context(), &file, nil); err != nil {
			t.Fatal(err)
		}
		most = max(most, belongTogether(t, readRecords(t, file.Bytes(), plain{})))
	}
	close(stop)
	wait.ForGroup(t, &writers, "the end of the writers")
	if most < 4 {
		t.Errorf("got %d clients in the fullest backup, want some, or it proves nothing", most)
	}
}

// belongTogether counts the active clients.
func belongTogether(t *testing.T, all map[string]registry.Entry) (active int) {
	t.Helper()
	for key, e := range all {
		parts := strings.Split(key, "/")
		switch parts[0] {
		case "client":
			var c registry.Client
			if err := json.Unmarshal(e.Value, &c); err != nil {
				t.Fatal(err)
			}
			if _, ok := all["document/"+c.Document]; !ok {
				t.Errorf("%s has no document", key)
			}
			if c.Status != registry.Active {
				continue
			}
			active++
			if id := all["id/"+parts[1]+"/"+c.ClientID]; string(id.Value) != c.ID {
				t.Errorf("%s is active, and its client_id names %q", key, id.Value)
			}
			if _, ok := all[fmt.Sprintf("index/time/%s/%016x-%s", parts[1], c.IssuedAt, c.ID)]; !ok {
				t.Errorf("%s is active, and not in the index of times", key)
			}
		case "id":
			if _, ok := all["client/"+parts[1]+"/"+string(e.Value)]; len(e.Value) > 0 && !ok {
				t.Errorf("%s names %s, which is not there", key, e.Value)
			}
		case "index":
			id := parts[len(parts)-1]
			if parts[1] == "time" {
				_, id, _ = strings.Cut(id, "-")
			}
			if _, ok := all["client/"+parts[2]+"/"+id]; !ok {
				t.Errorf("%s names a client that is not there", key)
			}
		}
	}
	return active
}

// gate is a receiver that takes so many writes and then waits until it is opened.
type gate struct {
	free    int
	reached chan struct{}
	open    chan struct{}
	once    sync.Once
}

func newGate(free int) *gate {
	return &gate{free: free, reached: make(chan struct{}), open: make(chan struct{})}
}

func (g *gate) Write(p []byte) (int, error) {
	if g.free--; g.free < 0 {
		g.once.Do(func() { close(g.reached) })
		<-g.open
	}
	return len(p), nil
}

// filled is an open registry with so many records of 4 KB.
func filled(t *testing.T, s registry.Store, count int) *registry.Registry {
	t.Helper()
	for n := range count {
		if err := s.Update(t.Context(), func(w registry.Writer) error {
			return w.Put(fmt.Sprintf("document/%04d", n), bytes.Repeat([]byte{byte(n)}, 4<<10))
		}); err != nil {
			t.Fatal(err)
		}
	}
	r, err := registry.Open(t.Context(), registry.Options{Store: s, Sealer: plain{}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestOneBackupAtATime: the second is refused while the first waits, and goes on after it.
func TestOneBackupAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := filled(t, memory.Open(memory.Options{}), 100)
		defer r.Close()
		g := newGate(1)
		first := make(chan error, 1)
		go func() {
			_, err := r.Backup(t.Context(), g, nil)
			first <- err
		}()
		<-g.reached
		if _, err := r.Backup(t.Context(), io.Discard, nil); !errors.Is(err, registry.ErrBackupRunning) {
			t.Errorf("got %v, want ErrBackupRunning", err)
		}
		close(g.open)
		if err := <-first; err != nil {
			t.Error(err)
		}
		if _, err := r.Backup(t.Context(), io.Discard, nil); err != nil {
			t.Errorf("after the first: %v", err)
		}
	})
}

// TestStalledBackupHoldsNothing: where nobody takes what a backup writes, its snapshot is
// given up, at once when it is cancelled or the registry is closed, and else in a minute.
func TestStalledBackupHoldsNothing(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		end  func(*registry.Registry, context.CancelFunc) error
		want string
		took time.Duration
	}{
		"cancelled": {func(_ *registry.Registry, cancel context.CancelFunc) error { cancel(); return nil }, context.Canceled.Error(), 0},
		"closed":    {func(r *registry.Registry, _ context.CancelFunc) error { return r.Close() }, registry.ErrClosed.Error(), 0},
		"stalled":   {func(*registry.Registry, context.CancelFunc) error { return nil }, "the receiver of the backup has taken nothing for 1m0s", time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &viewed{Store: memory.Open(memory.Options{}), ended: make(chan struct{})}
				r := filled(t, s, 2000)
				defer r.Close()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				g := newGate(1)
				ended := make(chan error, 1)
				began := time.Now()
				go func() {
					_, err := r.Backup(ctx, g, nil)
					ended <- err
				}()
				<-g.reached
				s.watch()
				if err := tc.end(r, cancel); err != nil {
					t.Error(err)
				}
				<-s.ended
				if took := time.Since(began); took != tc.took {
					t.Errorf("the snapshot was held for %v, want %v", took, tc.took)
				}
				close(g.open)
				if err := <-ended; err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("got %v, want %s", err, tc.want)
				}
			})
		})
	}
}

// viewed tells when all views have ended that are there when it is watched.
type viewed struct {
	registry.Store
	mu      sync.Mutex
	active  int
	watched bool
	ended   chan struct{}
}

func (s *viewed) watch() { s.mu.Lock(); defer s.mu.Unlock(); s.watched = true }

func (s *viewed) begin() { s.mu.Lock(); defer s.mu.Unlock(); s.active++ }

func (s *viewed) View(ctx context.Context, f func(registry.Reader) error) error {
	s.begin()
	err := s.Store.View(ctx, f)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.active--; s.watched && s.active == 0 {
		s.watched = false
		close(s.ended)
	}
	return err
}

// TestCancelledBackups: cancelled at any moment, a backup says so, and no reader takes what
// it has written.
func TestCancelledBackups(t *testing.T) {
	t.Parallel()
	r := filled(t, memory.Open(memory.Options{}), 200)
	defer r.Close()
	whole := 0
	for after := 0; whole < 2 && after < 100; after++ {
		ctx, cancel := context.WithCancel(t.Context())
		var file bytes.Buffer
		pages := 0
		if after == 0 {
			cancel()
		}
		_, err := r.Backup(ctx, &file, func(registry.BackupProgress) {
			if pages++; pages == after {
				cancel()
			}
		})
		cancel()
		_, verified := registry.VerifyBackup(t.Context(), bytes.NewReader(file.Bytes()), plain{}, nil)
		if (err == nil) != (verified == nil) || err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled after %d pages: got %v, and the file: %v", after, err, verified)
		}
		if err == nil {
			whole++
		}
	}
	if whole == 0 {
		t.Error("no backup came to its end")
	}
}

// limited takes so many bytes.
type limited struct{ left int }

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, errNoSpace
	}
	return len(p), nil
}

var errNoSpace = errors.New("no space left on device")

// TestBackupOnAFullDisk: the error of the receiver is told, and the next backup works.
func TestBackupOnAFullDisk(t *testing.T) {
	t.Parallel()
	r := filled(t, memory.Open(memory.Options{}), 200)
	defer r.Close()
	for left := 0; left < 800<<10; left += 50 << 10 {
		if _, err := r.Backup(t.Context(), &limited{left}, nil); !errors.Is(err, errNoSpace) {
			t.Errorf("with room for %d bytes: got %v, want %v", left, err, errNoSpace)
		}
	}
	if _, err := r.Backup(t.Context(), io.Discard, nil); err != nil {
		t.Error(err)
	}
}

// endless is a store of so many records that are made when they are read.
type endless struct {
	registry.Store
	count int
}

func (s endless) View(ctx context.Context, f func(registry.Reader) error) error {
	return s.Store.View(ctx, func(v registry.Reader) error { return f(endlessReader{v, s.count}) })
}

func (endless) Update(context.Context, func(registry.Writer) error) error { return nil }

type endlessReader struct {
	registry.Reader
	count int
}

func (v endlessReader) from(prefix, after string, limit int) (from, to int) {
	if prefix != "" {
		return 0, 0
	}
	if after != "" {
		fmt.Sscanf(after, "document/%d", &from)
		from++
	}
	return from, min(from+limit, v.count)
}

func (v endlessReader) Keys(prefix, after string, limit int) (keys []string, err error) {
	for n, to := v.from(prefix, after, limit); n < to; n++ {
		keys = append(keys, fmt.Sprintf("document/%08d", n))
	}
	return keys, nil
}

func (v endlessReader) Scan(prefix, after string, limit int) (entries []registry.Entry, err error) {
	for n, to := v.from(prefix, after, limit); n < to; n++ {
		entries = append(entries, registry.Entry{Key: fmt.Sprintf("document/%08d", n), Value: make([]byte, 200+n%17*100)})
	}
	return entries, nil
}

// TestMemoryOfABackup: ten times the records take no more memory, neither to write nor to
// restore.
func TestMemoryOfABackup(t *testing.T) {
	most := map[int]uint64{}
	for _, count := range []int{10_000, 100_000} {
		r, err := registry.Open(t.Context(), registry.Options{Store: endless{memory.Open(memory.Options{}), count}, Sealer: plain{}})
		if err != nil {
			t.Fatal(err)
		}
		file, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		sample := func() {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			most[count] = max(most[count], m.HeapAlloc)
		}
		every := func(p registry.BackupProgress) {
			if p.Records%10_000 < 100 {
				sample()
			}
		}
		if _, err := r.Backup(t.Context(), file, every); err != nil {
			t.Fatal(err)
		}
		_, err = registry.Restore(t.Context(), registry.Restoration{From: file, Store: endless{memory.Open(memory.Options{}), 0}, Sealer: plain{}, Progress: func(p registry.BackupProgress, _ bool) { every(p) }})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if most[100_000] > most[10_000]+4<<20 {
		t.Errorf("100,000 records took %d KB, 10,000 took %d KB", most[100_000]>>10, most[10_000]>>10)
	}
}
