package authserver

import "github.com/caddy-dcr/caddy-dcr/verify/jwks"

// KeySource is where the AS's own keys come from, as far as its discovery document is known; nil
// for none. It does not fetch.
func (s *Server) KeySource() *jwks.Source {
	if d := s.known.state.Load(); d != nil && d.metadata != nil {
		return d.metadata.keys
	}
	return nil
}

// Breakers are the states of the circuit breakers, by the exchanges that they are for: closed,
// open or half-open.
func (s *Server) Breakers() map[string]string {
	states := map[string]string{}
	for _, f := range []*family{s.clients, s.tokens, s.holding} {
		states[f.breaker.name] = f.breaker.current()
	}
	return states
}
