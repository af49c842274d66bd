package badger

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/sync/errgroup"

	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/registry"
)

const (
	// killedDir tells a re-executed test binary that it is the one to be killed.
	killedDir = "REGISTRY_BADGER_KILLED_DIR"
	// killedRounds is how often it is, each time after fewer writes, at random; without it
	// twice, and late.
	killedRounds = "REGISTRY_BADGER_KILLED_ROUNDS"
	// killedAt is the crash point at which it ends itself.
	killedAt = "REGISTRY_BADGER_KILLED_AT"
)

const (
	killedWriters = 16
	killedAfter   = 400 // acknowledgements: a dozen files of the value log
	acknowledged  = "acknowledged "
)

// TestKilled kills a process in the middle of its writes, twice over the same
// directory. The directory is never refused. Every key that it has acknowledged must be there, and of every
// update all keys or none. Files are small and collected all the time, so that
// the end meets a rotation, a compaction or a collection now and then.
func TestKilled(t *testing.T) {
	t.Parallel()
	if dir := os.Getenv(killedDir); dir != "" {
		writeUntilKilled(t, dir)
		return
	}
	skipLong(t)
	rounds, err := strconv.Atoi(cmp.Or(os.Getenv(killedRounds), "2"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for round := range rounds {
		after := killedAfter
		if rounds > 2 {
			after = 1 + rand.IntN(killedAfter)
		}
		names := killWriter(t, dir, after, "")
		if len(names) < after {
			t.Fatalf("round %d: %d acknowledgements, want %d before the kill", round, len(names), after)
		}
		if round%3 == 1 {
			names = append(names, killWriter(t, dir, after, "")...) // nobody has closed it in between
		}
		t.Logf("round %d: %d acknowledgements", round, len(names))
		survives(t, dir, fmt.Sprint("round ", round), names)
	}
}

// TestKilledAtPoints ends the process between a commit and HEAD, and between a collection
// and the commit that follows it, several times over the same directory.
func TestKilledAtPoints(t *testing.T) {
	t.Parallel()
	skipLong(t)
	dir := t.TempDir()
	total := 0
	for round, point := range []string{"store: committed", "store: collected", "store: committed", "store: collected", "store: collected"} {
		const never = 1 << 30
		names := killWriter(t, dir, never, point)
		total += len(names) // a collection may come before the first one
		survives(t, dir, fmt.Sprintf("round %d, %s", round, point), names)
	}
	if total == 0 {
		t.Error("no acknowledgements")
	}
}

// skipLong is for tests that end processes or open a store very often: make test-quick
// leaves them out.
func skipLong(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("it takes long")
	}
}

// survives opens the directory and looks for what was acknowledged.
func survives(t *testing.T, dir, what string, names []string) {
	t.Helper()
	s := openIn(t, dir, churning)
	err := s.View(t.Context(), func(r registry.Reader) error {
		for _, name := range names {
			if _, err := r.Get("record/" + name); err != nil {
				t.Errorf("%s: acknowledged %s: %v", what, name, err)
			}
		}
		return errors.Join(wholeUpdates(r), lastUpdates(r, names))
	})
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// churning has memtables that are soon full and compacted.
func churning(o *badger.Options) {
	small(o)
	o.MemTableSize = 512 << 10
	o.NumLevelZeroTables = 1
}

// killWriter runs the other half of TestKilled, until so many acknowledgements or to a
// crash point, and returns what it acknowledged.
func killWriter(t *testing.T, dir string, after int, point string) (names []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait.Limit)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestKilled$")
	child.Env = append(os.Environ(), killedDir+"="+dir, killedAt+"="+point)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	for in := bufio.NewReader(out); ; {
		line, err := in.ReadString('\n')
		if err != nil {
			break // The end of the pipe, perhaps in the middle of a line.
		}
		name, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), acknowledged)
		if !ok {
			t.Errorf("the writer says %q", line)
			continue
		}
		// What is in the pipe after the kill was acknowledged before it.
		if names = append(names, name); len(names) == after {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := child.Wait(); err == nil {
		t.Error("the writer ended by itself")
	}
	if ctx.Err() != nil {
		t.Errorf("%d acknowledgements after %s, want %d, or the end at %q", len(names), wait.Limit, after, point)
	}
	return names
}

// writeUntilKilled acknowledges each update in one write after it has returned.
func writeUntilKilled(t *testing.T, dir string) {
	var passed atomic.Int64
	at := os.Getenv(killedAt)
	last := map[string]int64{"store: committed": 100, "store: collected": 2}[at]
	crashpoint = func(name string) {
		if name == at && passed.Add(1) == last {
			if own, err := os.FindProcess(os.Getpid()); err == nil {
				_ = own.Kill()
			}
			select {} // until it comes
		}
	}
	s, err := open(Options{Dir: dir, CollectEvery: time.Millisecond}, churning)
	if err != nil {
		t.Fatal(err)
	}
	var group errgroup.Group
	for writer := range killedWriters {
		group.Go(func() error {
			for n := 0; ; n++ {
				name := updateName{os.Getpid(), writer, n}
				if err := s.Update(t.Context(), func(w registry.Writer) error { return writeNamed(w, name) }); err != nil {
					return err
				}
				if _, err := os.Stdout.WriteString(acknowledged + name.String() + "\n"); err != nil {
					return err
				}
			}
		})
	}
	t.Fatalf("the writers have ended with %v, want them killed", group.Wait())
}

// updateName is the process, the writer in it, and its count of updates.
type updateName [3]int

func (u updateName) String() string { return fmt.Sprintf("%d.%d.%d", u[0], u[1], u[2]) }

func (u updateName) last() string { return fmt.Sprintf("last/%d.%d", u[0], u[1]) }

func writeNamed(w registry.Writer, u updateName) error {
	name := u.String()
	return errors.Join(
		w.Put("record/"+name, []byte(strings.Repeat(name, 100))),
		w.Put("index/"+name, []byte(name)),
		w.Put("document/"+name, document(name)),
		// Twice as long, so that two thirds of a file become garbage.
		w.Put(u.last(), document(name+name)),
	)
}

// lastUpdates demands each writer's last acknowledged update as the state of the
// key that it replaces each time, or the one that was under way.
func lastUpdates(r registry.Reader, names []string) error {
	newest := make(map[string]updateName)
	for _, name := range names {
		var u updateName
		if _, err := fmt.Sscanf(name, "%d.%d.%d", &u[0], &u[1], &u[2]); err != nil {
			return err
		}
		newest[u.last()] = u // One writer acknowledges in order.
	}
	for key, u := range newest {
		known := u.String()
		u[2]++
		next := u.String()
		got, err := r.Get(key)
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		if !bytes.Equal(got, document(known+known)) && !bytes.Equal(got, document(next+next)) {
			return fmt.Errorf("%s is %.40q, acknowledged is %s", key, got, known)
		}
	}
	return nil
}

// document is big enough for the value log.
func document(name string) []byte { return bytes.Repeat([]byte(name), 1000) }

// wholeUpdates finds halves, of acknowledged and other updates.
func wholeUpdates(r registry.Reader) error {
	const all = 1 << 20
	records, err := r.Scan("record/", "", all)
	if err != nil {
		return err
	}
	indexes, err := r.Scan("index/", "", all)
	if err != nil {
		return err
	}
	documents, err := r.Scan("document/", "", all)
	if err != nil {
		return err
	}
	if len(records) != len(indexes) || len(records) != len(documents) {
		return fmt.Errorf("%d records, %d indexes, %d documents", len(records), len(indexes), len(documents))
	}
	for i, index := range indexes {
		name := string(index.Value)
		if records[i].Key != "record/"+name || string(records[i].Value) != strings.Repeat(name, 100) {
			return fmt.Errorf("record %s of update %s is damaged", records[i].Key, name)
		}
		if documents[i].Key != "document/"+name || !bytes.Equal(documents[i].Value, document(name)) {
			return fmt.Errorf("document %s of update %s is damaged", documents[i].Key, name)
		}
	}
	return nil
}
