package authserver

import "time"

// SetBreakerPause is how long no exchange begins after several that failed.
func (s *Server) SetBreakerPause(d time.Duration) {
	s.clients, s.tokens = newFamily("registration", d, s.log), newFamily("tokens", d, s.log)
}

// MaxAtWork and TripAfter are for tests.
const (
	MaxAtWork = maxAtWork
	TripAfter = tripAfter
)
