package caddymodule

import (
	"errors"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// RegistrationAccessToken offers TPPs registration access tokens of the gateway's own
// (RFC 7592), beside the management tokens that the AS gives out: POST answers with
// one, good for GET, PUT and DELETE of that client, with its certificate.
type RegistrationAccessToken struct {
	// TTL is how long one is good. Default: 90d.
	TTL caddy.Duration `json:"ttl,omitempty"`
	// Rotate gives a new one with every update; the one before it stays good until
	// the next. Default: false, a new one comes only when the old one has ended.
	Rotate bool `json:"rotate,omitempty"`
}

func (t *RegistrationAccessToken) check() error {
	if t != nil && t.TTL < 0 {
		return errors.New("registration_access_token: ttl must be positive")
	}
	return nil
}

// accessTokens is the registry's form, nil when it is off.
func (t *RegistrationAccessToken) accessTokens() *registry.AccessTokens {
	if t == nil {
		return nil
	}
	return &registry.AccessTokens{TTL: time.Duration(t.TTL), Rotate: t.Rotate}
}
