package crl

import (
	"context"
	"log/slog"
	"time"
)

// Keeper keeps lists for the next run of the process, or the next configuration. What it
// gives back counts no more than what is fetched: the CA's signature is verified again.
type Keeper interface {
	// Keep takes a list in place of the one that it has of the URL. It must return at once.
	Keep(l Kept)
	// Kept is the last list of a URL, nil for none.
	Kept(ctx context.Context, url string) (body []byte)
}

// Kept is a list that its CA was found to have signed.
type Kept struct {
	URL                    string
	Body                   []byte
	ThisUpdate, NextUpdate time.Time
}

// recall takes the list that was kept, beside what will be fetched: the newer one counts.
func (f *source) recall(ctx context.Context) {
	if f.set.keeper == nil {
		return
	}
	body := f.set.keeper.Kept(ctx, f.name)
	if body == nil {
		return
	}
	if err := f.use(body, true); err != nil {
		f.log.Warn("cannot use a CRL from the store", slog.String("crl", f.name), slog.Any("error", err))
	}
}
