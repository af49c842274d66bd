package caddymodule

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/memory"
)

// small is a store on a disk with little room.
type small struct {
	*memory.Store
	free  uint64
	known bool
}

func (s *small) Room() (free uint64, low, known bool) { return s.free, s.free < 1000, s.known }

// TestDiskMetrics: operators can see what room the store has, before it has none.
func TestDiskMetrics(t *testing.T) {
	keyset, _, err := registry.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	store := &small{Store: memory.Open(memory.Options{})}
	r, err := registry.Open(t.Context(), registry.Options{Store: store, Sealer: keyset})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	app := &App{registry: r, users: 1, log: slog.New(slog.DiscardHandler)}
	for _, c := range []struct {
		free  uint64
		known bool
		want  map[string]float64
	}{
		{999, true, map[string]float64{"store_free_bytes": 999, "store_low": 1}},
		{1000, true, map[string]float64{"store_free_bytes": 1000, "store_low": 0}},
		{0, false, map[string]float64{}},
	} {
		store.free, store.known = c.free, c.known
		got := gauges(t, app)
		maps.DeleteFunc(got, func(name string, _ float64) bool { return !strings.HasPrefix(name, "store_") })
		if !maps.Equal(got, c.want) {
			t.Errorf("%d left: %v, want %v", c.free, got, c.want)
		}
	}
}

// unscanned is a store that nobody can scan any more.
type unscanned struct {
	*memory.Store
	scans atomic.Bool
}

func (s *unscanned) View(ctx context.Context, f func(registry.Reader) error) error {
	if s.scans.Load() {
		return s.Store.View(ctx, f)
	}
	return errors.New("the store is too large to be read in time")
}

// TestBacklogMetricsInAnOutage: the gauges of the outbox are there however long the store
// would take to read.
func TestBacklogMetricsInAnOutage(t *testing.T) {
	store := &unscanned{Store: memory.Open(memory.Options{})}
	store.scans.Store(true)
	err := store.Update(t.Context(), func(w registry.Writer) error {
		return errors.Join(
			w.Put("outbox/7000000000000000/1", []byte(`{"workspace":"default/obuk","kind":"revoke","since":7}`)),
			w.Put("divergence/default%2Fobuk/detached/1", []byte(`{}`)),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	keyset, _, err := registry.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	r, err := registry.Open(t.Context(), registry.Options{Store: store, Sealer: keyset})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	store.scans.Store(false)
	app := &App{registry: r, users: 1, log: slog.New(slog.DiscardHandler)}
	got := gauges(t, app)
	if got["outbox_entries"] != 1 || got["outbox_oldest_timestamp_seconds"] != 7 || got["discrepancies"] != 1 {
		t.Errorf("got %v, want 1 entry since 7, and 1 discrepancy", got)
	}
}

// gauges are the metrics of an app, each the first of its name, without the prefix.
func gauges(t *testing.T, app *App) map[string]float64 {
	t.Helper()
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collector{app})
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		got[strings.TrimPrefix(f.GetName(), "caddy_openbanking_dcr_")] = f.GetMetric()[0].GetGauge().GetValue()
	}
	return got
}

func counterValue(t *testing.T, c prometheus.Counter) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}
