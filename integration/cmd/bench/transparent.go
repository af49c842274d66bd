package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

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

// compare loads the two sites in turn with one request.
func (b *bench) compare(process *gateway.Process, sites [2]*load, name string, aimed bool, requestTo func(port int) request) error {
	rounds, err := b.alternate(process, sites, name, [2][]request{{requestTo(b.plain)}, {requestTo(b.site)}})
	if err != nil {
		return err
	}
	b.tell(name, aimed, rounds)
	return nil
}

// tell adds the medians, and the ratio of neighbouring rounds.
func (b *bench) tell(name string, aimed bool, rounds [2][]round) {
	for i, site := range []string{"reverse_proxy", "openbanking_dcr, reverse_proxy"} {
		rates := column(rounds[i], rate)
		b.table.told(name+", "+site, "%.0f/s (quartiles %.0f, %.0f), %.1f us of CPU each", median(rates), quartile(rates, 1), quartile(rates, 3), 1e6*mean(column(rounds[i], cost)))
	}
	rates := ratios(rounds, rate)
	format := "%.3f (quartiles %.3f, %.3f); CPU %.3f"
	args := []any{median(rates), quartile(rates, 1), quartile(rates, 3), costRatio(rounds)}
	if aimed {
		b.table.atLeast(name+", ratio", median(rates), transparentTarget, format, args...)
	} else {
		b.table.told(name+", ratio", format, args...)
	}
}
