package authserver

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/sony/gobreaker/v2"
)

// What keeps an AS that is dead, or hangs, from holding up the gateway: at most
// maxAtWork exchanges wait for it at once, and after tripAfter that failed one after
// the other none begins for openFor; then one tries.
const (
	maxAtWork = 256
	tripAfter = 5
	openFor   = 2 * time.Second
)

// family are exchanges that fail together. What a TPP sends may make the AS slow
// when it registers a client (it fetches what the metadata name), and that must not
// keep others from having their tokens checked.
type family struct {
	slots   chan struct{}
	breaker *gobreaker.CircuitBreaker[*reply]
}

func newFamily(name string, pause time.Duration, log *slog.Logger) *family {
	return &family{
		slots: make(chan struct{}, maxAtWork),
		breaker: gobreaker.NewCircuitBreaker[*reply](gobreaker.Settings{
			Name: name, Timeout: pause,
			ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= tripAfter },
			// The caller's end says nothing of the AS.
			IsExcluded: func(err error) bool { return errors.Is(err, context.Canceled) },
			OnStateChange: func(name string, from, to gobreaker.State) {
				log.Warn("circuit breaker of the authorization server", slog.String("calls", name), slog.String("from", from.String()), slog.String("to", to.String()))
			},
		}),
	}
}

var (
	errFailing = errors.New("answered that it is not there")
	errBusy    = errors.New("too many exchanges wait for the authorization server")
)

// do carries out an exchange unless the AS is known to be down.
func (f *family) do(exchange func() (*reply, error)) (*reply, error) {
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	default:
		return nil, unavailable(errBusy)
	}
	res, err := f.breaker.Execute(func() (*reply, error) {
		res, err := exchange()
		if err == nil && isDown(res.Status) {
			err = errFailing
		}
		return res, err
	})
	switch {
	case errors.Is(err, errFailing):
		return res, nil // its answer counts all the same
	case errors.Is(err, gobreaker.ErrOpenState), errors.Is(err, gobreaker.ErrTooManyRequests):
		return nil, unavailable(err)
	}
	return res, err
}

// isDown tells whether a status says that the AS is not there: what stands before it
// answers, or it is in maintenance. A 500 may be about one request alone.
func isDown(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}
