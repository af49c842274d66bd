package registry_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/memory"
)

const crlURL = "http://crl.example/issuing.crl"

// keptFor is how long a list counts. The outbox looks into the store twice a minute of it.
const keptFor = 24 * time.Hour

// issuedAt is a list of a size, of bytes that tell it from others.
func issuedAt(at time.Time, size int, of byte) registry.KeptCRL {
	return registry.KeptCRL{URL: crlURL, Body: bytes.Repeat([]byte{of}, size), Issued: at.UnixNano(), Until: at.Add(keptFor).UnixNano()}
}

func (x *fixture) keepCRL(l registry.KeptCRL) {
	x.t.Helper()
	if err := x.KeepCRL(x.t.Context(), l); err != nil {
		x.t.Fatal(err)
	}
}

// TestKeptCRL: a list that is larger than an update may be is kept whole, until its end.
func TestKeptCRL(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		now := time.Now()
		for i, size := range []int{0, 1, 256 << 10, 256<<10 + 1, 16 << 20} {
			l := issuedAt(now.Add(time.Duration(i)*time.Second), size, byte('a'+i))
			x.keepCRL(l)
			if got, err := x.KeptCRL(x.t.Context(), crlURL); err != nil || !bytes.Equal(got, l.Body) {
				x.t.Errorf("%d bytes: %d came back, %v", size, len(got), err)
			}
		}
		if err := x.KeepCRL(x.t.Context(), issuedAt(now, 16<<20+1, 'x')); err == nil {
			x.t.Error("a list of any size is kept")
		}
		if _, err := x.KeptCRL(x.t.Context(), crlURL+"/other"); !errors.Is(err, registry.ErrNotFound) {
			x.t.Errorf("another address: %v", err)
		}
		time.Sleep(keptFor + time.Hour)
		if _, err := x.KeptCRL(x.t.Context(), crlURL); !errors.Is(err, registry.ErrNotFound) {
			x.t.Errorf("after its end: %v", err)
		}
	})
}

// TestKeptCRLOfSeveralGateways: the newest list stays, and nothing of those before it.
func TestKeptCRLOfSeveralGateways(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		now := time.Now()
		x.keepCRL(issuedAt(now, 600<<10, 'a'))
		x.keepCRL(issuedAt(now.Add(time.Hour), 300<<10, 'b'))
		x.keepCRL(issuedAt(now, 600<<10, 'c')) // of a gateway that is behind
		if got, err := x.KeptCRL(x.t.Context(), crlURL); err != nil || len(got) != 300<<10 || got[0] != 'b' {
			x.t.Errorf("%d bytes, %v", len(got), err)
		}
		if keys := crlKeys(x.t, x.store); len(keys) != 3 { // the name and two pieces
			x.t.Errorf("the store has %q", keys)
		}
	})
}

// between is a store in which another gateway does something before the next update.
type between struct {
	*memory.Store
	other func()
}

func (s *between) Update(ctx context.Context, f func(registry.Writer) error) error {
	if other := s.other; other != nil {
		s.other = nil
		other()
	}
	return s.Store.Update(ctx, f)
}

// TestKeptCRLOfAGatewayThatIsFaster: a newer list that another gateway keeps meanwhile stays.
func TestKeptCRLOfAGatewayThatIsFaster(t *testing.T) {
	t.Parallel()
	keyset, _, err := registry.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	store := &between{Store: memory.Open(memory.Options{})}
	r, err := registry.Open(t.Context(), registry.Options{Store: store, Sealer: keyset})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	faster, err := registry.Open(t.Context(), registry.Options{Store: staying{store.Store}, Sealer: keyset})
	if err != nil {
		t.Fatal(err)
	}
	defer faster.Close()
	now := time.Now()
	store.other = func() {
		if err := faster.KeepCRL(t.Context(), issuedAt(now.Add(time.Hour), 300<<10, 'b')); err != nil {
			t.Error(err)
		}
	}
	if err := r.KeepCRL(t.Context(), issuedAt(now, 600<<10, 'a')); err != nil {
		t.Fatal(err)
	}
	if got, err := r.KeptCRL(t.Context(), crlURL); err != nil || len(got) != 300<<10 || got[0] != 'b' {
		t.Errorf("got %d bytes, %v, want the newer list", len(got), err)
	}
	if keys := crlKeys(t, store); len(keys) != 3 { // the name and two pieces
		t.Errorf("the store has %q", keys)
	}
}

// TestDamagedCRL: a list of which a piece is not what was written is none.
func TestDamagedCRL(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.keepCRL(issuedAt(time.Now(), 300<<10, 'a'))
		keys := crlKeys(x.t, x.store)
		err := x.store.Update(x.t.Context(), func(w registry.Writer) error { return w.Put(keys[len(keys)-1], []byte("b")) })
		if err != nil {
			x.t.Fatal(err)
		}
		if got, err := x.KeptCRL(x.t.Context(), crlURL); err == nil {
			x.t.Errorf("got %d bytes of a damaged list", len(got))
		}
	})
}

func crlKeys(t *testing.T, store registry.Store) (keys []string) {
	t.Helper()
	err := store.View(t.Context(), func(r registry.Reader) error {
		entries, err := r.Scan("crl/", "", 1000)
		for _, e := range entries {
			keys = append(keys, e.Key)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// cutOff is a store that takes so many updates more.
type cutOff struct {
	*memory.Store
	left int
}

var errCutOff = errors.New("cut off")

func (s *cutOff) Update(ctx context.Context, f func(registry.Writer) error) error {
	if s.left--; s.left < 0 {
		return errCutOff
	}
	return s.Store.Update(ctx, f)
}

// TestCRLThatIsHalfWritten: the list before counts until the new one is there whole.
func TestCRLThatIsHalfWritten(t *testing.T) {
	t.Parallel()
	for left := range 5 {
		keyset, _, err := registry.NewKeyset()
		if err != nil {
			t.Fatal(err)
		}
		store := &cutOff{Store: memory.Open(memory.Options{}), left: 1000}
		r, err := registry.Open(t.Context(), registry.Options{Store: store, Sealer: keyset})
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		if err := r.KeepCRL(t.Context(), issuedAt(now, 300<<10, 'a')); err != nil {
			t.Fatal(err)
		}
		store.left = left // two pieces, the name, and the pieces before
		err = r.KeepCRL(t.Context(), issuedAt(now.Add(time.Hour), 400<<10, 'b'))
		got, readErr := r.KeptCRL(t.Context(), crlURL)
		want := byte('a')
		if left >= 3 {
			want = 'b'
		}
		if readErr != nil || got[0] != want || (err == nil) != (left >= 4) {
			t.Errorf("after %d updates: %c, %v; kept: %v", left, got[0], readErr, err)
		}
		store.left = 1000
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}
