package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

const (
	// guardedClients are in the registry, all with tls_client_auth.
	guardedClients = 100_000
	// guardTarget is the least part of a plain reverse proxy's throughput that the
	// guarded token endpoint must keep, guardTailTarget how much longer the slowest
	// hundredth may take.
	guardTarget     = 0.95
	guardTailTarget = 1.15
)

// guard measures what the guard of the token endpoint costs: two sites of one
// process, one that looks every client up and holds the certificate against it,
// one that only hands the certificate on, under the same load in turn.
func (b *bench) guard(ctx context.Context) (err error) {
	process, ids, requests, err := b.besideEachOther(ctx, "guard")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, process.Stop()) }()
	b.table.section("token endpoint, client_credentials of %d clients on disk at random, connections kept alive over mTLS to each site", len(ids))
	if err := b.firstTime(ctx, requests); err != nil {
		return err
	}
	for _, connections := range []int{16, 64} {
		if err := b.guarded(ctx, process, connections, requests); err != nil {
			return fmt.Errorf("%d connections: %w", connections, err)
		}
	}
	return nil
}

// besideEachOther starts a gateway with both sites and with guardedClients on disk, and returns
// their client_ids and the requests of each for either site. It runs in a folder of this name.
func (b *bench) besideEachOther(ctx context.Context, name string) (process *gateway.Process, ids []string, requests [2][]request, err error) {
	clients := guardedClients
	if b.quick {
		clients = 2000
	}
	dir, err := b.folder(name)
	if err != nil {
		return nil, nil, requests, err
	}
	b.progress("registering %d clients", clients)
	if ids, err = b.fillRegistry(ctx, dir, clients); err != nil {
		return nil, nil, requests, fmt.Errorf("filling the registry: %w", err)
	}
	caddyfile, err := b.guardedBeside(dir)
	if err != nil {
		return nil, nil, requests, err
	}
	if process, err = b.start(ctx, b.bank.gateway, dir, caddyfile); err != nil {
		return nil, nil, requests, err
	}
	if err := b.discover(ctx); err != nil {
		return nil, nil, requests, errors.Join(err, process.Stop())
	}
	return process, ids, [2][]request{b.tokenRequests(b.plain, ids), b.tokenRequests(b.site, ids)}, nil
}

// guardedBeside is a configuration with both sites, one that guards its token endpoint and
// one that only hands the certificate on.
func (b *bench) guardedBeside(dir string) (string, error) {
	caddyfile, err := b.caddyfile(dir, withoutToken)
	if err != nil {
		return "", err
	}
	if caddyfile, err = b.proxied(caddyfile); err != nil {
		return "", err
	}
	return caddyfile + "\n" + b.plainSite(`header_up Client-Cert ":{http.request.tls.client.certificate_der_base64}:"`), nil
}

// tokenRequests are one for each client.
func (b *bank) tokenRequests(port int, ids []string) []request {
	requests := make([]request, len(ids))
	for i, id := range ids {
		body := fmt.Appendf(nil, "grant_type=client_credentials&client_id=%s&scope=openid%%20accounts", id)
		requests[i] = request{head: fmt.Appendf(nil, "POST %s/token HTTP/1.1\r\nHost: %s\r\nAccept: application/json\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n",
			story.Prefix, b.address(port), len(body)), body: body}
	}
	return requests
}

// firstTime sends the request of each client once, a part to one site and then to
// the other: the guard has never seen any of them. It also warms both up.
func (b *bench) firstTime(ctx context.Context, requests [2][]request) error {
	sites, err := b.openSites(ctx, 16)
	if err != nil {
		return err
	}
	defer sites[0].Close()
	defer sites[1].Close()
	const parts = 50
	var rates []float64
	for part := range parts {
		var took [2]time.Duration
		for _, i := range [2][2]int{{0, 1}, {1, 0}}[part%2] {
			n := len(requests[i]) / parts
			if _, took[i], err = sites[i].once(requests[i][part*n:(part+1)*n], http.StatusOK); err != nil {
				return err
			}
		}
		rates = append(rates, took[0].Seconds()/took[1].Seconds())
	}
	b.table.told("16 connections, each client's first request, ratio", "%.3f (quartiles %.3f, %.3f)", median(rates), quartile(rates, 1), quartile(rates, 3))
	return nil
}

