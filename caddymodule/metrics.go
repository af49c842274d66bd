package caddymodule

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-dcr/caddy-dcr/gateway"
	"github.com/caddy-dcr/caddy-dcr/registry"
)

// The metrics of the registry, counted in memory from what the store held when it was
// opened: they are the same after a reload and after a restart, and there in an outage.
var (
	outboxEntries = prometheus.NewDesc("caddy_openbanking_dcr_outbox_entries",
		"Changes that wait to be sent to the authorization server (outbox).", []string{"workspace"}, nil)
	outboxOldest = prometheus.NewDesc("caddy_openbanking_dcr_outbox_oldest_timestamp_seconds",
		"When the oldest of these changes was queued, 0 if there is none.", []string{"workspace"}, nil)
	discrepancies = prometheus.NewDesc("caddy_openbanking_dcr_discrepancies",
		"Clients that the authorization server may hold otherwise than the registry, by kind.", []string{"workspace", "kind"}, nil)
	storeFree = prometheus.NewDesc("caddy_openbanking_dcr_store_free_bytes",
		"Free space on the disk of the registry's store.", nil, nil)
	storeLow = prometheus.NewDesc("caddy_openbanking_dcr_store_low",
		"1 while the disk of the registry's store is nearly full, else 0.", nil, nil)
	storeEpoch = prometheus.NewDesc("caddy_openbanking_dcr_epoch_timestamp_seconds",
		"The epoch: the gateway refuses tokens, requests and assertions issued up to then, because the store was restored or has lost data; 0 if there is none.", nil, nil)
	storeUnconfirmed = prometheus.NewDesc("caddy_openbanking_dcr_epoch_unconfirmed",
		"1 from a restore or an accepted loss of data until an operator confirms the epoch, else 0.", nil, nil)
	lostExplanations = prometheus.NewDesc("caddy_openbanking_dcr_explanations_lost_total",
		"Explanations of refused requests that could not be stored, since the store was opened.", nil, nil)
)

// collector is one configuration's: each has a metrics registry of its own.
type collector struct{ app *App }

func (c collector) Describe(to chan<- *prometheus.Desc) {
	to <- outboxEntries
	to <- outboxOldest
	to <- discrepancies
	to <- lostExplanations
	to <- storeFree
	to <- storeLow
	to <- storeEpoch
	to <- storeUnconfirmed
	to <- failedChecks
	to <- crlCurrent
	to <- crlAge
	to <- crlNextUpdate
	to <- findings
	to <- directoryFindings
	to <- lastPass
}

// collectWithin is less than what asks usually waits.
const collectWithin = 5 * time.Second

func (c collector) Collect(to chan<- prometheus.Metric) {
	c.app.collectChecks(to)
	c.app.collectCRLs(to)
	store, ok := c.app.EnterOpen()
	if !ok {
		return // not yet, or not any more
	}
	defer c.app.Leave()
	ctx, cancel := context.WithTimeout(context.Background(), collectWithin)
	defer cancel()
	to <- prometheus.MustNewConstMetric(lostExplanations, prometheus.CounterValue, float64(store.LostExplanations()))
	collectRoom(to, store)
	collectEpoch(to, store.Epoch())
	c.app.collectFindings(ctx, to, store)
	list, err := store.BacklogCounts(ctx)
	if err != nil {
		c.app.log.Error("cannot read the registry for the metrics", slog.Any("error", err))
		return
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for _, b := range list {
		gauge(outboxEntries, float64(b.Waiting), b.Workspace)
		gauge(outboxOldest, float64(b.Oldest), b.Workspace)
		for kind, n := range b.Discrepancies {
			gauge(discrepancies, float64(n), b.Workspace, kind)
		}
	}
}

// collectRoom tells of the store's disk, where there is one.
func collectRoom(to chan<- prometheus.Metric, store *registry.Registry) {
	free, low, known := store.Room()
	if !known {
		return
	}
	to <- prometheus.MustNewConstMetric(storeFree, prometheus.GaugeValue, float64(free))
	to <- prometheus.MustNewConstMetric(storeLow, prometheus.GaugeValue, oneIf(low))
}

// collectEpoch tells of what the store may have forgotten.
func collectEpoch(to chan<- prometheus.Metric, e registry.Epoch) {
	to <- prometheus.MustNewConstMetric(storeEpoch, prometheus.GaugeValue, float64(e.At))
	to <- prometheus.MustNewConstMetric(storeUnconfirmed, prometheus.GaugeValue, oneIf(e.Unconfirmed()))
}

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// offerMetrics adds them to those of Caddy.
func (a *App) offerMetrics() error {
	to := a.ctx.GetMetricsRegistry()
	if to == nil {
		return nil
	}
	for _, c := range append(gateway.Collectors(), collector{a}, leftOutCount) {
		if err := to.Register(c); err != nil && !errors.As(err, new(prometheus.AlreadyRegisteredError)) {
			return err
		}
	}
	return nil
}
