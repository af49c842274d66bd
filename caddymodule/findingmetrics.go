package caddymodule

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

var (
	findings = prometheus.NewDesc("caddy_openbanking_dcr_findings",
		"Clients against which something speaks, by kind of finding, as of the last complete look at all clients.", []string{"workspace", "kind"}, nil)
	directoryFindings = prometheus.NewDesc("caddy_openbanking_dcr_directory_findings",
		"Directories whose keys, or what they publish about software, could not be used when clients were looked at again, by kind.", []string{"workspace", "kind"}, nil)
	lastPass = prometheus.NewDesc("caddy_openbanking_dcr_trust_pass_timestamp_seconds",
		"When the gateway last completed a look at all clients, 0 if it never did.", []string{"workspace"}, nil)
)

// collectFindings tells of the passes. They are in memory, but for the first time after a start.
func (a *App) collectFindings(ctx context.Context, to chan<- prometheus.Metric, store *registry.Registry) {
	passes, err := store.Passes(ctx, a.Workspaces())
	if err != nil {
		a.log.Error("cannot read the registry for the metrics", slog.Any("error", err))
		return
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for _, p := range passes {
		gauge(lastPass, float64(p.Completed), p.Workspace)
		for _, kind := range registry.FindingKinds {
			gauge(findings, float64(p.Counts[kind]), p.Workspace, kind)
		}
		of := map[string]int{}
		for _, d := range p.Directories {
			of[d.Kind]++
		}
		for _, kind := range registry.DirectoryFindingKinds {
			gauge(directoryFindings, float64(of[kind]), p.Workspace, kind)
		}
	}
}
