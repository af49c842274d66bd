package registry

import (
	"context"
	"log/slog"
	"time"
)

const (
	// firstLook is how long after Open the daily work begins: not with every start of a
	// gateway that does not stay up.
	firstLook = time.Minute
	lookEvery = time.Hour
)

// runDaily does what is to be done once a day, until ctx ends. It looks every hour whether
// that is due: a clock may be set meanwhile.
func (r *Registry) runDaily(ctx context.Context) {
	defer close(r.dailyEnded)
	next := time.NewTimer(firstLook)
	defer next.Stop()
	for {
		select {
		case <-next.C:
		case <-r.lookNow:
		case <-ctx.Done():
			return
		}
		if err := r.keepUseDays(ctx); err != nil && ctx.Err() == nil {
			r.log.Warn("cannot store that it keeps track of used clients; tries again in an hour", slog.Any("error", err))
		}
		r.runPasses(ctx)
		next.Reset(lookEvery)
	}
}
