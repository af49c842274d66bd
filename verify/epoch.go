package verify

import (
	"fmt"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// Epoch is the moment up to which a store may have forgotten what was used: it was
// restored from a copy, or has lost a part. What was issued up to then counts as used. The
// clock's skew is in it already: nothing that was used before it can name a later iat. The
// zero value is no epoch.
type Epoch struct{ time.Time }

// DefaultTokenLifetime is how long an access token is good at most, of which nobody tells
// when it was issued.
const DefaultTokenLifetime = 24 * time.Hour

// Covers tells whether something may have been used before the epoch. What does not say
// when it was issued (zero), or names a time that is yet to come, lives no longer than
// lifetime.
func (e Epoch) Covers(issued time.Time, lifetime time.Duration, now time.Time) bool {
	switch {
	case e.IsZero():
		return false
	case issued.IsZero() || toCome(issued, now):
		return !now.After(e.Add(lifetime))
	}
	return !issued.After(e.Time)
}

// toCome tells whether a time is later than clocks that differ explain: it does not tell
// when something was issued.
func toCome(issued, now time.Time) bool { return issued.After(now.Add(DefaultSkew)) }

// ends is when something that does not say when it was issued counts again.
func (e Epoch) ends(lifetime time.Duration) string { return stamp(e.Add(lifetime)) }

// CheckEpoch refuses a registration token that may have registered before the epoch.
// lifetime is how long a token without iat, or with one that is
// yet to come, is good at most; 0 is DefaultTokenLifetime.
//
// Errors: InvalidToken.
func (t *AccessToken) CheckEpoch(e Epoch, lifetime time.Duration, now time.Time) error {
	if lifetime == 0 {
		lifetime = DefaultTokenLifetime
	}
	switch {
	case !e.Covers(t.Issued, lifetime, now):
		return nil
	case t.Issued.IsZero():
		return refusal.New(refusal.InvalidToken, EpochRule, "access token: it does not say when it was issued, and may have registered before; such tokens are good again after %s", e.ends(lifetime))
	case toCome(t.Issued, now):
		return refusal.New(refusal.InvalidToken, EpochRule, "access token: issued at %s, which is yet to come, and may have registered before; the clock of the authorization server is ahead, such tokens are good again after %s", stamp(t.Issued), e.ends(lifetime))
	}
	return refusal.New(refusal.InvalidToken, EpochRule, "access token: issued at %s, and may have registered before; get one that is issued after %s", stamp(t.Issued), stamp(e.Time))
}

// checkEpoch refuses a request that may have been sent before the epoch.
func (r *Request) checkEpoch(e Epoch, issued, now time.Time) error {
	if !e.Covers(issued, 0, now) {
		return nil
	}
	return refusal.New(refusal.InvalidClientMetadata, EpochRule, "iat: %s, and the request may have been sent before; sign a new one after %s", stamp(issued), stamp(e.Time))
}

// checkEpoch refuses a client assertion that may have been used before the epoch.
func (a *ClientAssertion) checkEpoch(e Epoch, now time.Time) error {
	switch {
	case !e.Covers(a.Issued, MaxAssertionLifetime, now):
		return nil
	case a.Issued.IsZero():
		return fmt.Errorf("has no iat, and may have been used before; sign one with iat after %s", stamp(e.Time))
	}
	return fmt.Errorf("has iat %s, and may have been used before; sign a new one after %s", stamp(a.Issued), stamp(e.Time))
}

// EpochRule is the rule of what an epoch refuses.
const EpochRule = "epoch"
