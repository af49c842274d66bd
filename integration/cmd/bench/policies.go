package main

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	_ "github.com/caddy-dcr/caddy-dcr/caddymodule/cel" // loaded by the ending of its file
	"github.com/caddy-dcr/caddy-dcr/caddymodule/policylanguage"
	_ "github.com/caddy-dcr/caddy-dcr/caddymodule/rego" // loaded by the ending of its file
	"github.com/caddy-dcr/caddy-dcr/integration/checkout"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// judges are policies of twenty conditions, and what part of the verification of one
// request a decision may cost.
var judges = []struct {
	file   string
	target float64
}{
	{"twenty.cel", 0.1},
	{"twenty.rego", 1},
}

// policies measures what a policy adds to the verification of a request, in short turns
// of one run.
func (b *bench) policies(ctx context.Context) error {
	d, err := openFrontDoor(b.software, b.directory.JWKS(), b.directory.Signing.Private)
	if err != nil {
		return err
	}
	request, err := verify.VerifyRequest(ctx, d.raw, &d.rules, d.now)
	if err != nil {
		return err
	}
	checked, err := verify.CheckMetadata(ctx, verify.MetadataInput{Request: request, Certificate: d.cert, Supported: verify.DefaultSupportedMetadata()})
	if err != nil {
		return err
	}
	for _, j := range judges {
		policy, unload, err := policylanguage.Load(ctx, filepath.Join(checkout.Root(), "integration", "cmd", "bench", "policies", j.file))
		if err != nil {
			return err
		}
		decide := func() error {
			in := verify.PolicyInput{
				Operation: verify.OperationCreate, Workspace: "default/obuk", Remote: "192.0.2.1", Now: d.now,
				Request: request.Claims, SSA: request.Statement.Claims, Registration: &checked.Metadata,
			}
			if in.Certificate, err = d.cert.ForPolicy(); err != nil {
				return err
			}
			if got := verify.Evaluate(ctx, policy, &in, time.Minute); !got.Allowed {
				return fmt.Errorf("%s denies: %s", j.file, got.Reason)
			}
			return nil
		}
		err = b.policy(ctx, j.file, j.target, decide, func() error { return d.knock(d.raw) })
		unload()
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) policy(ctx context.Context, name string, target float64, decide, verification func() error) error {
	turns, times, many := 60, 400, 1_000_000
	if b.quick {
		turns, times, many = 5, 50, 10_000
	}
	b.progress("%s, %d turns of %d decisions each, then %d", name, turns, times, many)
	decided, ratios := make([]float64, turns), make([]float64, turns)
	for i := range turns {
		if err := ctx.Err(); err != nil {
			return err
		}
		verified, err := microseconds(times, verification)
		if err != nil {
			return err
		}
		if decided[i], err = microseconds(times, decide); err != nil {
			return err
		}
		ratios[i] = decided[i] / verified
	}
	var err error
	allocations := testing.AllocsPerRun(100, func() { err = decide() })
	if err != nil {
		return err
	}
	before := live()
	for i := range many {
		if err := decide(); err != nil {
			return err
		}
		if i%10_000 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
	grown := (float64(live()) - float64(before)) / (1 << 20)
	slices.Sort(decided)
	slices.Sort(ratios)
	b.table.section("a policy of twenty conditions, %s, beside the verification of the request, one core, median of %d turns", name, turns)
	b.table.told("a decision", "%.1f us, %.0f allocations", decided[turns/2], allocations)
	b.table.atMost("part of the verification, turn by turn", ratios[turns/2], target, "%.3f (%.3f to %.3f)", ratios[turns/2], ratios[0], ratios[turns-1])
	b.table.atMost(fmt.Sprintf("MiB that the heap has grown after %d decisions", many), grown, 1, "%.2f", grown)
	return nil
}

// live is the heap in use after a collection, in bytes.
func live() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
