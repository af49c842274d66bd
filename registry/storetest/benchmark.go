package storetest

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// Benchmark measures updates like a registration's, three keys of 1.5 KB and
// twice 100 bytes, by 1, 16 and 64 writers at once. Its figure is us/commit, the
// time of the whole divided by the number of updates.
func Benchmark(b *testing.B, s registry.Store) {
	var names atomic.Int64
	for _, writers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("%d writers", writers), func(b *testing.B) {
			var left atomic.Int64
			left.Store(int64(b.N))
			var group errgroup.Group
			b.ResetTimer()
			begin := time.Now()
			for range writers {
				group.Go(func() error {
					for left.Add(-1) >= 0 {
						if err := register(b, s, names.Add(1)); err != nil {
							return err
						}
					}
					return nil
				})
			}
			if err := group.Wait(); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(time.Since(begin).Microseconds())/float64(b.N), "us/commit")
		})
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

func register(b *testing.B, s registry.Store, name int64) error {
	record, index := bytes.Repeat([]byte("r"), 1500), bytes.Repeat([]byte("i"), 100)
	return s.Update(b.Context(), func(w registry.Writer) error {
		// The order is that of a random id, not of the clock.
		id := fmt.Sprintf("%016x", uint64(name)*0x9e3779b97f4a7c15)
		if err := w.Put("client/"+id, record); err != nil {
			return err
		}
		if err := w.Put("id/"+id, index); err != nil {
			return err
		}
		return w.Put(fmt.Sprintf("time/%016d", name), index)
	})
}
