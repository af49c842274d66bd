package registry_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/memory"
)

// kept is a store that outlives the registries over it.
type kept struct{ *memory.Store }

func (kept) Close() error { return nil }

func keep(t *testing.T) kept {
	s := kept{memory.Open(memory.Options{})}
	t.Cleanup(func() {
		if err := s.Store.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// opens opens a registry and closes it again; says is what it logs.
func opens(t *testing.T, o registry.Options) (says string, err error) {
	t.Helper()
	var log bytes.Buffer
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	r, err := registry.Open(t.Context(), o)
	if err == nil {
		err = r.Close()
	}
	return log.String(), err
}

// rotation is a Tink keyset that is rotated.
type rotation struct {
	t *testing.T
	*keyset.Manager
	ids []uint32
}

func newRotation(t *testing.T) *rotation {
	k := &rotation{t: t, Manager: keyset.NewManager()}
	k.rotate()
	return k
}

func (k *rotation) rotate() {
	k.t.Helper()
	id, err := k.Add(aead.AES256GCMKeyTemplate())
	if err == nil {
		err = k.SetPrimary(id)
	}
	if err != nil {
		k.t.Fatal(err)
	}
	k.ids = append(k.ids, id)
}

// forget takes the oldest key out.
func (k *rotation) forget() {
	k.t.Helper()
	if err := k.Delete(k.ids[0]); err != nil {
		k.t.Fatal(err)
	}
	k.ids = k.ids[1:]
}

func (k *rotation) sealer() registry.Sealer {
	k.t.Helper()
	h, err := k.Handle()
	if err != nil {
		k.t.Fatal(err)
	}
	var b bytes.Buffer
	if err := insecurecleartextkeyset.Write(h, keyset.NewJSONWriter(&b)); err != nil {
		k.t.Fatal(err)
	}
	sealer, err := registry.ReadKeyset(b.Bytes())
	if err != nil {
		k.t.Fatal(err)
	}
	return sealer
}

// TestStoreIsBoundToItsKeyset: another one does not open it, also where nothing of a
// client was ever sealed; rotation goes on, key by key.
func TestStoreIsBoundToItsKeyset(t *testing.T) {
	t.Parallel()
	s, k := keep(t), newRotation(t)
	must := func(what string) string {
		t.Helper()
		says, err := opens(t, registry.Options{Store: s, Sealer: k.sealer()})
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		return says
	}
	foreign := func(what string) {
		t.Helper()
		if _, err := opens(t, registry.Options{Store: s, Sealer: newRotation(t).sealer()}); !errors.Is(err, registry.ErrForeignKeyset) {
			t.Errorf("%s: %v, want ErrForeignKeyset", what, err)
		}
	}
	must("first start")
	foreign("another keyset")
	must("the first again")
	before := k.sealer()
	for range 10 { // more than are remembered
		k.rotate()
		if says := must("rotated"); says != "" {
			t.Errorf("logged %q, want nothing", says)
		}
	}
	foreign("another keyset after rotations")
	if _, err := opens(t, registry.Options{Store: s, Sealer: before}); !errors.Is(err, registry.ErrForeignKeyset) {
		t.Errorf("a keyset from before all keys that are remembered: %v", err)
	}
	for range 3 {
		k.forget()
	}
	if says := must("keys that are not remembered were taken out"); says != "" {
		t.Errorf("logged %q, want nothing", says)
	}
	for len(k.ids) > 1 {
		k.forget()
	}
	if says := must("only the newest key is left"); !strings.Contains(says, "the keyset lacks") {
		t.Errorf("it does not say that keys are missing: %q", says)
	}
	foreign("another keyset at the end")
}

// unbind makes a store one of a version that did not bind it.
func unbind(t *testing.T, s registry.Store) {
	t.Helper()
	if err := s.Update(t.Context(), func(w registry.Writer) error { return w.Delete("store/keyset") }); err != nil {
		t.Fatal(err)
	}
}

// TestStoreFromBeforeIsBound: once one of its sealed values was opened.
func TestStoreFromBeforeIsBound(t *testing.T) {
	t.Parallel()
	s, own, other := keep(t), newRotation(t).sealer(), newRotation(t).sealer()
	sealsOne(t, s, own)
	unbind(t, s)
	if _, err := opens(t, registry.Options{Store: s, Sealer: other}); !errors.Is(err, registry.ErrForeignKeyset) {
		t.Errorf("a foreign keyset: %v", err)
	}
	if says, err := opens(t, registry.Options{Store: s, Sealer: own}); err != nil || says != "" {
		t.Errorf("%v, %s; want it opened without a word", err, says)
	}
	if _, err := opens(t, registry.Options{Store: s, Sealer: other}); !errors.Is(err, registry.ErrForeignKeyset) {
		t.Errorf("bound, and a foreign keyset opens it: %v", err)
	}
	// A version before has gone on with another keyset: what that has sealed can be read,
	// so that it is the store's now.
	if err := s.Update(t.Context(), func(w registry.Writer) error { return w.Put("client/default%2Fobuk/0", sealedElsewhere(t, s)) }); err != nil {
		t.Fatal(err)
	}
	unbind(t, s)
	if says, err := opens(t, registry.Options{Store: s, Sealer: own}); err != nil || !strings.Contains(says, "unreadable=1") {
		t.Errorf("%v, %s; want it opened with unreadable=1", err, says)
	}
}

// sealsOne registers a client.
func sealsOne(t *testing.T, s registry.Store, sealer registry.Sealer) {
	t.Helper()
	r, err := registry.Open(t.Context(), registry.Options{Store: s, Sealer: sealer})
	if err != nil {
		t.Fatal(err)
	}
	ws := registry.Workspace{Name: "default/obuk", Provisioner: newAS(true)}
	defer r.Attach(ws)()
	_, err = r.Register(t.Context(), ws, request("jti1", "jti1"))
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestLostKeysetOfAStoreFromBefore: what names the loss fits that store alone, and only as
// long as it is not bound.
func TestLostKeysetOfAStoreFromBefore(t *testing.T) {
	t.Parallel()
	s, another := keep(t), keep(t)
	for _, s := range []registry.Store{s, another} {
		sealsOne(t, s, newRotation(t).sealer())
		unbind(t, s)
	}
	id, err := registry.BindingID(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := registry.BindingID(t.Context(), s); err != nil || again != id || !regexp.MustCompile(`^[0-9a-f]{12}$`).MatchString(id) {
		t.Errorf("%q, and then %q: %v", id, again, err)
	}
	after := newRotation(t).sealer()
	for _, word := range []string{"", "unbound", id} {
		if _, err := opens(t, registry.Options{Store: another, Sealer: after, KeysetLost: word}); !errors.Is(err, registry.ErrForeignKeyset) {
			t.Errorf("another store, with %q: %v", word, err)
		}
	}
	if _, err := opens(t, registry.Options{Store: s, Sealer: after, KeysetLost: "unbound"}); !errors.Is(err, registry.ErrForeignKeyset) {
		t.Errorf("a word for every store: %v", err)
	}
	if says, err := opens(t, registry.Options{Store: s, Sealer: after, KeysetLost: id}); err != nil || !strings.Contains(says, "keyset_lost="+id) {
		t.Errorf("%v, %s; want it opened with keyset_lost=%s", err, says, id)
	}
	if _, err := opens(t, registry.Options{Store: s, Sealer: newRotation(t).sealer(), KeysetLost: id}); !errors.Is(err, registry.ErrForeignKeyset) {
		t.Errorf("the next loss of the same store: %v", err)
	}
}

// TestNameOfAStoreWithoutSecrets is its own too.
func TestNameOfAStoreWithoutSecrets(t *testing.T) {
	t.Parallel()
	ids := map[string]bool{}
	for _, value := range []string{"a", "b"} {
		s := keep(t)
		if err := s.Update(t.Context(), func(w registry.Writer) error { return w.Put("discovery/x", []byte(value)) }); err != nil {
			t.Fatal(err)
		}
		id, err := registry.BindingID(t.Context(), s)
		if err != nil || len(id) != 12 {
			t.Errorf("%q, %v; want 12 characters", id, err)
		}
		ids[id] = true
	}
	if len(ids) != 2 {
		t.Errorf("%v, want two", ids)
	}
}

// sealedElsewhere is the record of some client, sealed for another place: it opens nowhere.
func sealedElsewhere(t *testing.T, s registry.Store) (record []byte) {
	t.Helper()
	err := s.View(context.Background(), func(v registry.Reader) error {
		entries, err := v.Scan("client/", "", 1)
		if err == nil {
			record = bytes.Replace(entries[0].Value, []byte(`"id":"`), []byte(`"id":"0`), 1)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return record
}

// TestStoreFromBeforeWithoutSecrets is bound after a warning, and one that is empty
// without.
func TestStoreFromBeforeWithoutSecrets(t *testing.T) {
	t.Parallel()
	s, own := keep(t), newRotation(t).sealer()
	if says, err := opens(t, registry.Options{Store: s, Sealer: own}); err != nil || says != "" {
		t.Errorf("an empty store: %v, %s", err, says)
	}
	unbind(t, s)
	if err := s.Update(t.Context(), func(w registry.Writer) error { return w.Put("discovery/x", nil) }); err != nil {
		t.Fatal(err)
	}
	if says, err := opens(t, registry.Options{Store: s, Sealer: own}); err != nil || !strings.Contains(says, "cannot verify the keyset") {
		t.Errorf("%v, %s; want it opened with a warning that it cannot verify the keyset", err, says)
	}
	if _, err := opens(t, registry.Options{Store: s, Sealer: newRotation(t).sealer()}); !errors.Is(err, registry.ErrForeignKeyset) {
		t.Errorf("not bound: %v", err)
	}
}

// TestBindingOfALaterVersion is not touched.
func TestBindingOfALaterVersion(t *testing.T) {
	t.Parallel()
	s := keep(t)
	if err := s.Update(t.Context(), func(w registry.Writer) error { return w.Put("store/keyset", []byte(`{"v":2}`)) }); err != nil {
		t.Fatal(err)
	}
	if _, err := opens(t, registry.Options{Store: s, Sealer: plain{}}); err == nil || !strings.Contains(err.Error(), "newer version") {
		t.Errorf("%v, want a refusal of the newer version", err)
	}
}
