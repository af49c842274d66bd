package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

const (
	// outboxEntries wait for the AS when the load begins.
	outboxEntries = 1000
	// outboxTarget is how fast registrations must be meanwhile, of how fast they are
	// without.
	outboxTarget = 0.9
)

// outbox measures registrations while the outbox brings the AS what it has missed.
func (b *bench) outbox(ctx context.Context) error {
	warmUp, count, turns := 500, 5000, 5
	if b.quick {
		warmUp, count, turns = 100, 1200, 1
	}
	b.progress("signing %d registration requests", warmUp+count)
	bodies, err := b.sign(ctx, warmUp+count)
	if err != nil {
		return err
	}
	b.table.section("POST register while the outbox drains %d revocations, %d requests at 16 connections, %d times in turn with an empty outbox",
		outboxEntries, count, turns)
	var ratios, drains []float64
	for turn := range turns {
		b.progress("turn %d of %d", turn+1, turns)
		var took [2]time.Duration
		for i, entries := range []int{0, outboxEntries} {
			var drained time.Duration
			if took[i], drained, err = b.draining(ctx, entries, bodies[:warmUp], bodies[warmUp:]); err != nil {
				return err
			}
			if entries > 0 {
				drains = append(drains, drained.Seconds())
			}
		}
		ratios = append(ratios, took[0].Seconds()/took[1].Seconds())
	}
	b.table.atLeast("registrations meanwhile / without", median(ratios), outboxTarget, "%.2f, quartiles %.2f and %.2f", median(ratios), quartile(ratios, 1), quartile(ratios, 3))
	b.table.told("until the outbox was empty", "%.2f s, median", median(drains))
	return nil
}

// draining registers all requests at a gateway whose outbox has so many entries. drained
// is how long after the begin of the load it was empty.
func (b *bench) draining(ctx context.Context, entries int, warmUp, requests []request) (took, drained time.Duration, err error) {
	dir, err := b.folder("outbox")
	if err != nil {
		return 0, 0, err
	}
	if err := fillOutbox(ctx, dir, entries); err != nil {
		return 0, 0, fmt.Errorf("filling the outbox: %w", err)
	}
	caddyfile, err := b.caddyfile(dir, withoutToken)
	if err != nil {
		return 0, 0, err
	}
	b.as.revocations.Lock() // none is answered before the load begins
	held := true
	release := func() {
		if held {
			held = false
			b.as.revocations.Unlock()
		}
	}
	defer release()
	process, err := b.start(ctx, b.bank.gateway, dir, caddyfile)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, process.Stop()) }()
	if err := b.discover(ctx); err != nil {
		return 0, 0, err
	}
	load, err := openLoad(ctx, 16, b.address(b.site), b.clientTLS())
	if err != nil {
		return 0, 0, err
	}
	defer load.Close()
	if _, _, err := load.once(warmUp, http.StatusCreated); err != nil {
		return 0, 0, err
	}
	before := b.as.revoked.Load()
	empty := make(chan time.Duration, 1)
	began := time.Now()
	go func() {
		for b.as.revoked.Load()-before < int64(entries) && ctx.Err() == nil && time.Since(began) < time.Minute {
			time.Sleep(10 * time.Millisecond)
		}
		empty <- time.Since(began)
	}()
	release()
	if _, took, err = load.once(requests, http.StatusCreated); err != nil {
		return 0, 0, err
	}
	drained = <-empty
	if n := b.as.revoked.Load() - before; n < int64(entries) {
		return 0, 0, fmt.Errorf("%d of %d entries were carried out", n, entries)
	}
	return took, drained, nil
}

// fillOutbox makes the store of a gateway in dir, with entries that wait.
func fillOutbox(ctx context.Context, dir string, entries int) error {
	r, err := makeStore(ctx, dir)
	if err != nil {
		return err
	}
	ws := registry.Workspace{Name: workspace, Provisioner: revoker{}}
	for range entries {
		token := &verify.AccessToken{Raw: uuid.NewString(), Expires: time.Now().Add(time.Hour)}
		if err := r.EndToken(ctx, ws, registry.Presented{Token: token}); err != nil {
			return errors.Join(err, r.Close())
		}
	}
	return r.Close()
}

// revoker is an AS that would revoke; nobody asks it.
type revoker struct{ registry.Provisioner }

func (revoker) Revokes(registry.Revocation) bool { return true }
