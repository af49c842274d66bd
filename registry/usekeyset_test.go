package registry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/memory"
)

// sealedBy counts what each key has sealed in a store: clients and work of the outbox.
func sealedBy(t *testing.T, s registry.Store) map[string]int {
	t.Helper()
	found := map[string]int{}
	for key, e := range records(t, s) {
		var r struct {
			Sealed []byte `json:"sealed"`
			Token  []byte `json:"token"`
			Secret struct {
				Sealed []byte `json:"sealed"`
			} `json:"client_secret"`
		}
		if !strings.HasPrefix(key, "client/") && !strings.HasPrefix(key, "outbox/") && !strings.HasPrefix(key, "later/") {
			continue
		}
		if err := json.Unmarshal(e.Value, &r); err != nil {
			t.Fatal(err)
		}
		for _, sealed := range [][]byte{r.Sealed, r.Token, r.Secret.Sealed} {
			if len(sealed) > 0 {
				found[fmt.Sprintf("%x", sealed[:5])]++
			}
		}
	}
	return found
}

func seals(t *testing.T, s registry.Store) (n int) {
	t.Helper()
	var b struct {
		Seals []struct{} `json:"seals"`
	}
	if err := json.Unmarshal(records(t, s)["store/keyset"].Value, &b); err != nil {
		t.Fatal(err)
	}
	return len(b.Seals)
}

// registered is a registry with so many clients, of which the AS revokes no token yet.
func registered(t *testing.T, s registry.Store, k registry.Sealer, clients int) (r *registry.Registry, end func()) {
	t.Helper()
	r, err := registry.Open(t.Context(), registry.Options{Store: s, Sealer: k})
	if err != nil {
		t.Fatal(err)
	}
	a := newAS(true)
	ws := registry.Workspace{Name: "w", Provisioner: a}
	takeBack := r.Attach(ws)
	for n := range clients {
		if _, err := r.Register(t.Context(), ws, request(fmt.Sprint("jti", n), "")); err != nil {
			t.Fatal(err)
		}
	}
	return r, func() {
		takeBack()
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

func nameOf(id uint32) string { return fmt.Sprintf("01%08x", id) }

// TestRotation goes the way of a fleet: a key is added, and nothing is sealed with it; it
// becomes the primary one, and everything is sealed anew; then the old one may go.
func TestRotation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newRotation(t)
		s := kept{memory.Open(memory.Options{})}
		r, end := registered(t, s, k.sealer(), 30)
		added, err := k.Add(aead.AES256GCMKeyTemplate())
		if err != nil {
			t.Fatal(err)
		}
		if err := r.UseKeyset(t.Context(), k.sealer()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if got := sealedBy(t, s); got[nameOf(k.ids[0])] != 30 || len(got) != 1 || seals(t, s) != 1 {
			t.Errorf("after a key was added: got %v and %d seals, want 30 of %s", got, seals(t, s), nameOf(k.ids[0]))
		}
		if err := k.SetPrimary(added); err != nil {
			t.Fatal(err)
		}
		if err := r.UseKeyset(t.Context(), k.sealer()); err != nil {
			t.Fatal(err)
		}
		if seals(t, s) != 2 {
			t.Errorf("got %d seals while the old key is needed, want 2", seals(t, s))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := sealedBy(t, s); got[nameOf(added)] == 0 || got[nameOf(added)] > 21 {
			t.Errorf("after a second: got %v, want some, and 20 a second at most", got)
		}
		time.Sleep(time.Hour)
		if got := sealedBy(t, s); got[nameOf(added)] != 30 || len(got) != 1 || seals(t, s) != 1 {
			t.Errorf("got %v and %d seals, want 30 of %s and one seal", got, seals(t, s), nameOf(added))
		}
		k.forget()
		if err := r.UseKeyset(t.Context(), k.sealer()); err != nil {
			t.Errorf("without the old key: %v", err)
		}
		end()
		says, err := opens(t, registry.Options{Store: s, Sealer: k.sealer()})
		if err != nil || strings.Contains(says, "WARN") {
			t.Errorf("opened without the old key: %s, %v", says, err)
		}
	})
}

// TestRotationSurvivesAnEnd: what was not sealed anew when the process ended is after the
// next start, also where a keyset was promoted while no gateway ran.
func TestRotationSurvivesAnEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newRotation(t)
		s := kept{memory.Open(memory.Options{})}
		_, end := registered(t, s, k.sealer(), 30)
		end()
		k.rotate()
		for n := range 3 {
			_, end := registered(t, s, k.sealer(), 0)
			time.Sleep(400 * time.Millisecond)
			end()
			if got := sealedBy(t, s); got[nameOf(k.ids[1])] < n*5 || got[nameOf(k.ids[0])] == 0 || seals(t, s) != 2 {
				t.Errorf("after start %d: got %v, want some of each key, and two seals", n+1, got)
			}
		}
		_, end = registered(t, s, k.sealer(), 0)
		time.Sleep(time.Hour)
		end()
		if got := sealedBy(t, s); got[nameOf(k.ids[1])] != 30 || len(got) != 1 || seals(t, s) != 1 {
			t.Errorf("got %v and %d seals, want 30 of the new key", got, seals(t, s))
		}
	})
}

// TestKeysetThatLacksAKey: one without a key that has sealed something is refused, and the
// present one goes on.
func TestKeysetThatLacksAKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k, other := newRotation(t), newRotation(t)
		s := kept{memory.Open(memory.Options{})}
		r, end := registered(t, s, k.sealer(), 1)
		defer end()
		before := string(records(t, s)["store/keyset"].Value)
		if err := r.UseKeyset(t.Context(), other.sealer()); !errors.Is(err, registry.ErrForeignKeyset) {
			t.Errorf("got %v, want ErrForeignKeyset", err)
		}
		if after := string(records(t, s)["store/keyset"].Value); after != before {
			t.Errorf("the binding became %s", after)
		}
		if _, err := r.Backup(t.Context(), &bytes.Buffer{}, nil); err != nil {
			t.Error(err)
		}
	})
}

// TestUnreadableCredentialsStay: what no key opens is left as it is, told of once, and keeps
// the older keys on the binding.
func TestUnreadableCredentialsStay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newRotation(t)
		s := kept{memory.Open(memory.Options{})}
		_, end := registered(t, s, k.sealer(), 3)
		end()
		lost := `{"v":1,"id":"lost","workspace":"w","status":"active","sealed":"AQECAwQFBgcICQ=="}`
		if err := s.Update(context.Background(), func(w registry.Writer) error { return w.Put("client/w/lost", []byte(lost)) }); err != nil {
			t.Fatal(err)
		}
		k.rotate()
		var log bytes.Buffer
		r, err := registry.Open(t.Context(), registry.Options{Store: s, Sealer: k.sealer(), Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if n := strings.Count(log.String(), "cannot encrypt some credentials in the store with the primary key"); n != 1 {
			t.Errorf("it is told %d times, want once: %s", n, log.String())
		}
		if got := string(records(t, s)["client/w/lost"].Value); got != lost || seals(t, s) != 2 || sealedBy(t, s)[nameOf(k.ids[1])] != 3 {
			t.Errorf("got %s, %v and %d seals, want it as it was, the others sealed anew, and two", got, sealedBy(t, s), seals(t, s))
		}
	})
}
