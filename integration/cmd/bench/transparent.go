package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// transparentConnections are open to each of the two sites.
const transparentConnections = 16

// transparentTarget is the least part of a plain reverse proxy's throughput that
// requests which are not the gateway's must keep.
const transparentTarget = 0.97

// foreign are requests that are not the gateway's.
var foreign = []struct {
	name, method, path, body string
	aimed                    bool
}{
	{"GET elsewhere", http.MethodGet, "/accounts/22289/balance", "", true},
	{"POST elsewhere", http.MethodPost, "/payments/domestic", `{"amount":"165.88","currency":"GBP","to":"08080021325698"}`, true},
	{"GET under the issuer", http.MethodGet, story.Prefix + "/interaction/a0b1c2", "", false},
}

// transparent measures what the directive costs those who do not need it: two
// sites of one process, one with it and one without, under the same load in turn.
func (b *bench) transparent(ctx context.Context) (err error) {
	dir, err := b.folder("transparent")
	if err != nil {
		return err
	}
	caddyfile, err := b.caddyfile(dir, withoutToken)
	if err != nil {
		return err
	}
	if caddyfile, err = b.proxied(caddyfile); err != nil {
		return err
	}
	process, err := b.start(ctx, b.bank.gateway, dir, caddyfile+"\n"+b.plainSite())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, process.Stop()) }()
	if err := b.discover(ctx); err != nil {
		return err
	}
	var sites [2]*load
	for i, port := range []int{b.plain, b.site} {
		if sites[i], err = openLoad(ctx, transparentConnections, b.address(port), b.clientTLS()); err != nil {
			return err
		}
		defer sites[i].Close()
	}
	b.table.section("transparent path, %d connections kept alive over mTLS to each site", transparentConnections)
	for _, f := range foreign {
		if err := b.compare(process, sites, f.name, f.aimed, func(port int) request {
			return request{head: fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\nAccept: application/json\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
				f.method, f.path, b.address(port), len(f.body)), body: []byte(f.body)}
		}); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return nil
}

// compare loads the two sites in turn, A B B A, in rounds so short that what
// changes on the machine is nearly the same for both.
func (b *bench) compare(process *gateway.Process, sites [2]*load, name string, aimed bool, requestTo func(port int) request) error {
	pairs, length := 64, 300*time.Millisecond
	if b.quick {
		pairs, length = 4, 200*time.Millisecond
	}
	b.progress("%s: %d rounds of %v", name, 2*pairs, length)
	requests := [2]request{requestTo(b.plain), requestTo(b.site)}
	for i := range sites { // a round that does not count
		if _, err := measure(process, sites[i], requests[i], length/4); err != nil {
			return err
		}
	}
	var rounds [2][]round
	for pair := range pairs {
		order := []int{0, 1}
		if pair%2 == 1 {
			order = []int{1, 0}
		}
		for _, i := range order {
			r, err := measure(process, sites[i], requests[i], length)
			if err != nil {
				return err
			}
			rounds[i] = append(rounds[i], r)
		}
	}
	b.tell(name, aimed, rounds)
	return nil
}

// round is one load on one site.
type round struct {
	// rate is answers a second, cost the gateway's CPU seconds for each.
	rate, cost float64
}

func measure(process *gateway.Process, site *load, r request, length time.Duration) (round, error) {
	before, err := cpuTime(process.Pid())
	if err != nil {
		return round{}, err
	}
	answered, took, err := site.during(length, r, http.StatusOK)
	if err != nil {
		return round{}, err
	}
	after, err := cpuTime(process.Pid())
	if err != nil {
		return round{}, err
	}
	return round{rate: float64(answered) / took.Seconds(), cost: (after - before).Seconds() / float64(answered)}, nil
}

// tell adds the medians, and the ratio of neighbouring rounds.
func (b *bench) tell(name string, aimed bool, rounds [2][]round) {
	for i, site := range []string{"reverse_proxy", "openbanking_dcr, reverse_proxy"} {
		rates, costs := columns(rounds[i])
		b.table.told(name+", "+site, "%.0f/s (quartiles %.0f, %.0f), %.1f us of CPU each", median(rates), quartile(rates, 1), quartile(rates, 3), 1e6*mean(costs))
	}
	var rates []float64
	for i := range rounds[0] {
		rates = append(rates, rounds[1][i].rate/rounds[0][i].rate)
	}
	// The kernel counts CPU in hundredths of a second, too coarse for one round.
	_, with := columns(rounds[1])
	_, without := columns(rounds[0])
	format := "%.3f (quartiles %.3f, %.3f); CPU %.3f"
	args := []any{median(rates), quartile(rates, 1), quartile(rates, 3), mean(with) / mean(without)}
	if aimed {
		b.table.atLeast(name+", ratio", median(rates), transparentTarget, format, args...)
	} else {
		b.table.told(name+", ratio", format, args...)
	}
}

func columns(rounds []round) (rates, costs []float64) {
	for _, r := range rounds {
		rates, costs = append(rates, r.rate), append(costs, r.cost)
	}
	return rates, costs
}
