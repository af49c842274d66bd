package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
)

const (
	// operateLoad is how many token requests a second the gateway answers meanwhile, at
	// operateConnections connections.
	operateLoad        = 2000
	operateConnections = 16
	// listTarget and statusTarget are the slowest hundredth of the calls in milliseconds,
	// streamTarget MB a second of backup and restore, flatTarget MiB that a walk over all
	// clients may take.
	listTarget, statusTarget = 50, 10
	streamTarget             = 20
	flatTarget               = 32
)

// operate measures what operators ask, beside a load of token requests: lists, one client,
// the status, a walk over all clients, an export and a backup; a restore; and the guard in the end.
func (b *bench) operate(ctx context.Context) (err error) {
	calls := 1000
	if b.quick {
		calls = 50
	}
	process, ids, requests, err := b.besideEachOther(ctx, "operate")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, process.Stop()) }()
	b.table.section("what operators ask, %d clients on disk, beside %d token requests a second at %d connections", len(ids), operateLoad, operateConnections)
	if err := b.besideLoad(ctx, requests[1], func(ctx context.Context) error {
		if err := b.operatorCalls(ctx, ids, calls); err != nil {
			return err
		}
		if err := b.walk(ctx, process); err != nil {
			return err
		}
		if err := b.exports(ctx, process); err != nil {
			return err
		}
		return b.backUp(ctx, filepath.Join(process.Dir(), "bench.backup"))
	}); err != nil {
		return err
	}
	if err := b.guarded(ctx, process, operateConnections, requests); err != nil {
		return err
	}
	return b.putBack(ctx, process)
}

// besideLoad does something while tokens are asked for at operateLoad a second.
func (b *bench) besideLoad(ctx context.Context, requests []request, do func(context.Context) error) error {
	site, err := openLoad(ctx, operateConnections, b.address(b.site), b.clientTLS())
	if err != nil {
		return err
	}
	defer site.Close()
	until := make(chan struct{})
	type outcome struct {
		latencies []time.Duration
		took      time.Duration
		err       error
	}
	ended := make(chan outcome, 1)
	go func() {
		var o outcome
		o.latencies, o.took, o.err = site.paced(operateLoad, until, requests, http.StatusOK)
		ended <- o
	}()
	err = do(ctx)
	close(until)
	o := <-ended
	if err := errors.Join(err, o.err); err != nil {
		return err
	}
	b.table.told("the token requests meanwhile", "%.0f/s, p99 %.1f ms", float64(len(o.latencies))/o.took.Seconds(), milliseconds(quantile(o.latencies, 0.99)))
	return nil
}

// operatorCalls times the calls that read.
func (b *bench) operatorCalls(ctx context.Context, ids []string, calls int) error {
	var first struct {
		Entries []struct {
			SoftwareID string `json:"software_id"`
		} `json:"entries"`
		Next string `json:"next"`
	}
	if _, err := b.ask(ctx, "clients?limit=1000", &first); err != nil {
		return err
	}
	if len(first.Entries) == 0 || first.Next == "" {
		return errors.New("the list of clients has no second page")
	}
	some := func(i int) string { return ids[(i*7919)%len(ids)] }
	for _, call := range []struct {
		name   string
		target float64
		path   func(i int) string
	}{
		{"status", statusTarget, func(int) string { return "status" }},
		{"one client whole", listTarget, func(i int) string { return "clients/" + url.PathEscape(some(i)) }},
		{"list, a page of 100", listTarget, func(int) string { return "clients" }},
		{"list, the page behind the first 1,000", listTarget, func(int) string { return "clients?cursor=" + url.QueryEscape(first.Next) }},
		{"list, of one client_id", listTarget, func(i int) string { return "clients?client_id=" + url.QueryEscape(some(i)) }},
		{"list, of one software_id", listTarget, func(i int) string {
			return "clients?software_id=" + url.QueryEscape(first.Entries[i%len(first.Entries)].SoftwareID)
		}},
		{"list, without an index (2,000 looked at)", 0, func(int) string { return "clients?name=nobody+has+this+name" }},
	} {
		b.progress("%s, %d calls", call.name, calls)
		var latencies []time.Duration
		for i := range calls {
			began := time.Now()
			if _, err := b.ask(ctx, call.path(i), nil); err != nil {
				return err
			}
			latencies = append(latencies, time.Since(began))
		}
		slices.Sort(latencies)
		p99, p50 := milliseconds(quantile(latencies, 0.99)), milliseconds(quantile(latencies, 0.5))
		if call.target == 0 {
			b.table.told(call.name, "p99 %.2f ms, median %.2f ms", p99, p50)
			continue
		}
		b.table.atMost(call.name, p99, call.target, "p99 %.2f ms, median %.2f ms", p99, p50)
	}
	return nil
}

