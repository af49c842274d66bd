package caddymodule

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// bound is a gateway with a store on disk, and its log.
type bound struct {
	t     *testing.T
	store string
	lost  string // the option keyset_lost
	log   bytes.Buffer
}

func newBound(t *testing.T) *bound {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	return &bound{t: t, store: filepath.Join(t.TempDir(), "store")}
}

func (*bound) file() string { return filepath.Join(dataDirectory(), "keyset.json") }

// start starts the gateway and ends it again.
func (b *bound) start(keyset string) error {
	b.t.Helper()
	b.log.Reset()
	a := configuration(b.t, &BadgerStore{absolute: b.store}, keyset)
	a.KeysetLost = b.lost
	a.log = slog.New(slog.NewTextHandler(&b.log, nil))
	return errors.Join(a.Start(), a.Cleanup())
}

func (b *bound) starts(keyset string, says ...string) {
	b.t.Helper()
	if err := b.start(keyset); err != nil {
		b.t.Fatal(err)
	}
	for _, text := range says {
		if !strings.Contains(b.log.String(), text) {
			b.t.Errorf("the log does not say %q:\n%s", text, b.log.String())
		}
	}
}

func (b *bound) refused(keyset string, says ...string) {
	b.t.Helper()
	err := b.start(keyset)
	if err == nil {
		b.t.Fatalf("it starts:\n%s", b.log.String())
	}
	for _, text := range says {
		if !strings.Contains(err.Error(), text) {
			b.t.Errorf("the error does not say %q: %v", text, err)
		}
	}
}

func generated(t *testing.T) string {
	t.Helper()
	_, text, err := registry.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func writeKeyset(t *testing.T, file, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// TestKeysetIsGeneratedOnce: beside an empty store, whole, for this user only, and with
// nothing left beside it.
func TestKeysetIsGeneratedOnce(t *testing.T) {
	b := newBound(t)
	b.starts("", "generated a keyset")
	info, err := os.Stat(b.file())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("got %v, %v, want the mode 0600", info, err)
	}
	if beside, err := os.ReadDir(filepath.Dir(b.file())); err != nil || len(beside) != 1 {
		t.Errorf("beside the keyset are %v, %v", beside, err)
	}
	first, err := os.ReadFile(b.file())
	if err != nil {
		t.Fatal(err)
	}
	b.starts("")
	if again, err := os.ReadFile(b.file()); err != nil || !bytes.Equal(first, again) || b.log.Len() > 0 {
		t.Errorf("another keyset, %v, or a warning: %s", err, b.log.String())
	}
	b.starts(string(first)) // the same, as the option
	if err := writeNew(b.file(), nil); !errors.Is(err, os.ErrExist) {
		t.Errorf("got %v, want %v", err, os.ErrExist)
	}
}

// TestLostKeysetIsNotReplaced: a store that holds something has a keyset, and a start
// without it says where it should be.
func TestLostKeysetIsNotReplaced(t *testing.T) {
	b := newBound(t)
	b.starts("")
	kept, err := os.ReadFile(b.file())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(b.file()); err != nil {
		t.Fatal(err)
	}
	b.refused("", b.file()+" is missing", "put back")
	if _, err := os.Stat(b.file()); !errors.Is(err, os.ErrNotExist) {
		t.Fatal("another one was made")
	}
	for text, what := range map[string]string{"": "is empty", "\n": "is empty", string(kept[:len(kept)/2]): "is damaged"} {
		writeKeyset(t, b.file(), text)
		b.refused("", b.file()+" "+what, "put back")
	}
	writeKeyset(t, b.file(), string(kept))
	b.starts("")
}

// TestForeignKeyset is found before anything is served, and harms nothing.
func TestForeignKeyset(t *testing.T) {
	b := newBound(t)
	b.starts("")
	own, err := os.ReadFile(b.file())
	if err != nil {
		t.Fatal(err)
	}
	writeKeyset(t, b.file(), generated(t))
	b.refused("", "not the one with which the store was sealed", b.file(), "put back")
	b.refused(generated(t), "the option keyset")
	writeKeyset(t, b.file(), string(own))
	b.starts("")
}

var lostID = regexp.MustCompile(`keyset_lost ([0-9a-f]+)`)

// TestKeysetThatIsLostForGood: an option gives the store another one. It names what binds
// the store now, and left in the configuration accepts no other loss.
func TestKeysetThatIsLostForGood(t *testing.T) {
	b := newBound(t)
	b.starts("")
	id := func(keyset string) string {
		t.Helper()
		m := lostID.FindStringSubmatch(fmt.Sprint(b.start(keyset)))
		if m == nil {
			t.Fatal("the error names no id")
		}
		return m[1]
	}
	if err := os.Remove(b.file()); err != nil {
		t.Fatal(err)
	}
	b.lost = id("")
	b.starts("", "generated a keyset", "binds the store to another keyset")
	b.starts("")
	if err := os.Remove(b.file()); err != nil {
		t.Fatal(err)
	}
	b.refused("", "is missing")
	other := generated(t)
	b.lost = id(other)
	b.starts(other, "binds the store to another keyset")
	b.starts(other)
	b.refused(generated(t), "keyset_lost")
}

// TestKeysetBesideAnEmptyStore is allowed, and looks like a volume that is not mounted.
func TestKeysetBesideAnEmptyStore(t *testing.T) {
	b := newBound(t)
	b.starts("")
	b.store = filepath.Join(t.TempDir(), "other")
	b.starts("", "found an empty store although its keyset existed before")
	b.starts("")
	if b.log.Len() > 0 {
		t.Errorf("got %s, want nothing said again", b.log.String())
	}
}

// TestEmptySecretIsNone: a file with nothing but a line end is no secret, and the keyset
// that nobody configured does not take its place.
func TestEmptySecretIsNone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keyset")
	writeKeyset(t, file, "\n")
	if v, err := secret("keyset", "{file."+file+"}"); err == nil || !strings.Contains(err.Error(), "is empty") {
		t.Errorf("got %q, %v, want an error that says it is empty", v, err)
	}
	app := &App{Keyset: "{file." + file + "}"}
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	defer cancel()
	if err := app.Provision(ctx); err == nil || !strings.Contains(err.Error(), "is empty") {
		t.Error(err)
	}
}
