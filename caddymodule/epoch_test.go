package caddymodule

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// TestEpochIsSeen: in the log of every start while it refuses something, and in the metrics.
func TestEpochIsSeen(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	engine := &BadgerStore{absolute: t.TempDir()}
	var log bytes.Buffer
	start := func(restored string, lifetime time.Duration, look func(*App, *registry.Registry)) string {
		t.Helper()
		log.Reset()
		a := configuration(t, engine, "")
		a.Restored, a.log = restored, slog.New(slog.NewTextHandler(&log, nil))
		a.workspaces[0].AccessToken = &AccessToken{Lifetime: caddy.Duration(lifetime)}
		if err := a.Start(); err != nil {
			t.Fatal(err)
		}
		look(a, a.registry)
		if err := a.Cleanup(); err != nil {
			t.Fatal(err)
		}
		return log.String()
	}
	gauges := func(set, unconfirmed float64) func(*App, *registry.Registry) {
		return func(a *App, r *registry.Registry) {
			t.Helper()
			metrics := prometheus.NewRegistry()
			metrics.MustRegister(collector{a})
			families, err := metrics.Gather()
			if err != nil {
				t.Fatal(err)
			}
			seen := 0
			for _, f := range families {
				value := f.GetMetric()[0].GetGauge().GetValue()
				switch f.GetName() {
				case "caddy_openbanking_dcr_epoch_timestamp_seconds":
					if seen++; value != set*float64(r.Epoch().At) || set == 0 && r.Epoch().At != 0 {
						t.Errorf("the epoch is %v", value)
					}
				case "caddy_openbanking_dcr_epoch_unconfirmed":
					if seen++; value != unconfirmed {
						t.Errorf("got unconfirmed %v, want %v", value, unconfirmed)
					}
				}
			}
			if seen != 2 {
				t.Errorf("got %d gauges, want 2", seen)
			}
		}
	}
	const inForce = "enforces an epoch"
	if says := start("", time.Hour, gauges(0, 0)); strings.Contains(says, inForce) {
		t.Errorf("got %s, want nothing of an epoch", says)
	}
	for range 2 {
		if says := start("label", time.Hour, gauges(1, 1)); strings.Count(says, inForce) != 1 || !strings.Contains(says, "confirmed=false") {
			t.Errorf("got %s, want one epoch in force, not confirmed", says)
		}
	}
	start("", time.Hour, func(_ *App, r *registry.Registry) {
		if err := r.ConfirmEpoch(t.Context(), registry.Act{Reason: "looked"}); err != nil {
			t.Fatal(err)
		}
	})
	if says := start("", time.Hour, gauges(1, 0)); strings.Count(says, inForce) != 1 || !strings.Contains(says, "confirmed=true") {
		t.Errorf("tokens without iat are refused, and nobody is told: %s", says)
	}
	for lifetime, told := range map[time.Duration]bool{0: false, time.Hour: false, 26 * time.Hour: true} {
		var out bytes.Buffer
		h := &Handler{AccessToken: &AccessToken{Lifetime: caddy.Duration(lifetime)}}
		a := &App{workspaces: []*Handler{h, {}}, log: slog.New(slog.NewTextHandler(&out, nil))}
		a.tellEpoch(registry.Epoch{At: time.Now().Add(-25 * time.Hour).Unix(), Confirmed: 1})
		if (out.Len() > 0) != told {
			t.Errorf("token_lifetime %v, an epoch 25 hours ago: %q", lifetime, out.String())
		}
	}
}

// TestReloadDeclaresARestore, where the store stayed open; one that cannot be recorded
// fails the reload and leaves the store to the configuration before.
func TestReloadDeclaresARestore(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	engine := &counted{key: t.Name()}
	first, second, third := configuration(t, engine, ""), configuration(t, engine, ""), configuration(t, engine, "")
	second.Restored, third.Restored = "label", strings.Repeat("x", registry.MaxLabel+1)
	for _, a := range []*App{first, second} {
		if err := a.Start(); err != nil {
			t.Fatal(err)
		}
	}
	if e := first.registry.Epoch(); e.Label != "label" {
		t.Errorf("got %+v, want the label \"label\"", e)
	}
	if err := third.Start(); err == nil {
		t.Error("a restore that is not recorded is served")
	}
	for i, a := range []*App{third, first, second} {
		if engine.open != 1 {
			t.Errorf("%d: got %d open stores, want 1", i, engine.open)
		}
		if err := a.Cleanup(); err != nil {
			t.Fatal(err)
		}
	}
	if engine.open != 0 {
		t.Error("still open")
	}
}
