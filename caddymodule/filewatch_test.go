package caddymodule

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// watching is a file that is watched, with what was read of it last.
type watching struct {
	fileWatch
	t    *testing.T
	name string
	text string
	uses int
	log  bytes.Buffer
	now  time.Time
}

func watchFile(t *testing.T, name string) *watching {
	t.Helper()
	w := &watching{t: t, name: name, now: time.Now()}
	w.fileWatch.log = slog.New(slog.NewTextHandler(&w.log, nil))
	w.add("words", fixed(name), w.use)
	if err := w.use(); err != nil {
		t.Fatal(err)
	}
	w.uses = 0
	return w
}

func (w *watching) use() error {
	text, err := readAtMost(w.name, 100)
	if err != nil {
		return err
	}
	w.uses++
	if strings.HasPrefix(string(text), "bad") {
		return errors.New("bad words")
	}
	if strings.HasPrefix(string(text), "panic") {
		panic("over hostile words")
	}
	w.text = string(text)
	return nil
}

// later looks a while after the last change.
func (w *watching) later(want string, lines int) {
	w.t.Helper()
	w.now = w.now.Add(lookEvery)
	w.look(w.now)
	if w.text != want {
		w.t.Errorf("%q counts, want %q", w.text, want)
	}
	if n := strings.Count(w.log.String(), "\n"); n != lines {
		w.t.Errorf("%d lines of log, want %d:\n%s", n, lines, &w.log)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestFilesAreReadAgain: however a file is replaced, what is in it counts, and is logged once.
func TestFilesAreReadAgain(t *testing.T) {
	name := filepath.Join(t.TempDir(), "words")
	write(t, name, "one")
	w := watchFile(t, name)
	w.later("one", 0)

	write(t, name, "two words")
	w.later("two words", 1)
	w.later("two words", 1)
	w.later("two words", 1)

	t.Run("in its place, with its size and its time", func(t *testing.T) {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		write(t, name, "owt sdrow")
		if err := os.Chtimes(name, info.ModTime(), info.ModTime()); err != nil {
			t.Fatal(err)
		}
		w.later("owt sdrow", 2)
	})
	t.Run("another one renamed over it", func(t *testing.T) {
		write(t, name+".new", "three")
		if err := os.Rename(name+".new", name); err != nil {
			t.Fatal(err)
		}
		w.later("three", 3)
	})
	t.Run("touched", func(t *testing.T) {
		if err := os.Chtimes(name, w.now, w.now.Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
		before := w.uses
		w.later("three", 3)
		if w.uses != before {
			t.Error("what had not changed was read")
		}
	})
}

// TestFilesOfKubernetes: a volume of Kubernetes changes by one symbolic link, to the
// folder of all its files.
func TestFilesOfKubernetes(t *testing.T) {
	dir := t.TempDir()
	revision := func(name, text string) {
		t.Helper()
		folder := filepath.Join(dir, name)
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, "words"), text)
		if err := os.Symlink(name, filepath.Join(dir, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	revision("..1", "one")
	if err := os.Symlink(filepath.Join("..data", "words"), filepath.Join(dir, "words")); err != nil {
		t.Fatal(err)
	}
	w := watchFile(t, filepath.Join(dir, "words"))
	w.later("one", 0)
	revision("..2", "two")
	if err := os.RemoveAll(filepath.Join(dir, "..1")); err != nil {
		t.Fatal(err)
	}
	w.later("two", 1)
}

// TestFilesThatCannotBeUsed: while a file is gone, unreadable or bad, what it said last
// counts. That is logged once, and so is its end.
func TestFilesThatCannotBeUsed(t *testing.T) {
	for name, spoil := range map[string]func(*testing.T, string){
		"bad":       func(t *testing.T, name string) { write(t, name, "bad") },
		"panicking": func(t *testing.T, name string) { write(t, name, "panic") },
		"too large": func(t *testing.T, name string) { write(t, name, strings.Repeat("x", 101)) },
		"a device": func(t *testing.T, name string) {
			if err := errors.Join(os.Remove(name), os.Symlink("/dev/zero", name)); err != nil {
				t.Fatal(err)
			}
		},
		"gone": func(t *testing.T, name string) {
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "words")
			write(t, name, "one")
			w := watchFile(t, name)
			spoil(t, name)
			for range 5 {
				w.later("one", 1)
			}
			if !strings.Contains(w.log.String(), "level=WARN") || !strings.Contains(w.log.String(), "what=words") {
				t.Errorf("got %s, want a warning of what=words", w.log.String())
			}
			if err := os.RemoveAll(name); err != nil {
				t.Fatal(err)
			}
			write(t, name, "one")
			w.later("one", 2)
			write(t, name, "two")
			w.later("two", 3)
		})
	}
}
