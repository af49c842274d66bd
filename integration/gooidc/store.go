package main

import (
	"context"
	"errors"
	"sync"

	"github.com/luikyv/go-oidc/pkg/goidc"
)

var (
	_ goidc.GrantManager        = (*store)(nil)
	_ goidc.AuthManager         = (*store)(nil)
	_ goidc.PARManager          = (*store)(nil)
	_ goidc.DCRManager          = (*store)(nil)
	_ goidc.RefreshTokenManager = (*store)(nil)
)

// store keeps everything in memory and, unlike go-oidc's own, which holds 100 of
// each, forgets nothing. It copies on the way in and out: the library changes
// what it was given.
type store struct {
	clients  table[goidc.Client]
	tokens   table[goidc.Token]
	grants   table[goidc.Grant]
	sessions table[goidc.AuthnSession]
	// indexes: to the id of the grant or session
	codes   table[string]
	refresh table[string]
	pushed  table[string]
	// backchannel and approved are those of CIBA, to the session and to the grant.
	backchannel table[string]
	approved    table[string]
	consumed    table[struct{}]
}

func newStore() *store { return &store{} }

func (s *store) SaveClient(_ context.Context, c *goidc.Client) error {
	c.CacheJWKS(nil) // keys behind a jwks_uri change
	s.clients.put(c.ID, *c)
	return nil
}

func (s *store) Client(_ context.Context, id string) (*goidc.Client, error) {
	return s.clients.get(id)
}

func (s *store) DeleteClient(_ context.Context, id string) error {
	s.clients.delete(id)
	return nil
}

func (s *store) SaveToken(_ context.Context, t *goidc.Token) error {
	s.tokens.put(t.ID, *t)
	return nil
}

func (s *store) Token(_ context.Context, id string) (*goidc.Token, error) {
	return s.tokens.get(id)
}

func (s *store) SaveGrant(_ context.Context, g *goidc.Grant) error {
	s.grants.put(g.ID, *g)
	if g.AuthCode != "" {
		s.codes.put(g.AuthCode, g.ID)
	}
	if g.RefreshToken != "" {
		s.refresh.put(g.RefreshToken, g.ID)
	}
	if g.AuthReqID != "" {
		s.approved.put(g.AuthReqID, g.ID)
	}
	return nil
}

func (s *store) Grant(_ context.Context, id string) (*goidc.Grant, error) {
	return s.grants.get(id)
}

func (s *store) GrantByAuthCode(_ context.Context, code string) (*goidc.Grant, error) {
	id, err := s.codes.get(code)
	if err != nil {
		return nil, err
	}
	return s.grants.get(*id)
}

func (s *store) GrantByRefreshToken(_ context.Context, token string) (*goidc.Grant, error) {
	id, err := s.refresh.get(token)
	if err != nil {
		return nil, err
	}
	return s.grants.get(*id)
}

func (s *store) SaveSession(_ context.Context, as *goidc.AuthnSession) error {
	s.sessions.put(as.ID, *as)
	if as.PushedAuthReqID != "" {
		s.pushed.put(as.PushedAuthReqID, as.ID)
	}
	if as.AuthReqID != "" {
		s.backchannel.put(as.AuthReqID, as.ID)
	}
	return nil
}

func (s *store) Session(_ context.Context, id string) (*goidc.AuthnSession, error) {
	return s.sessions.get(id)
}

func (s *store) SessionByPushedAuthReqID(_ context.Context, id string) (*goidc.AuthnSession, error) {
	session, err := s.pushed.get(id)
	if err != nil {
		return nil, err
	}
	return s.sessions.get(*session)
}

func (s *store) SessionByAuthReqID(_ context.Context, id string) (*goidc.AuthnSession, error) {
	session, err := s.backchannel.get(id)
	if err != nil {
		return nil, err
	}
	return s.sessions.get(*session)
}

func (s *store) GrantByAuthReqID(_ context.Context, id string) (*goidc.Grant, error) {
	grant, err := s.approved.get(id)
	if err != nil {
		return nil, err
	}
	return s.grants.get(*grant)
}

func (s *store) consumeJTI(_ context.Context, jti string) error {
	if !s.consumed.add(jti, struct{}{}) {
		return errors.New("the jti was used before")
	}
	return nil
}

// table is a map of values by id, in order of their first put.
type table[T any] struct {
	mu     sync.RWMutex
	values map[string]T
	order  []string
}

func (t *table[T]) put(id string, value T) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.set(id, value)
}

// add reports whether the id is new.
func (t *table[T]) add(id string, value T) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.values[id]; ok {
		return false
	}
	t.set(id, value)
	return true
}

func (t *table[T]) set(id string, value T) {
	if t.values == nil {
		t.values = make(map[string]T)
	}
	if _, ok := t.values[id]; !ok {
		t.order = append(t.order, id)
	}
	t.values[id] = value
}

func (t *table[T]) get(id string) (*T, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	value, ok := t.values[id]
	if !ok {
		return nil, goidc.ErrNotFound
	}
	return &value, nil
}

func (t *table[T]) delete(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.values, id)
}

// all returns the values, oldest first.
func (t *table[T]) all() []T {
	t.mu.RLock()
	defer t.mu.RUnlock()
	out := make([]T, 0, len(t.values))
	for _, id := range t.order {
		if value, ok := t.values[id]; ok {
			out = append(out, value)
		}
	}
	return out
}
