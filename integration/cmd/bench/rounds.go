package main

import (
	"net/http"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
)

// round is one load on one site.
type round struct {
	// rate is answers a second, cost the gateway's CPU seconds for each, tail the
	// seconds that all but a hundredth of them took at most.
	rate, cost, tail float64
}

func rate(r round) float64 { return r.rate }
func cost(r round) float64 { return r.cost }
func tail(r round) float64 { return r.tail }

// alternate loads two sites of one process in turn, A B B A, in rounds so short
// that what changes on the machine is nearly the same for both. Each site has its
// own requests.
func (b *bench) alternate(process *gateway.Process, sites [2]*load, name string, requests [2][]request) (rounds [2][]round, err error) {
	pairs, length := 64, 300*time.Millisecond
	if b.quick {
		pairs, length = 4, 200*time.Millisecond
	}
	b.progress("%s: %d rounds of %v", name, 2*pairs, length)
	for i := range sites { // a round that does not count
		if _, err := measure(process, sites[i], requests[i], length/4); err != nil {
			return rounds, err
		}
	}
	for pair := range pairs {
		order := []int{0, 1}
		if pair%2 == 1 {
			order = []int{1, 0}
		}
		for _, i := range order {
			r, err := measure(process, sites[i], requests[i], length)
			if err != nil {
				return rounds, err
			}
			rounds[i] = append(rounds[i], r)
		}
	}
	return rounds, nil
}

func measure(process *gateway.Process, site *load, requests []request, length time.Duration) (round, error) {
	before, err := cpuTime(process.Pid())
	if err != nil {
		return round{}, err
	}
	latencies, took, err := site.during(length, requests, http.StatusOK)
	if err != nil {
		return round{}, err
	}
	after, err := cpuTime(process.Pid())
	if err != nil {
		return round{}, err
	}
	answered := float64(len(latencies))
	return round{
		rate: answered / took.Seconds(), cost: (after - before).Seconds() / answered, tail: quantile(latencies, 0.99).Seconds(),
	}, nil
}

// column is one figure of each round.
func column(rounds []round, figure func(round) float64) (out []float64) {
	for _, r := range rounds {
		out = append(out, figure(r))
	}
	return out
}

// ratios are those of neighbouring rounds, the second site's figure to the first's.
func ratios(rounds [2][]round, figure func(round) float64) (out []float64) {
	for i := range rounds[0] {
		out = append(out, figure(rounds[1][i])/figure(rounds[0][i]))
	}
	return out
}

// costRatio is that of the means: the kernel counts CPU in hundredths of a
// second, too coarse for one round.
func costRatio(rounds [2][]round) float64 {
	return mean(column(rounds[1], cost)) / mean(column(rounds[0], cost))
}
