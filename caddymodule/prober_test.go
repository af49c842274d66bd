package caddymodule

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// probing is a prober on a clock of its own.
type probing struct {
	*prober
	t      *testing.T
	clock  time.Time
	log    bytes.Buffer
	pauses []time.Duration
}

func newProbing(t *testing.T, probes ...*probe) *probing {
	p := &probing{t: t, clock: time.Unix(1_800_000_000, 0)}
	p.prober = &prober{probes: probes, log: slog.New(slog.NewTextHandler(&p.log, nil)), now: func() time.Time { return p.clock }}
	return p
}

// runsFor lets rounds pass that begin within a time.
func (p *probing) runsFor(d time.Duration) {
	p.t.Helper()
	until := p.clock.Add(d)
	p.runsWhile(func() bool { return p.clock.Before(until) })
}

// runs lets rounds pass, each after the pause that the one before asked for.
func (p *probing) runs(rounds int) {
	p.t.Helper()
	p.runsWhile(func() bool { rounds--; return rounds > 0 })
}

func (p *probing) runsWhile(more func() bool) {
	p.t.Helper()
	ctx, cancel := context.WithCancel(p.t.Context())
	defer cancel()
	p.after = func(d time.Duration) <-chan time.Time {
		p.pauses = append(p.pauses, d)
		p.clock = p.clock.Add(d)
		if !more() {
			cancel()
			return nil
		}
		due := make(chan time.Time, 1)
		due <- p.clock
		return due
	}
	p.run(ctx, func(round func()) { round() })
}

func (p *probing) logged(level string) int { return strings.Count(p.log.String(), "level="+level) }

// failing is a probe that fails with what it is told, nil for not at all.
func failing(name string, err *error, tried *int) *probe {
	return &probe{
		name: name, url: "https://" + name, problem: "cannot use the " + name,
		run:  func(context.Context) error { *tried++; return *err },
		cure: func(err error) string { return "mend: " + err.Error() },
	}
}

// TestProbesBackOff: every five minutes while all is right, up to an hour apart while it is
// not; one line when it becomes wrong and one when it is right again.
func TestProbesBackOff(t *testing.T) {
	var err error
	tried := 0
	p := newProbing(t, failing("as", &err, &tried))
	p.runs(3)
	if fmt.Sprint(p.pauses) != "[5m0s 5m0s 5m0s]" || tried != 3 || p.log.Len() > 0 {
		t.Errorf("right: got %v, %d, %s, want 3 tries with 5 minutes after each, and no line", p.pauses, tried, p.log.String())
	}
	p.pauses, err = nil, errors.New("refused")
	p.runs(7)
	if fmt.Sprint(p.pauses) != "[5m0s 10m0s 20m0s 40m0s 1h0m0s 1h0m0s 1h0m0s]" || tried != 10 {
		t.Errorf("wrong: got %v, %d, want pauses that double up to an hour, and 10 tries", p.pauses, tried)
	}
	if p.logged("ERROR") != 1 || !strings.Contains(p.log.String(), `url=https://as error=refused cure="mend: refused"`) {
		t.Errorf("got %s, want one error with the URL and the cure", p.log.String())
	}
	err = errors.New("another certificate")
	p.runs(2)
	if p.logged("ERROR") != 2 {
		t.Errorf("wrong in another way: %s", p.log.String())
	}
	p.pauses, err = nil, nil
	p.runs(2)
	if fmt.Sprint(p.pauses) != "[5m0s 5m0s]" || p.logged("INFO") != 1 || !strings.Contains(p.log.String(), "can use the as again") {
		t.Errorf("right again: got %v, %s, want pauses of 5 minutes, and one line that says so", p.pauses, p.log.String())
	}
}

