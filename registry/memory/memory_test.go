package memory_test

import (
	"errors"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/memory"
	"github.com/caddy-dcr/caddy-dcr/registry/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) registry.Store { return memory.Open(memory.Options{}) })
}

// The suite's own functions are pure, so an engine that runs them twice passes too.
func TestRerunningStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) registry.Store { return memory.Open(memory.Options{Rerun: true}) })
}

func TestExpiry(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	s := memory.Open(memory.Options{Now: func() time.Time { return now }})
	expires := now.Add(time.Minute)
	err := s.Update(t.Context(), func(w registry.Writer) error {
		return w.PutExpiring("token", []byte("used"), expires)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name string
		now  time.Time
		want error
	}{
		{"at its expiry", expires, nil},
		{"after its expiry", expires.Add(1), registry.ErrNotFound},
	} {
		now = step.now
		err := s.View(t.Context(), func(r registry.Reader) error {
			entries, err := r.Scan("", "", 10)
			if err != nil {
				return err
			}
			if found := len(entries) == 1; found != (step.want == nil) {
				t.Errorf("%s: scan found %d entries", step.name, len(entries))
			}
			_, err = r.Get("token")
			return err
		})
		if !errors.Is(err, step.want) {
			t.Errorf("%s: got %v, want %v", step.name, err, step.want)
		}
	}
}

func TestRerunFindsImpureFunctions(t *testing.T) {
	s := memory.Open(memory.Options{Rerun: true})
	runs := 0
	if err := s.Update(t.Context(), func(registry.Writer) error { runs++; return nil }); err != nil {
		t.Fatal(err)
	}
	if runs != 2 {
		t.Errorf("the function ran %d times, want 2", runs)
	}
}

func BenchmarkStore(b *testing.B) {
	storetest.Benchmark(b, memory.Open(memory.Options{}))
}