// openSites opens connections to the plain site and to the guarded one.
func (b *bench) openSites(ctx context.Context, connections int) (sites [2]*load, err error) {
	for i, port := range []int{b.plain, b.site} {
		if sites[i], err = openLoad(ctx, connections, b.address(port), b.clientTLS()); err != nil {
			if i > 0 {
				sites[0].Close()
			}
			return sites, err
		}
	}
	return sites, nil
}

func (b *bench) guarded(ctx context.Context, process *gateway.Process, connections int, requests [2][]request) error {
	sites, err := b.openSites(ctx, connections)
	if err != nil {
		return err
	}
	defer sites[0].Close()
	defer sites[1].Close()
	name := fmt.Sprintf("%d connections", connections)
	rounds, err := b.alternate(process, sites, name, requests)
	if err != nil {
		return err
	}
	for i, site := range []string{"reverse_proxy", "openbanking_dcr, reverse_proxy"} {
		rates, tails := column(rounds[i], rate), column(rounds[i], tail)
		b.table.told(name+", "+site, "%.0f/s (quartiles %.0f, %.0f), p99 %.2f ms (%.2f, %.2f), %.1f us of CPU each", median(rates), quartile(rates, 1), quartile(rates, 3),
			1e3*median(tails), 1e3*quartile(tails, 1), 1e3*quartile(tails, 3), 1e6*mean(column(rounds[i], cost)))
	}
	rates, tails := ratios(rounds, rate), ratios(rounds, tail)
	b.table.atLeast(name+", ratio", median(rates), guardTarget, "%.3f (quartiles %.3f, %.3f); CPU %.3f", median(rates), quartile(rates, 1), quartile(rates, 3), costRatio(rounds))
	b.table.atMost(name+", ratio of p99", median(tails), guardTailTarget, "%.3f (quartiles %.3f, %.3f)", median(tails), quartile(tails, 1), quartile(tails, 3))
	var allocations [2]float64
	for i := range sites {
		if allocations[i], err = b.allocations(ctx, sites[i], requests[i][:min(len(requests[i]), allocationsOver)]); err != nil {
			return err
		}
	}
	b.table.told(name+", allocations", "%.0f, %.0f without the guard: %.0f more", allocations[1], allocations[0], max(0, allocations[1]-allocations[0]))
	return b.profileGuard(ctx, sites[1], requests[1])
}

// profileGuard loads the guard once more for the profile, if one is wished for.
func (b *bench) profileGuard(ctx context.Context, site *load, requests []request) error {
	if b.profile == "" {
		return nil
	}
	finish := b.profiling(ctx, true)
	_, _, err := site.during((profileSeconds+1)*time.Second, requests, http.StatusOK)
	return errors.Join(err, finish())
}

// allocationsOver is over how many requests allocations are counted: what else
// the process allocates meanwhile is little then.
const allocationsOver = 20_000

// allocations are those of the gateway's process for each request.
func (b *bench) allocations(ctx context.Context, site *load, requests []request) (float64, error) {
	before, err := b.mallocs(ctx)
	if err != nil {
		return 0, err
	}
	if _, _, err := site.once(requests, http.StatusOK); err != nil {
		return 0, err
	}
	after, err := b.mallocs(ctx)
	return (after - before) / float64(len(requests)), err
}

// mallocs is how often the gateway has allocated so far, by its own metrics.
func (b *bench) mallocs(ctx context.Context) (float64, error) {
	const metric = "go_memstats_mallocs_total "
	address := "http://" + b.address(b.admin) + "/metrics"
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), metric); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, errors.Join(fmt.Errorf("%s: %s, without %s", address, answer.Status, metric), lines.Err())
}
