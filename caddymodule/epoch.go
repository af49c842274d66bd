package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// What a store may have forgotten: after a restore that the operator declares, and after a
// loss that the operator has accepted.

// checkLabel checks the label of a restore against its bounds.
func checkLabel(label string) error {
	if len(label) > registry.MaxLabel {
		return fmt.Errorf("restored: must be at most %d bytes long", registry.MaxLabel)
	}
	return nil
}

func (t *AccessToken) check() error {
	if t != nil && t.Lifetime < 0 {
		return errors.New("access_token: token_lifetime must be positive")
	}
	return nil
}

// tokenLifetime is how long a registration token is good at most that does not say when
// it was issued.
func (h *Handler) tokenLifetime() time.Duration {
	if h.AccessToken == nil {
		return verify.DefaultTokenLifetime
	}
	return cmp.Or(time.Duration(h.AccessToken.Lifetime), verify.DefaultTokenLifetime)
}

// tellEpoch says at a start what the store's epoch refuses still.
func (a *App) tellEpoch(e registry.Epoch) {
	if e.At == 0 {
		return
	}
	longest := time.Duration(0)
	for _, h := range a.workspaces {
		longest = max(longest, h.tokenLifetime())
	}
	if end := e.Time().Add(longest); e.Unconfirmed() || !time.Now().After(end) {
		a.log.Warn("enforces an epoch: refuses what was issued up to it, what has no iat until without_iat_until, and unknown client_ids until an operator confirms",
			slog.String("cause", e.Cause), slog.Time("epoch", e.Time()), slog.Time("without_iat_until", end), slog.Bool("confirmed", !e.Unconfirmed()))
	}
}
