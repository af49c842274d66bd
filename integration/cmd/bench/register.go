package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
)

// registerTarget is registrations a second that one core must carry, over all
// the CPU time that the gateway spends.
const registerTarget = 2000

// verificationsTarget is nearly the same for a machine of another speed: the CPU
// time of a registration in PS256 verifications, of which it has two. The target
// above was set where one takes 25 us.
const verificationsTarget = 20

// registered is what one run of registrations came to.
type registered struct {
	count     int
	cpu, took time.Duration
	latencies []time.Duration
	memory    memory
}

func (r *registered) perCore() float64   { return float64(r.count) / r.cpu.Seconds() }
func (r *registered) perSecond() float64 { return float64(r.count) / r.took.Seconds() }

// register measures POST register with everything that it does: certificate,
// software statement, signed body, rules, the AS, and two durable commits.
func (b *bench) register(ctx context.Context) error {
	warmUp, count := 1000, 10000
	if b.quick {
		warmUp, count = 200, 1000
	}
	b.progress("signing %d registration requests", warmUp+count)
	bodies, err := b.sign(ctx, warmUp+count)
	if err != nil {
		return err
	}
	b.progress("signing %d registration tokens", warmUp+count)
	withTokens, err := b.authorize(ctx, bodies)
	if err != nil {
		return err
	}
	b.table.section("POST register, %d requests of %.1f KB after %d that do not count, connections kept alive over mTLS",
		count, float64(len(bodies[0].body))/1000, warmUp)
	kinds := []registering{
		{"store on disk, 16 connections", withoutToken, false, 16, bodies, 3},
		{"store that forgets, 16 connections", withoutToken, true, 16, bodies, 3},
		{"store on disk, 64 connections", withoutToken, false, 64, bodies, 1},
		{"store on disk, JWT token each, 16 connections", withJWT, false, 16, withTokens, 1},
	}
	// In turn, so that what changes on the machine is nearly the same for all.
	runs := make([][]*registered, len(kinds))
	var verifications []float64
	turns := 3
	if b.quick {
		turns = 1
	}
	for turn := range turns {
		verification, err := verifyTime()
		if err != nil {
			return err
		}
		verifications = append(verifications, verification.Seconds())
		for i, k := range kinds {
			if turn >= k.times {
				continue
			}
			b.progress("%s, run %d of %d", k.name, turn+1, min(k.times, turns))
			r, err := b.registrations(ctx, k.changes, k.forgetful, k.connections, k.requests, warmUp, i == 0 && turn == 0)
			if err != nil {
				return fmt.Errorf("%s: %w", k.name, err)
			}
			runs[i] = append(runs[i], r)
		}
	}
	b.tellKinds(kinds, runs, median(verifications))
	return nil
}

// registering is one way to measure registrations, how many times.
type registering struct {
	name        string
	changes     []change
	forgetful   bool
	connections int
	requests    []request
	times       int
}

// tellKinds tells the runs of each kind, the first in PS256 verifications, in seconds, too.
func (b *bench) tellKinds(kinds []registering, runs [][]*registered, verification float64) {
	for i, k := range kinds {
		b.tellRegistered(k.name, runs[i], i == 0)
		if i == 0 {
			cost := middle(runs[0]).cpu.Seconds() / float64(runs[0][0].count)
			b.table.atMost(k.name+", in PS256 verifications", cost/verification, verificationsTarget, "%.1f of %.1f us", cost/verification, 1e6*verification)
		}
		if k.forgetful {
			disk, forgetful := middle(runs[0]), middle(runs[i])
			b.table.told("disk / forgetful", "%.2f per core, %.2f wall", forgetful.cpu.Seconds()/disk.cpu.Seconds(), forgetful.took.Seconds()/disk.took.Seconds())
		}
	}
}

// middle is the run with the median of CPU time.
func middle(runs []*registered) *registered {
	sorted := slices.SortedFunc(slices.Values(runs), func(a, b *registered) int { return cmp.Compare(a.cpu, b.cpu) })
	return sorted[len(sorted)/2]
}

func (b *bench) tellRegistered(name string, runs []*registered, aimed bool) {
	r := middle(runs)
	format := "%.0f/s (%.0f us of CPU each)"
	args := []any{r.perCore(), 1e6 * r.cpu.Seconds() / float64(r.count)}
	if len(runs) > 1 {
		format += ", median of"
		for _, run := range runs {
			format, args = format+" %.0f", append(args, run.perCore())
		}
	}
	if aimed {
		b.table.atLeast(name+", per core", r.perCore(), registerTarget, format, args...)
	} else {
		b.table.told(name+", per core", format, args...)
	}
	b.table.told(name+", wall", "%.0f/s, p50 %.1f ms, p99 %.1f ms", r.perSecond(),
		1e3*quantile(r.latencies, 0.5).Seconds(), 1e3*quantile(r.latencies, 0.99).Seconds())
	b.table.told(name+", memory after", "%s", r.memory)
}

// registrations registers everything once at a gateway with an empty store.
func (b *bench) registrations(ctx context.Context, changes []change, forgetful bool, connections int, requests []request, warmUp int, profiled bool) (r *registered, err error) {
	dir, err := b.folder("register")
	if err != nil {
		return nil, err
	}
	caddyfile, err := b.caddyfile(dir, changes)
	if err != nil {
		return nil, err
	}
	if forgetful {
		if caddyfile, err = gateway.Apply(caddyfile, gateway.At(gateway.Global, "openbanking_dcr", "store").Set("memory")); err != nil {
			return nil, err
		}
	}
	process, err := b.start(ctx, b.bank.gateway, dir, caddyfile)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, process.Stop()) }()
	if err := b.discover(ctx); err != nil {
		return nil, err
	}
	load, err := openLoad(ctx, connections, b.address(b.site), b.clientTLS())
	if err != nil {
		return nil, err
	}
	defer load.Close()
	if _, _, err := load.once(requests[:warmUp], http.StatusCreated); err != nil {
		return nil, err
	}
	profile := b.profiling(ctx, profiled)
	r, err = count(ctx, process, load, requests[warmUp:])
	return r, errors.Join(err, profile())
}

// afterwards is how long after the last answer the gateway's CPU time still
// counts: what it left for later is part of what a registration costs. An idle
// gateway uses next to none.
const afterwards = time.Second

func count(ctx context.Context, process *gateway.Process, load *load, requests []request) (*registered, error) {
	before, err := cpuTime(process.Pid())
	if err != nil {
		return nil, err
	}
	r := &registered{count: len(requests)}
	if r.latencies, r.took, err = load.once(requests, http.StatusCreated); err != nil {
		return nil, err
	}
	if err := wait(ctx, afterwards); err != nil {
		return nil, err
	}
	after, err := cpuTime(process.Pid())
	if err != nil {
		return nil, err
	}
	r.cpu = after - before
	r.memory, err = memoryOf(process.Pid())
	return r, err
}

// profileSeconds is less than a run takes.
const profileSeconds = 5

// profiling begins to write the gateway's CPU profile, if one is wished for. The
// returned function waits for its end.
func (b *bench) profiling(ctx context.Context, wished bool) (finish func() error) {
	if b.profile == "" || !wished {
		return func() error { return nil }
	}
	done := make(chan error, 1)
	go func() { done <- b.writeProfile(ctx) }()
	return func() error { return <-done }
}

func (b *bench) writeProfile(ctx context.Context) (err error) {
	address := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", b.address(b.admin), profileSeconds)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", address, answer.Status)
	}
	f, err := os.Create(b.profile)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, answer.Body)
	return errors.Join(err, f.Close())
}
