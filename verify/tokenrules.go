package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// TokenRules says which JWT access tokens are taken without asking the AS.
type TokenRules struct {
	// Issuer is the exact iss.
	Issuer string
	// Audiences: aud must hold one of them. Default: aud is not looked at; only for
	// callers that look at it themselves.
	Audiences []string
	// Algorithms. Default: DefaultAlgorithms.
	Algorithms []string
	// Types are the allowed typ values, in lower case and without application/, which goes
	// without saying. Default: at+jwt (RFC 9068 2.1).
	Types []string
	// Keys is the AS's JWKS.
	Keys KeySource
}

// DefaultTokenTypes is the typ of RFC 9068 2.1.
var DefaultTokenTypes = []string{"at+jwt"}

// Claims that only an ID token has (OpenID Core 2).
var idTokenClaims = []string{"nonce", "at_hash", "c_hash", "auth_time"}

// VerifyAccessToken verifies a JWT access token locally (RFC 9068 4).
//
// Errors: InvalidToken, Unavailable.
func VerifyAccessToken(ctx context.Context, raw string, rules *TokenRules, now time.Time) (*AccessToken, error) {
	algorithms, types := rules.Algorithms, rules.Types
	if len(algorithms) == 0 {
		algorithms = DefaultAlgorithms
	}
	if len(types) == 0 {
		types = DefaultTokenTypes
	}
	jws, err := splitToken([]byte(raw), algorithms, types)
	if err != nil {
		return nil, badToken("not a token of this authorization server").Because(err)
	}
	if err := jws.VerifyWith(ctx, rules.Keys); err != nil {
		if unavailable := (*refusal.Error)(nil); errors.As(err, &unavailable) {
			return nil, err
		}
		return nil, badToken("not a token of this authorization server").Because(err)
	}
	if err := jws.Claims.Ambiguous(TokenMembers); err != nil {
		return nil, rules.unreadable(err)
	}
	for _, name := range idTokenClaims {
		if jws.Claims.Has(name) {
			return nil, badToken("an ID token, not an access token")
		}
	}
	switch iss, _, err := jws.Claims.String("iss"); {
	case err != nil:
		return nil, rules.unreadable(fmt.Errorf("iss %w", err))
	case iss != rules.Issuer:
		return nil, badToken("of another issuer")
	}
	if len(rules.Audiences) > 0 {
		if err := rules.checkAudience(jws.Claims); err != nil {
			return nil, err
		}
	}
	t, err := ReadAccessToken(raw, jws.Claims)
	if err != nil {
		return nil, rules.unreadable(err)
	}
	if t.Expires.IsZero() || !t.Expires.After(now) {
		return nil, badToken("expired, or without exp")
	}
	return t, nil
}

// unreadable is a token of the AS, by its signature, that is written so that it cannot be
// read: nothing that whoever presents it could mend.
func (r *TokenRules) unreadable(err error) error {
	if full := (*refusal.Error)(nil); errors.As(err, &full) {
		return err
	}
	return refusal.New(refusal.Unavailable, "authorization_server", "the authorization server's access token cannot be read; try again later").
		Because(fmt.Errorf("a token of %s: %w", r.Issuer, err))
}

// longestAudience is how much of a token's aud the log shows, for the operator to copy.
const longestAudience = 300

// checkAudience keeps out a token for another resource server (RFC 9068 4). The log, and
// not the TPP, is told which: the operator decides what counts.
func (r *TokenRules) checkAudience(claims strictjson.Object) error {
	audiences, err := stringOrList(claims, "aud")
	switch {
	case err != nil && claims.Has("aud"):
		return r.unreadable(fmt.Errorf("aud %w", err))
	case err != nil:
		return badToken("without an audience; get a new one for this authorization server").
			Because(fmt.Errorf("aud %w; the authorization server must name one of %s in its tokens (RFC 9068 2.2)", err, refusal.Quote(strings.Join(r.Audiences, " "))))
	}
	if slices.ContainsFunc(audiences, func(a string) bool { return slices.Contains(r.Audiences, a) }) {
		return nil
	}
	if len(audiences) == 0 {
		return badToken("for another audience").Because(errors.New("aud is an empty list"))
	}
	return badToken("for another audience").
		Because(fmt.Errorf("aud %s is none of %s; if such tokens are for this gateway, write in authorization_server: token_audience %s",
			refusal.QuoteUpTo(strings.Join(audiences, " "), longestAudience), refusal.QuoteUpTo(strings.Join(r.Audiences, " "), longestAudience), refusal.QuoteUpTo(audiences[0], longestAudience)))
}
