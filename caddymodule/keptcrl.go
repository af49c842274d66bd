package caddymodule

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/crl"
)

// Certificate revocation lists are kept in the store, as key sets are, so that a reload or
// a restart while the CA's server is down changes nothing.

// keepCRLFor is how long a list is kept after its end: what is on it was revoked for good.
const keepCRLFor = 90 * 24 * time.Hour

// keepCRLAtMost bounds that: the last list of a CA may end in the year 9999 (ETSI EN 319 411-1).
const keepCRLAtMost = 10 * 365 * 24 * time.Hour

type keptCRLs struct{ app *App }

// Kept is the last list of a URL.
func (k keptCRLs) Kept(ctx context.Context, url string) []byte {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepWithin)
	defer cancel()
	r, err := k.app.enterBehind()
	if err != nil {
		if !errors.Is(err, errGone) {
			k.app.log.Warn("cannot read a CRL from the store", slog.String("url", url), slog.Any("error", err))
		}
		return nil
	}
	defer k.app.Leave()
	body, err := r.KeptCRL(ctx, url)
	if err != nil && !errors.Is(err, registry.ErrNotFound) {
		k.app.log.Warn("cannot read a CRL from the store", slog.String("url", url), slog.Any("error", err))
	}
	return body
}

// Keep has a list written soon.
func (k keptCRLs) Keep(l crl.Kept) {
	list := registry.KeptCRL{URL: l.URL, Body: l.Body, Issued: l.ThisUpdate.UnixNano(), Until: keepUntil(l, time.Now()).UnixNano()}
	k.app.keeping.put(k.app, [2]string{"crl", l.URL}, func(ctx context.Context, r *registry.Registry) error { return r.KeepCRL(ctx, list) })
}

func keepUntil(l crl.Kept, now time.Time) time.Time {
	end := l.NextUpdate
	if end.Before(l.ThisUpdate) { // it names none
		end = l.ThisUpdate
	}
	if end, most := end.Add(keepCRLFor), now.Add(keepCRLAtMost); end.Before(most) {
		return end
	}
	return now.Add(keepCRLAtMost)
}
