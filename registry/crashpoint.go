//go:build !crashpoints

package registry

import "time"

// Times of the registry.
const (
	// Deadline bounds what one request asks of the AS, repeats included.
	Deadline = 20 * time.Second
	// concludeWithin bounds what is written after the AS was asked.
	concludeWithin = 5 * time.Second
	// lease is how long a reservation or a change holds without its holder: longer
	// than both together, so that nobody else takes over while the holder is at work.
	lease = time.Minute
	// outboxIdle is how long the outbox sleeps at most: what is put off, and what
	// another gateway left, is looked at again then.
	outboxIdle = 30 * time.Second
)

// crashpoint is where the crash tests end the process; here it is nothing.
func crashpoint(string) {}
