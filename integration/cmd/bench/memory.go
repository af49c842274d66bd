package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
)

// memoryTarget is how many MiB the gateway may hold beyond stock Caddy.
const memoryTarget = 40

// settled is when a Caddy that has started holds what it will hold while idle.
const settled = 5 * time.Second

// memory measures what the gateway holds while nothing happens, beside a Caddy
// as its makers build it with the same site, both after the same request.
func (b *bench) memory(ctx context.Context) error {
	starts := 3
	if b.quick {
		starts = 1
	}
	var all [2][]memory
	for i := range starts {
		b.progress("idle memory, start %d of %d", i+1, starts)
		stock, ours, err := b.idle(ctx)
		if err != nil {
			return err
		}
		all[0], all[1] = append(all[0], stock), append(all[1], ours)
	}
	b.table.section("idle memory %v after the start and one request, median of %d starts", settled, starts)
	var middle [2]memory
	for i, name := range []string{"stock Caddy, reverse_proxy", "gateway, openbanking_dcr, reverse_proxy"} {
		middle[i] = medianMemory(all[i])
		b.table.told(name, "%s", middle[i])
	}
	difference := memory{
		resident:     middle[1].resident - middle[0].resident,
		anonymous:    middle[1].anonymous - middle[0].anonymous,
		proportional: middle[1].proportional - middle[0].proportional,
	}
	b.table.atMost("difference", mebibytes(difference.resident), memoryTarget, "%s", difference)
	return nil
}

// idle starts both and looks at them at the same time.
func (b *bench) idle(ctx context.Context) (stock, ours memory, err error) {
	dir, err := b.folder("memory")
	if err != nil {
		return stock, ours, err
	}
	caddyfile, err := b.caddyfile(dir, nil)
	if err != nil {
		return stock, ours, err
	}
	if caddyfile, err = b.proxied(caddyfile); err != nil {
		return stock, ours, err
	}
	gatewayProcess, err := b.start(ctx, b.bank.gateway, dir, caddyfile)
	if err != nil {
		return stock, ours, err
	}
	defer func() { err = errors.Join(err, gatewayProcess.Stop()) }()
	if dir, err = b.folder("stock"); err != nil {
		return stock, ours, err
	}
	stockProcess, err := b.start(ctx, b.stock, dir, b.plainCaddyfile())
	if err != nil {
		return stock, ours, err
	}
	defer func() { err = errors.Join(err, stockProcess.Stop()) }()
	if err := b.discover(ctx); err != nil {
		return stock, ours, err
	}
	if err := b.visit(ctx); err != nil {
		return stock, ours, err
	}
	if err := wait(ctx, settled); err != nil {
		return stock, ours, err
	}
	for process, to := range map[*gateway.Process]*memory{stockProcess: &stock, gatewayProcess: &ours} {
		if *to, err = memoryOf(process.Pid()); err != nil {
			return stock, ours, err
		}
	}
	return stock, ours, nil
}

// visit is the one request that stock Caddy gets, as the gateway got discovery.
func (b *bench) visit(ctx context.Context) error {
	l, err := openLoad(ctx, 1, b.address(b.plain), b.clientTLS())
	if err != nil {
		return err
	}
	defer l.Close()
	_, _, err = l.once([]request{{head: fmt.Appendf(nil, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", b.address(b.plain))}}, 200)
	return err
}

func (m memory) String() string {
	pss := ""
	if m.proportional != 0 {
		pss = fmt.Sprintf(", PSS %.1f", mebibytes(m.proportional))
	}
	return fmt.Sprintf("%.1f MiB resident%s, anonymous %.1f", mebibytes(m.resident), pss, mebibytes(m.anonymous))
}

func medianMemory(all []memory) memory {
	var m memory
	for _, field := range []func(*memory) *int64{
		func(m *memory) *int64 { return &m.resident },
		func(m *memory) *int64 { return &m.anonymous },
		func(m *memory) *int64 { return &m.proportional },
	} {
		var values []float64
		for i := range all {
			values = append(values, float64(*field(&all[i])))
		}
		*field(&m) = int64(median(values))
	}
	return m
}
