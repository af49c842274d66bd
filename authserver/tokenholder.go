package authserver

import (
	"context"
	"crypto/sha256"
	"slices"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// TokenHolder is whose access token it is, as far as that can be known.
type TokenHolder struct {
	// ClientIDs are the client that the token belongs to. Where the AS does not say, those
	// that a JWT names itself: such a token is refused for them, and not accepted for them.
	ClientIDs []string
	// JTI is the token's, may be empty.
	JTI string
	// Known: the AS has said which client it is, or its signature does.
	Known bool
	// Named: that is by a claim that names clients alone, and not by sub, which may be a
	// person.
	Named bool
	// Issued is iat as the AS or the signature has it; zero where neither does.
	Issued time.Time
	// Inactive: the AS says that the token is not good.
	Inactive bool
}

// What is remembered of tokens. A token's client never changes, so that it is kept until
// others need the place: about 400 bytes each, 26 MB in all. What is not good, or nobody
// confirms, is remembered for long enough that its repetition costs the AS nothing,
// and apart, so that a stranger's inventions displace nobody's tokens.
const (
	maxHolders   = 1 << 16
	maxDoubtful  = 1 << 12
	doubtfulFor  = 10 * time.Second
	maxHolderIDs = 256 // the length of what is remembered of one token
)

// tokenHash names a token: the SHA-256 of the whole of it. Another spelling of a JWT is
// another token here, so that none is taken for one of another client.
type tokenHash [sha256.Size]byte

// holders remembers the holders of tokens.
type holders struct {
	flight   singleflight.Group
	known    *lru.Cache[tokenHash, TokenHolder]
	doubtful *lru.Cache[tokenHash, doubtful]
}

type doubtful struct {
	TokenHolder
	until time.Time
}

func newHolders() (*holders, error) {
	known, err := lru.New[tokenHash, TokenHolder](maxHolders)
	if err != nil {
		return nil, err
	}
	inDoubt, err := lru.New[tokenHash, doubtful](maxDoubtful)
	return &holders{known: known, doubtful: inDoubt}, err
}

// remembered is what is known of a token without asking.
func (h *holders) remembered(k tokenHash, now time.Time) (TokenHolder, bool) {
	if t, ok := h.known.Get(k); ok {
		return t, true
	}
	d, ok := h.doubtful.Get(k)
	return d.TokenHolder, ok && now.Before(d.until)
}

func (h *holders) remember(k tokenHash, t TokenHolder, confirmed bool, now time.Time) {
	length := len(t.JTI)
	for _, id := range t.ClientIDs {
		length += len(id)
	}
	switch {
	case length > maxHolderIDs:
	case confirmed:
		h.known.Add(k, t)
	default:
		h.doubtful.Add(k, doubtful{t, now.Add(doubtfulFor)})
	}
}

// Introspects tells whether the AS can be asked about access tokens.
func (s *Server) Introspects(m *Metadata) bool {
	return s.ClientID != "" && m.Path("introspection_endpoint") != ""
}

// TokenHolder finds out which client a token belongs to. The AS is asked once per token,
// by all who wait for the answer together. Whether the token is good is for others to
// find out: it may end while its holder is remembered.
//
// Errors: Unavailable.
func (s *Server) TokenHolder(ctx context.Context, raw string) (TokenHolder, error) {
	k := tokenHash(sha256.Sum256([]byte(raw)))
	if t, ok := s.holders.remembered(k, s.Now()); ok {
		return t, nil
	}
	m, err := s.Metadata(ctx)
	if err != nil {
		return TokenHolder{}, err
	}
	// The end of one request must not be that of the others who wait.
	done := s.holders.flight.DoChan(string(k[:]), func() (any, error) {
		if t, ok := s.holders.remembered(k, s.Now()); ok { // since the look above
			return t, nil
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Timeout)
		defer cancel()
		t, confirmed, err := s.findHolder(ctx, m, raw)
		if err == nil {
			s.holders.remember(k, t, confirmed, s.Now())
		}
		return t, err
	})
	select {
	case <-ctx.Done():
		return TokenHolder{}, unavailable(ctx.Err())
	case r := <-done:
		return r.Val.(TokenHolder), r.Err
	}
}

// findHolder asks the AS, or looks at the signature, in the order in which the gateway
// decides on access tokens. confirmed: the AS has said whose the token is, and will not say
// anything else another time.
func (s *Server) findHolder(ctx context.Context, m *Metadata, raw string) (t TokenHolder, confirmed bool, err error) {
	if s.Validate == JWT || !s.Introspects(m) {
		t, err = s.signedHolder(ctx, m, raw)
		if err != nil || t.Known || !s.Introspects(m) {
			return t, t.Known, err
		}
	}
	claims, said, err := s.askAbout(ctx, m, raw, s.holding)
	switch {
	case err != nil:
		return TokenHolder{}, false, err
	case said == tokenUnsupported:
		t, err = s.signedHolder(ctx, m, raw)
		return t, t.Known, err
	case said == tokenInactive:
		return TokenHolder{Inactive: true}, false, nil
	}
	t = TokenHolder{Known: verify.NamesClient(claims), Named: verify.NamesClient(claims), Issued: verify.IssuedAt(claims)}
	if err := t.read(claims); err != nil {
		return t, false, unavailable(s.unusable(introspectionAnswer, err))
	}
	// RFC 7662 2.2 does not demand client_id, and sub may be a person.
	if !claims.Has("client_id") {
		t.readUnverified(raw)
	}
	return t, t.Known, nil
}

// signedHolder is the holder of a JWT as its signature proves.
func (s *Server) signedHolder(ctx context.Context, m *Metadata, raw string) (t TokenHolder, err error) {
	if m.keys != nil {
		access, err := s.checkJWT(ctx, m, raw, nil) // whose it is, for whatever audience
		switch {
		case err == nil && access.ClientID != "":
			return TokenHolder{ClientIDs: []string{access.ClientID}, JTI: access.ID, Known: true, Named: verify.NamesClient(access.Claims), Issued: access.Issued}, nil
		case err != nil && refusal.From(err).Kind == refusal.Unavailable:
			return t, err
		}
	}
	t.readUnverified(raw)
	return t, nil
}

// read adds what claims say.
func (t *TokenHolder) read(claims strictjson.Object) error {
	id, err := verify.TokenClient(claims)
	if err != nil {
		return err
	}
	if id != "" && !slices.Contains(t.ClientIDs, id) {
		t.ClientIDs = append(t.ClientIDs, id)
	}
	if jti, _, err := claims.String("jti"); err == nil && t.JTI == "" {
		t.JTI = jti
	}
	return nil
}

// readUnverified adds what a JWT says of itself.
func (t *TokenHolder) readUnverified(raw string) {
	if claims, err := verify.UnverifiedAnswer([]byte(raw)); err == nil {
		_ = t.read(claims) // what cannot be read names nobody
	}
}
