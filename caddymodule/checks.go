package caddymodule

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// checking are the probes of a configuration at work, a goroutine for each workspace.
type checking struct {
	cancel context.CancelFunc
	// done are closed by each workspace's.
	done []chan struct{}
	// of are they by workspace; not changed once they are at work.
	of map[string]*prober
}

func (a *App) checkChecks() error {
	if a.Checks != "" && a.Checks != "off" {
		return errors.New("checks: must be off, or left out")
	}
	return nil
}

// startChecks begins to try what is configured, in the background. Nothing waits for it.
func (a *App) startChecks() {
	if a.Checks == "off" {
		return
	}
	// Not of the module's context: Stop ends them.
	ctx, cancel := context.WithCancel(context.Background())
	c := &checking{cancel: cancel, of: map[string]*prober{}}
	for _, h := range a.workspaces {
		if h.as == nil {
			continue // it was not provisioned
		}
		p := &prober{log: h.log, now: time.Now, after: time.After}
		p.probes, p.more = h.probes()
		c.of[h.Workspace] = p
		done := make(chan struct{})
		c.done = append(c.done, done)
		go func() { defer close(done); p.run(ctx, a.whileOpen) }()
	}
	a.mu.Lock()
	a.checks = c
	a.mu.Unlock()
}

// whileOpen runs f while the store is held open: a document that is fetched is kept.
func (a *App) whileOpen(f func()) {
	if _, ok := a.EnterOpen(); !ok {
		return // the configuration has ended
	}
	defer a.Leave()
	f()
}

// checksAtWork are they, nil for none.
func (a *App) checksAtWork() *checking {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.checks
}

// cancelChecks ends them, and waits for nothing.
func (a *App) cancelChecks() {
	if c := a.checksAtWork(); c != nil {
		c.cancel()
	}
}

// waitForChecks waits until they have ended, all together at most so long. What hangs is
// left to end by itself: it holds the store open until then.
func (a *App) waitForChecks(within time.Duration) {
	c := a.checksAtWork()
	if c == nil {
		return
	}
	limit := time.NewTimer(within)
	defer limit.Stop()
	for _, done := range c.done {
		select {
		case <-done:
		case <-limit.C:
			a.log.Warn("stops waiting for background checks that have not ended: a server hangs")
			return
		}
	}
}

// failedChecks is the metric of them.
var failedChecks = prometheus.NewDesc("caddy_openbanking_dcr_check_failed",
	"1 while a background check of the authorization server, a directory's keys or one of the gateway's own clients fails, else 0.", []string{"workspace", "check", "url"}, nil)

// collectChecks tells of the probes that were tried. Where several are at one address the
// worst counts.
func (a *App) collectChecks(to chan<- prometheus.Metric) {
	c := a.checksAtWork()
	if c == nil {
		return
	}
	for workspace, p := range c.of {
		failed := map[[2]string]float64{}
		for _, one := range p.all() {
			at := [2]string{one.name, one.url}
			failed[at] += 0
			if one.wrong.Load() {
				failed[at] = 1
			}
		}
		for at, value := range failed {
			to <- prometheus.MustNewConstMetric(failedChecks, prometheus.GaugeValue, value, workspace, at[0], at[1])
		}
	}
}