// TestServersAreTriedSoon: a server that is not there yet when the gateway starts is not
// told wrong for five minutes.
func TestServersAreTriedSoon(t *testing.T) {
	err, tried := errors.New("connection refused"), 0
	one := failing("as", &err, &tried)
	one.first = probeServerAgain
	p := newProbing(t, one)
	p.runs(9)
	if got, want := fmt.Sprint(p.pauses), "[15s 30s 1m0s 2m0s 4m0s 8m0s 16m0s 32m0s 1h0m0s]"; got != want {
		t.Errorf("wrong: pauses %s, want %s", got, want)
	}
	p.pauses, err = nil, nil
	p.runs(2)
	if got, want := fmt.Sprint(p.pauses), "[5m0s 5m0s]"; got != want {
		t.Errorf("right again: pauses %s, want %s", got, want)
	}
}

// TestUndecidedProbeChangesNothing: what says nothing changes nothing.
func TestUndecidedProbeChangesNothing(t *testing.T) {
	err := error(nil)
	tried := 0
	p := newProbing(t, failing("as", &err, &tried))
	for _, c := range []struct {
		err         error
		errs, infos int
	}{{errUndecided, 0, 0}, {errors.New("refused"), 1, 0}, {errUndecided, 1, 0}, {errors.New("refused"), 1, 0}, {nil, 1, 1}, {errUndecided, 1, 1}} {
		before := tried
		err = c.err
		p.runs(1)
		if tried != before+1 || p.logged("ERROR") != c.errs || p.logged("INFO") != c.infos {
			t.Errorf("after %v: got %d tries, %s, want 1, %d errors and %d infos", c.err, tried-before, p.log.String(), c.errs, c.infos)
		}
	}
}

// TestProbesFoundLaterAreTriedAtOnce: those that are known later are tried as soon as they are, and keep what
// is known of them.
func TestProbesFoundLaterAreTriedAtOnce(t *testing.T) {
	right, down := error(nil), errors.New("down")
	var as, first, second int
	p := newProbing(t, failing("as", &right, &as))
	var found []*probe
	p.more = func(context.Context) []*probe { return found }
	p.runs(1)
	one := failing("one", &down, &first)
	found = []*probe{one}
	p.runs(2)
	found = nil // not known for a while
	p.runs(2)
	if as != 5 || first != 3 || p.logged("ERROR") != 1 { // with 5 and 10 minutes between
		t.Errorf("got %d and %d tries, %s, want 5 and 3, and one error", as, first, p.log.String())
	}
	found = []*probe{failing("another", &right, &second)}
	p.runs(1)
	if second != 1 || len(p.all()) != 2 {
		t.Errorf("got %d tries, %d probes, want 1 and 2", second, len(p.all()))
	}
}

// TestFailingProbeDelaysNoOther: one that is wrong, or panics, keeps no other from being tried in its time.
func TestFailingProbeDelaysNoOther(t *testing.T) {
	down, right := errors.New("down"), error(nil)
	var as, directory, panics int
	broken := failing("broken", &right, &panics)
	broken.run = func(context.Context) error { panics++; panic("of a reader") }
	p := newProbing(t, failing("as", &down, &as), broken, failing("directory", &right, &directory))
	p.runsFor(time.Hour)
	if as != 4 || panics != 4 || directory != 12 {
		t.Errorf("in an hour: got %d, %d, %d tries, want 4, 4, 12", as, panics, directory)
	}
	if p.logged("ERROR") != 2 || !strings.Contains(p.log.String(), "panic: of a reader") {
		t.Errorf("got %s, want two errors, one of a panic", p.log.String())
	}
}

// TestProbesEnd: a configuration that ends cuts a probe off, and that says nothing of it.
func TestProbesEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	begun := make(chan struct{})
	hanging := &probe{name: "as", problem: "cannot use it", cure: func(error) string { return "" }, run: func(ctx context.Context) error {
		close(begun)
		<-ctx.Done()
		return ctx.Err()
	}}
	p := newProbing(t, hanging)
	p.after = time.After
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.run(ctx, func(round func()) { round() })
	}()
	select {
	case <-begun:
	case <-time.After(10 * time.Second):
		t.Fatal("no probe has begun after 10 s")
	}
	cancel()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the probes go on")
	}
	if p.log.Len() > 0 || hanging.wrong.Load() {
		t.Errorf("got %s, wrong %t, want no line, and nothing wrong", p.log.String(), hanging.wrong.Load())
	}
}