// walk reads the list of all clients, page by page, and looks what memory it takes.
func (b *bench) walk(ctx context.Context, process *gateway.Process) error {
	before, err := memoryOf(process.Pid())
	if err != nil {
		return err
	}
	b.progress("the list of all clients")
	most, found, began := before.anonymous, 0, time.Now()
	for call := "clients?limit=1000"; call != ""; {
		var page struct {
			Entries []struct{} `json:"entries"`
			Next    string     `json:"next"`
		}
		if _, err := b.ask(ctx, call, &page); err != nil {
			return err
		}
		m, err := memoryOf(process.Pid())
		if err != nil {
			return err
		}
		most, found, call = max(most, m.anonymous), found+len(page.Entries), ""
		if page.Next != "" {
			call = "clients?limit=1000&cursor=" + url.QueryEscape(page.Next)
		}
	}
	grown := mebibytes(most - before.anonymous)
	b.table.atMost("a walk over all clients, more memory", grown, flatTarget, "%.1f MiB more than %.1f, %d clients in %.1f s", grown, mebibytes(before.anonymous), found, time.Since(began).Seconds())
	return nil
}

// exports reads the export of all clients, and looks what memory it takes.
func (b *bench) exports(ctx context.Context, process *gateway.Process) error {
	b.progress("an export")
	m := &memoryMeter{pid: process.Pid()}
	if _, err := m.Write(nil); err != nil {
		return err
	}
	before, began := m.most, time.Now()
	size, err := b.stream(ctx, "export", m)
	if err != nil {
		return err
	}
	grown := mebibytes(m.most - before)
	b.table.atMost("export of all clients, more memory", grown, flatTarget, "%.1f MiB more than %.1f, %.0f MB in %.1f s", grown, mebibytes(before), float64(size)/1e6, time.Since(began).Seconds())
	return nil
}

// memoryMeter looks what memory a process takes whenever something is written to it.
type memoryMeter struct {
	pid     int
	most    int64
	written int
	looked  int
}

// Write looks for each MB.
func (m *memoryMeter) Write(p []byte) (int, error) {
	m.written += len(p)
	if m.most > 0 && m.written-m.looked < 1e6 {
		return len(p), nil
	}
	m.looked = m.written
	now, err := memoryOf(m.pid)
	m.most = max(m.most, now.anonymous)
	return len(p), err
}

// backUp makes a backup into a file.
func (b *bench) backUp(ctx context.Context, name string) error {
	b.progress("a backup")
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer file.Close()
	began := time.Now()
	size, err := b.stream(ctx, "backup", file)
	if err := errors.Join(err, file.Sync()); err != nil {
		return err
	}
	speed := float64(size) / 1e6 / time.Since(began).Seconds()
	b.table.atLeast("backup", speed, streamTarget, "%.0f MB/s, %.0f MB", speed, float64(size)/1e6)
	return nil
}

// stream makes a call of the admin API whose answer may be long, and returns how long it is.
func (b *bench) stream(ctx context.Context, call string, to io.Writer) (int64, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, b.adminCall(call), strings.NewReader(`{"reason":"measured","operator":"bench"}`))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s: %s", call, answer.Status)
	}
	return io.Copy(to, answer.Body)
}

// putBack restores that backup into an empty store. It ends the gateway.
func (b *bench) putBack(ctx context.Context, process *gateway.Process) error {
	if err := process.Stop(); err != nil {
		return err
	}
	store := filepath.Join(process.Dir(), "store")
	if err := os.Rename(store, store+".before"); err != nil {
		return err
	}
	file, err := os.Stat(filepath.Join(process.Dir(), "bench.backup"))
	if err != nil {
		return err
	}
	b.progress("a restore")
	began := time.Now()
	if out, err := process.Command(ctx, "dcr", "restore", "bench.backup", "--config", "Caddyfile"); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	took := time.Since(began)
	speed := float64(file.Size()) / 1e6 / took.Seconds()
	b.table.atLeast("restore, verified and written", speed, streamTarget, "%.0f MB/s, %.1f s", speed, took.Seconds())
	return nil
}

// ask makes a call of the admin API that reads, and returns how long the answer is.
func (b *bench) ask(ctx context.Context, call string, into any) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.adminCall(call), nil)
	if err != nil {
		return 0, err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		return 0, errors.Join(fmt.Errorf("%s: %s: %.400s", call, answer.Status, body), err)
	}
	if into != nil {
		err = json.Unmarshal(body, into)
	}
	return len(body), err
}

func (b *bank) adminCall(call string) string {
	return "http://" + b.address(b.admin) + "/openbanking_dcr/" + call
}

func milliseconds(d time.Duration) float64 { return 1e3 * d.Seconds() }
