package authserver

import "time"

// SetBreakerPause is how long no exchange begins after several that failed.
func (s *Server) SetBreakerPause(d time.Duration) {
	s.clients, s.tokens, s.holding = newFamily("registration", d, s.log), newFamily("tokens", d, s.log), newFamily("token holders", d, s.log)
}

// MaxAtWork, TripAfter and MaxDoubtful are for tests.
const (
	MaxAtWork   = maxAtWork
	TripAfter   = tripAfter
	MaxDoubtful = maxDoubtful
)
