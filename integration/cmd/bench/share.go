package main

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/directory"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

const (
	// hostileConnections are more than one organisation's share of the registrations that
	// are at work at once.
	hostileConnections = 32
	// shareTarget is what the slowest hundredth of a TPP's registrations may take, in
	// times of what they take without another TPP for which the authorization server hangs.
	shareTarget = 2
)

// inShares limits no rate, and leaves the shares as they are.
var inShares = []change{
	gateway.SharesOnly,
	withoutToken[1],
}

// share measures registrations of one TPP while the authorization server hangs for those
// of another one, which sends as many as it can.
func (b *bench) share(ctx context.Context) error {
	warmUp, count, hostile, turns := 500, 4000, 2000, 3
	if b.quick {
		warmUp, count, hostile, turns = 100, 500, 200, 1
	}
	enrolled, err := b.directory.Enrol(directory.Enrolment{OrgName: "Hostile Ltd", OrganizationIdentifier: "PSDGB-FCA-999999", RedirectURIs: redirectURIs()})
	if err != nil {
		return err
	}
	other := *b.bank
	other.software = &tpp.Software{Software: enrolled, Audience: story.Bank}
	b.progress("signing %d registration requests", warmUp+count+hostile)
	bodies, err := b.sign(ctx, warmUp+count)
	if err != nil {
		return err
	}
	hanging, err := other.sign(ctx, hostile)
	if err != nil {
		return err
	}
	b.as.hangFor(enrolled.SoftwareID)
	defer b.as.hangFor("")
	b.table.section("POST register of one TPP, %d requests at 16 connections, while the authorization server hangs for another one's at %d, %d times in turn with none of those",
		count, hostileConnections, turns)
	var tails [2][]float64
	var ratios []float64
	for turn := range turns {
		b.progress("turn %d of %d", turn+1, turns)
		for i, flood := range [][]request{nil, hanging} {
			latencies, err := b.beside(ctx, &other, flood, bodies[:warmUp], bodies[warmUp:])
			if err != nil {
				return err
			}
			tails[i] = append(tails[i], quantile(latencies, 0.99).Seconds())
		}
		ratios = append(ratios, tails[1][turn]/tails[0][turn])
	}
	b.table.told("p99 without / with the other one", "%.1f ms / %.1f ms, medians", 1e3*median(tails[0]), 1e3*median(tails[1]))
	b.table.atMost("p99 with / without", median(ratios), shareTarget, "%.2f, all of %.2f", median(ratios), ratios)
	return nil
}

// beside registers all requests at a gateway that is flooded by another TPP, or not.
// Each of them must be made.
func (b *bench) beside(ctx context.Context, other *bank, flood, warmUp, requests []request) (latencies []time.Duration, err error) {
	dir, err := b.folder("share")
	if err != nil {
		return nil, err
	}
	caddyfile, err := b.caddyfile(dir, inShares)
	if err != nil {
		return nil, err
	}
	process, err := b.start(ctx, b.bank.gateway, dir, caddyfile)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, process.Stop()) }()
	if err := b.discover(ctx); err != nil {
		return nil, err
	}
	load, err := openLoad(ctx, 16, b.address(b.site), b.clientTLS())
	if err != nil {
		return nil, err
	}
	defer load.Close()
	if _, _, err := load.once(warmUp, http.StatusCreated); err != nil {
		return nil, err
	}
	if len(flood) > 0 {
		stop, err := flooding(ctx, other, flood)
		if err != nil {
			return nil, err
		}
		defer stop()
	}
	latencies, _, err = load.once(requests, http.StatusCreated)
	return latencies, err
}

// flooding sends requests that hang, on as many connections as there are, until stop. It
// returns when the authorization server has some of them.
func flooding(ctx context.Context, other *bank, requests []request) (stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	load, err := openLoad(ctx, hostileConnections, other.address(other.site), other.clientTLS())
	if err != nil {
		cancel()
		return nil, err
	}
	next := make(chan request)
	var running sync.WaitGroup
	running.Go(func() {
		defer close(next)
		for _, r := range requests {
			select {
			case next <- r:
			case <-ctx.Done():
				return
			}
		}
	})
	for _, c := range load.connections {
		running.Go(func() {
			for r := range next {
				// What it is told, once it is told anything, is no matter here.
				if err := c.exchange(r, http.StatusServiceUnavailable); err != nil {
					return
				}
			}
		})
	}
	stop = func() { cancel(); load.Close(); running.Wait() }
	for range 600 {
		if other.as.hung.Load() > 0 {
			return stop, nil
		}
		if err := wait(ctx, 50*time.Millisecond); err != nil {
			break
		}
	}
	stop()
	return nil, errors.New("no request of the other TPP has arrived at the authorization server in 30 s")
}
