package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// request is one request as it goes over the wire.
type request struct{ head, body []byte }

// load is a number of kept-alive connections to one site.
type load struct {
	connections []*connection
	// ended tells what closed them before their time.
	ended func() error
	stop  func() bool
}

// openLoad makes n connections. They end with ctx, whatever they are doing.
func openLoad(ctx context.Context, n int, address string, config *tls.Config) (*load, error) {
	l := &load{ended: ctx.Err}
	for range n {
		c, err := dial(ctx, address, config)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("connection to %s: %w", address, err), l.closeAll())
		}
		l.connections = append(l.connections, c)
	}
	l.stop = context.AfterFunc(ctx, func() { _ = l.closeAll() }) // the load reports ctx's error
	return l, nil
}

func (l *load) closeAll() error {
	var errs []error
	for _, c := range l.connections {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// Close ends the connections.
func (l *load) Close() {
	if l.stop() {
		_ = l.closeAll() // a server that was faster is no matter
	}
}

// together runs f on every connection at once. The first error ends the others.
func (l *load) together(f func(*connection) error) (time.Duration, error) {
	var running sync.WaitGroup
	var once sync.Once
	var first error
	began := time.Now()
	for _, c := range l.connections {
		running.Go(func() {
			if err := f(c); err != nil {
				once.Do(func() {
					first = err
					_ = l.closeAll() // first is what counts
				})
			}
		})
	}
	running.Wait()
	took := time.Since(began)
	if err := l.ended(); err != nil {
		first = err
	}
	return took, first
}

// during sends any of the requests, again and again for a time, and returns how
// long each waited for its answer, sorted.
func (l *load) during(d time.Duration, requests []request, status int) (latencies []time.Duration, took time.Duration, err error) {
	var mu sync.Mutex
	end := time.Now().Add(d)
	took, err = l.together(func(c *connection) error {
		var own []time.Duration
		for began := time.Now(); began.Before(end); {
			if err := c.exchange(requests[rand.IntN(len(requests))], status); err != nil {
				return err
			}
			answered := time.Now()
			own, began = append(own, answered.Sub(began)), answered
		}
		mu.Lock()
		defer mu.Unlock()
		latencies = append(latencies, own...)
		return nil
	})
	slices.Sort(latencies)
	return latencies, took, err
}

// paced sends any of the requests, so many a second over all connections, until that is
// closed. What is late is left out. It returns how long each waited for its answer, sorted.
func (l *load) paced(rate int, until <-chan struct{}, requests []request, status int) (latencies []time.Duration, took time.Duration, err error) {
	var mu sync.Mutex
	apart := time.Duration(len(l.connections)) * time.Second / time.Duration(rate)
	took, err = l.together(func(c *connection) error {
		var own []time.Duration
		due := time.NewTicker(apart)
		defer due.Stop()
		for {
			select {
			case <-until:
				mu.Lock()
				defer mu.Unlock()
				latencies = append(latencies, own...)
				return nil
			case <-due.C:
			}
			began := time.Now()
			if err := c.exchange(requests[rand.IntN(len(requests))], status); err != nil {
				return err
			}
			own = append(own, time.Since(began))
		}
	})
	slices.Sort(latencies)
	return latencies, took, err
}

// once sends every request once, and returns how long each waited for its answer, sorted.
func (l *load) once(all []request, status int) (latencies []time.Duration, took time.Duration, err error) {
	latencies = make([]time.Duration, len(all))
	var next atomic.Int64
	took, err = l.together(func(c *connection) error {
		for {
			i := int(next.Add(1)) - 1
			if i >= len(all) {
				return nil
			}
			began := time.Now()
			if err := c.exchange(all[i], status); err != nil {
				return fmt.Errorf("request %d: %w", i, err)
			}
			latencies[i] = time.Since(began)
		}
	})
	slices.Sort(latencies)
	return latencies, took, err
}

// quantile of sorted values.
func quantile[T any](sorted []T, q float64) T {
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// median of values in any order.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if n := len(sorted); n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[len(sorted)/2]
}

// quartile of values in any order: 1 is the lower, 3 the upper.
func quartile(values []float64, n int) float64 {
	return quantile(slices.Sorted(slices.Values(values)), float64(n)/4)
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}
