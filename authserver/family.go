package authserver

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// At most maxAtWork exchanges of a family wait for the AS at once, so that one that hangs
// does not hold up the gateway, and at most maxOfOne of them for one organisation, so
// that one that hangs for it alone does not hold up the others.
const (
	maxAtWork = 256
	maxOfOne  = maxAtWork / 8
)

// MaxExchanges is how many there are at once in the three families together. A client
// with fewer connections would have one family wait for another's.
const MaxExchanges = 3 * maxAtWork

// family are exchanges that fail together. What a TPP sends may make the AS slow
// when it registers a client (it fetches what the metadata name), and that must not
// keep others from having their tokens checked.
type family struct {
	breaker *breaker

	mu     sync.Mutex
	atWork int
	// of counts them by organisation; those of an unknown one are not in it.
	of map[string]int
}

func newFamily(name string, now func() time.Time, log *slog.Logger) *family {
	return &family{breaker: newBreaker(name, now, log), of: map[string]int{}}
}

var (
	errBusy  = errors.New("too many exchanges wait for the authorization server")
	errShare = errors.New("too many exchanges of one organisation wait for the authorization server")
)

func (f *family) enter(of string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.atWork >= maxAtWork:
		return unavailable(errBusy)
	case of != "" && f.of[of] >= maxOfOne:
		return refusal.New(refusal.Unavailable, "authorization_server", "too many requests of this organisation wait for the authorization server; send fewer at once").Because(errShare)
	}
	f.atWork++
	if of != "" {
		f.of[of]++
	}
	return nil
}

func (f *family) leave(of string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.atWork--
	if of == "" {
		return
	}
	if f.of[of]--; f.of[of] == 0 {
		delete(f.of, of)
	}
}

// do carries out an exchange for an organisation, empty for an unknown one, unless the
// AS is known to be down or too many wait for it.
func (f *family) do(of string, exchange func() (*reply, error)) (*reply, error) {
	if err := f.enter(of); err != nil {
		return nil, err
	}
	defer f.leave(of)
	round, err := f.breaker.begin(of)
	if err != nil {
		return nil, unavailable(err)
	}
	came := failed // of an exchange that panics
	defer func() { f.breaker.end(round, of, came) }()
	res, err := exchange()
	came = outcomeOf(res, err)
	return res, err
}

type senderKey struct{}

// WithSender names whose request it is that the AS is asked about an access token for,
// when nobody knows the token's organisation yet. Default: an unknown one's, which has
// no share that bounds it.
func WithSender(ctx context.Context, sender string) context.Context {
	return context.WithValue(ctx, senderKey{}, sender)
}

// share is for whom an exchange counts.
func (s *Server) share(ctx context.Context, q request) string {
	if s.FairShareOff {
		return ""
	}
	if q.of != "" {
		return q.of
	}
	sender, _ := ctx.Value(senderKey{}).(string)
	return sender
}
