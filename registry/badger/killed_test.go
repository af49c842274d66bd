package badger

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// killedDir tells a re-executed test binary that it is the one to be killed.
const killedDir = "REGISTRY_BADGER_KILLED_DIR"

const (
	killedWriters = 16
	killedAfter   = 500 // acknowledgements
	acknowledged  = "acknowledged "
)

// TestKilled kills a process in the middle of its writes, twice over the same
// directory. Every key that it has acknowledged must be there, and of every
// update all keys or none.
func TestKilled(t *testing.T) {
	if dir := os.Getenv(killedDir); dir != "" {
		writeUntilKilled(t, dir)
		return
	}
	dir := t.TempDir()
	for round := range 2 {
		names := killWriter(t, dir)
		if len(names) < killedAfter {
			t.Fatalf("round %d: %d acknowledgements, want %d before the kill", round, len(names), killedAfter)
		}
		s := openIn(t, dir, untuned)
		err := s.View(t.Context(), func(r registry.Reader) error {
			for _, name := range names {
				if _, err := r.Get("record/" + name); err != nil {
					t.Errorf("round %d: acknowledged %s: %v", round, name, err)
				}
			}
			return wholeUpdates(r)
		})
		if err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// killWriter runs the other half of TestKilled and returns what it acknowledged.
func killWriter(t *testing.T, dir string) (names []string) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilled$")
	child.Env = append(os.Environ(), killedDir+"="+dir)
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
		if names = append(names, name); len(names) == killedAfter {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := child.Wait(); err == nil {
		t.Error("the writer ended by itself")
	}
	return names
}

// writeUntilKilled acknowledges each update in one write after it has returned.
func writeUntilKilled(t *testing.T, dir string) {
	s, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	var group errgroup.Group
	for writer := range killedWriters {
		group.Go(func() error {
			for n := 0; ; n++ {
				name := fmt.Sprintf("%d.%d.%d", os.Getpid(), writer, n)
				if err := s.Update(t.Context(), func(w registry.Writer) error { return writeNamed(w, name) }); err != nil {
					return err
				}
				if _, err := os.Stdout.WriteString(acknowledged + name + "\n"); err != nil {
					return err
				}
			}
		})
	}
	t.Fatal(group.Wait())
}

func writeNamed(w registry.Writer, name string) error {
	return errors.Join(
		w.Put("record/"+name, []byte(strings.Repeat(name, 100))),
		w.Put("index/"+name, []byte(name)),
		w.Put("document/"+name, document(name)),
	)
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
