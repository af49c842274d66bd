// Bench measures the gateway under load, on this machine: real processes, real
// TLS, a store on a real disk. Progress is told on stderr, the figures on stdout.
// The exit status says whether everything was measured, not what came out.
//
// The load generator, the authorization server and the upstream share the
// machine with the gateway, so that requests a second say little about another
// machine; what the gateway's own CPU time gives says more.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/checkout"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
)

// parts are what -only chooses from, in the order of the table.
var parts = []struct {
	name string
	run  func(*bench, context.Context) error
}{
	{"verification", (*bench).verification},
	{"policies", (*bench).policies},
	{"transparent", (*bench).transparent},
	{"guard", (*bench).guard},
	{"register", (*bench).register},
	{"outbox", (*bench).outbox},
	{"share", (*bench).share},
	{"memory", (*bench).memory},
	{"operate", (*bench).operate},
}

// bench is one run.
type bench struct {
	*bank
	table    table
	quick    bool
	profile  string
	progress func(format string, args ...any)
}

func main() {
	quick := flag.Bool("quick", false, "a few seconds for each part: does it run, not how fast")
	only := flag.String("only", "", "the parts to run, of verification,policies,transparent,guard,register,outbox,share,memory,operate (default all)")
	profile := flag.String("profile", "", "file for a CPU profile of the gateway while clients register, with -only guard: while they authenticate")
	hostile := flag.Int("hostile", 0, "be the process that refuses so many hostile requests (the bench starts it)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *hostile > 0 {
		if err := refuseAll(ctx, *hostile, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			stop()
			os.Exit(1)
		}
		return
	}
	if err := run(ctx, *quick, *only, *profile); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, quick bool, only, profile string) (err error) {
	if err := underRaceDetector(); err != nil {
		return err
	}
	began := time.Now()
	b := &bench{quick: quick, profile: profile, progress: func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "bench: %5.1fs %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}}
	chosen, err := choose(only)
	if err != nil {
		return err
	}
	// Beside the repository and not in the system's temporary folder, which may be
	// memory, where making a write durable costs nothing.
	cache := filepath.Join(checkout.Root(), ".cache")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(cache, "bench-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	b.progress("building the gateway and Caddy (the first time takes minutes)")
	ours, err := gateway.Build()
	if err != nil {
		return err
	}
	stock, err := checkout.Build(ctx, "caddy-stock", "github.com/caddyserver/caddy/v2/cmd/caddy")
	if err != nil {
		return err
	}
	if b.bank, err = openBank(ctx, dir); err != nil {
		return err
	}
	b.bank.gateway, b.bank.stock = ours, stock
	defer func() { err = errors.Join(err, b.bank.Close()) }()

	if err := b.machine(); err != nil {
		return err
	}
	for _, part := range parts {
		if !slices.Contains(chosen, part.name) {
			continue
		}
		if err := part.run(b, ctx); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	b.progress("done")
	return b.table.print(os.Stdout)
}

func choose(only string) ([]string, error) {
	var names []string
	for _, part := range parts {
		names = append(names, part.name)
	}
	if only == "" {
		return names, nil
	}
	chosen := strings.Split(only, ",")
	for _, name := range chosen {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("-only %s: the parts are %s", name, strings.Join(names, ","))
		}
	}
	return chosen, nil
}

// underRaceDetector: its load generator would be the slowest part.
func underRaceDetector() error {
	info, ok := debug.ReadBuildInfo()
	if ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		return errors.New("under the race detector nothing is measured")
	}
	return nil
}

// wait lets a process settle.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
