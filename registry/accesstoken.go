package registry

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"strings"
	"time"
)

// DefaultAccessTokenTTL is how long a registration access token is good.
const DefaultAccessTokenTTL = 90 * 24 * time.Hour

// AccessTokens are the gateway's own registration access tokens (RFC 7592 3): with
// one, a client manages its registration without asking the AS for a token. The
// store has only their hashes.
type AccessTokens struct {
	// TTL is how long one is good. Default: DefaultAccessTokenTTL.
	TTL time.Duration
	// Rotate gives a new one with every update. Default: false, one that is lost with
	// an answer is not had again. The one before stays good until the next update.
	Rotate bool
}

// accessToken is one of a client, as the store has it.
type accessToken struct {
	Hash  []byte `json:"hash"`
	Until int64  `json:"until"`
}

// accessTokenPrefix tells them from the AS's tokens, and scanners of leaked secrets
// what they have found.
const accessTokenPrefix = "dcr_rat_"

// IsAccessToken tells whether a bearer token is of the gateway's own form.
func IsAccessToken(raw string) bool { return strings.HasPrefix(raw, accessTokenPrefix) }

// newAccessToken has 260 bits.
func newAccessToken() string { return accessTokenPrefix + rand.Text() + rand.Text() }

// give makes raw the client's newest token; the one before it stays.
func (t *AccessTokens) give(c *Client, raw string, now time.Time) {
	ttl := t.TTL
	if ttl == 0 {
		ttl = DefaultAccessTokenTTL
	}
	hash := sha256.Sum256([]byte(raw))
	tokens := []accessToken{{Hash: hash[:], Until: now.Add(ttl).Unix()}}
	if len(c.AccessTokens) > 0 {
		tokens = append(tokens, c.AccessTokens[0])
	}
	c.AccessTokens, c.NewAccessToken = tokens, raw
}

// due tells whether an update is to give a new token.
func (t *AccessTokens) due(c *Client, now time.Time) bool {
	return t != nil && (t.Rotate || len(c.AccessTokens) == 0 || c.AccessTokens[0].Until <= now.Unix())
}

// HasAccessToken tells whether a registration access token is the client's and good.
func (c *Client) HasAccessToken(raw string, now time.Time) bool {
	hash := sha256.Sum256([]byte(raw))
	for _, t := range c.AccessTokens {
		if subtle.ConstantTimeCompare(t.Hash, hash[:]) == 1 && now.Unix() < t.Until {
			return true
		}
	}
	return false
}
