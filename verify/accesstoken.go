package verify

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// ScopeRegister is the scope of a registration token.
const ScopeRegister = "dcr_register"

// MaxToken is the length in bytes of an access token, at most.
const MaxToken = 8 << 10

// TokenMembers are what the AS says of a token, or answers with one. Whatever reads them
// takes one value or another: where there are several, none may be believed.
var TokenMembers = []string{"active", "client_id", "azp", "sub", "scope", "cnf", "exp", "iat", "iss", "aud", "jti", "access_token"}

// AccessToken is an access token that the AS has confirmed, by introspection
// (RFC 7662) or by its signature (RFC 9068).
type AccessToken struct {
	// Raw is the token itself. Never logged.
	Raw string
	// ID is jti, may be empty.
	ID string
	// ClientID is client_id, else azp, else sub; never aud.
	ClientID string
	// Subject is sub, may be empty.
	Subject string
	// Scopes are the whole tokens of scope.
	Scopes []string
	// Issued is iat; zero when the token has none that can be read.
	Issued time.Time
	// Expires is exp; zero when the token has none.
	Expires time.Time
	// Thumbprint is cnf.x5t#S256: the certificate it is bound to. Empty when unbound.
	Thumbprint string
	// Claims are all of them, of the introspection answer or the JWT.
	Claims strictjson.Object
}

// BearerToken takes the token from the Authorization header fields (RFC 6750 2.1).
//
// Errors: NoToken, InvalidToken.
func BearerToken(authorization []string) (string, error) {
	if len(authorization) == 0 {
		return "", refusal.New(refusal.NoToken, "access_token", "access token: missing; send Authorization: Bearer with a token of this authorization server")
	}
	scheme, token, _ := strings.Cut(authorization[0], " ")
	token = strings.TrimLeft(token, " ")
	if len(authorization) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return "", badToken(oneBearer)
	}
	return token, checkTokenText(token)
}

const oneBearer = "malformed; send exactly one Authorization: Bearer header"

// checkTokenText refuses what is no token, or has several readings.
func checkTokenText(token string) error {
	if token == "" || len(token) > MaxToken || strings.Trim(token, tokenCharacters) != "" {
		return badToken(oneBearer)
	}
	// Some ASs read a.b.c and a.b.c.. as one token. Only a JWE may have an empty
	// segment: its second, the encrypted key.
	segments := strings.Split(token, ".")
	if len(segments) == 5 && segments[1] == "" {
		segments[1] = "-"
	}
	if slices.Contains(segments, "") {
		return badToken("malformed; it has an empty segment")
	}
	return nil
}

// RFC 6750 2.1, b64token.
const tokenCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/="

func badToken(why string) *refusal.Error {
	return refusal.New(refusal.InvalidToken, "access_token", "access token: %s", refusal.Advise(errors.New(why), "get a new one from this authorization server"))
}

// distinctive is the length of a text that no two tokens share by chance: 128 bits
// in base64.
const distinctive = 22

// Keys name a token in the store. It has several, because it has several spellings
// that an AS may find active, and one token must not register twice: whoever took
// any of them has taken the token. The first is the token as it is spelt. They are
//
//   - the whole token, without regard to case (databases compare so);
//   - what comes before the last segment of a JWT or JWE, because the last
//     characters of a signature can be spelt in several ways;
//   - of an opaque token its last segment, as text and decoded: some ASs look for
//     that alone, some decode it leniently;
//   - its jti, which some ASs take in place of the JWT that carries it.
func (t *AccessToken) Keys() []string {
	texts := []string{t.Raw}
	segments := strings.Split(t.Raw, ".")
	last := segments[len(segments)-1]
	if rest := strings.TrimSuffix(t.Raw, "."+last); len(segments) > 2 {
		if len(rest) >= distinctive {
			texts = append(texts, rest)
		}
		// Only names the token; the AS has confirmed it, and nothing else is read from it.
		if claims, err := UnverifiedAnswer([]byte(strings.Join(segments[:3], "."))); err == nil {
			if jti, _, err := claims.String("jti"); err == nil {
				texts = append(texts, jti)
			}
		}
	} else if len(last) >= distinctive {
		texts = append(texts, last)
		plain := strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(last)
		if decoded, err := base64.RawURLEncoding.DecodeString(plain); err == nil {
			texts = append(texts, base64.RawURLEncoding.EncodeToString(decoded))
		}
	}
	texts = append(texts, t.ID)
	var keys []string
	for _, text := range texts {
		sum := sha256.Sum256([]byte(strings.ToLower(text)))
		if k := hex.EncodeToString(sum[:]); text != "" && !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	return keys
}

// ReadAccessToken reads the claims of an access token that the AS has confirmed, in an
// introspection answer or by its signature: both have the same names.
//
// Errors: InvalidToken for one that is bound to something else than a certificate; else a
// plain one that names the claim which the AS has written so that it cannot be read.
func ReadAccessToken(raw string, claims strictjson.Object) (*AccessToken, error) {
	t := &AccessToken{Raw: raw, Claims: claims}
	var err error
	if t.ClientID, err = TokenClient(claims); err != nil {
		return nil, err
	}
	if t.Subject, _, err = claims.String("sub"); err != nil {
		return nil, fmt.Errorf("sub %w", err)
	}
	if t.ID, _, err = claims.String("jti"); err != nil {
		return nil, fmt.Errorf("jti %w", err)
	}
	scope, _, err := claims.String("scope")
	if err != nil { // some servers send a list
		list, _, listErr := claims.Strings("scope")
		if listErr != nil {
			return nil, fmt.Errorf("scope %w", err)
		}
		scope = strings.Join(list, " ")
	}
	t.Scopes = strings.FieldsFunc(scope, func(r rune) bool { return r == ' ' }) // RFC 6749 3.3
	if t.Expires, _, err = claims.NumericDate("exp"); err != nil {
		return nil, fmt.Errorf("exp %w", err)
	}
	t.Issued = IssuedAt(claims)
	if t.Thumbprint, err = boundTo(claims); err != nil {
		return nil, err
	}
	return t, nil
}

// boundTo is cnf.x5t#S256 (RFC 8705 3.1), empty for a token that is bound to nothing.
func boundTo(claims strictjson.Object) (thumbprint string, err error) {
	cnf, _, err := claims.Object("cnf")
	if err != nil {
		return "", fmt.Errorf("cnf %w", err)
	}
	thumbprint, ok, err := cnf.String("x5t#S256")
	switch {
	case err != nil:
		return "", fmt.Errorf("cnf: x5t#S256 %w", err)
	case ok && thumbprint == "":
		return "", errors.New("cnf: x5t#S256 is empty")
	case !ok && len(cnf.Members()) > 0:
		return "", badToken("it is bound to something else than a certificate")
	}
	return thumbprint, nil
}

// TokenClient is the client that an access token belongs to, empty when its claims
// name none.
func TokenClient(claims strictjson.Object) (string, error) {
	for _, name := range []string{"client_id", "azp", "sub"} {
		v, _, err := claims.String(name)
		if err != nil {
			return "", fmt.Errorf("%s %w", name, err)
		}
		if v != "" {
			return v, nil
		}
	}
	return "", nil
}

// IssuedAt is iat; zero when there is none that can be read. A fraction of a second is
// rounded down: the moment is compared with an Epoch and nothing else.
func IssuedAt(claims strictjson.Object) time.Time {
	at, ok, err := claims.NumericDate("iat")
	if !ok || err != nil {
		return time.Time{}
	}
	return time.Unix(at.Unix(), 0)
}

// NamesClient tells whether claims name the client by a claim that is for that, and not
// by sub, which may be a person.
func NamesClient(claims strictjson.Object) bool { return claims.Has("client_id") || claims.Has("azp") }

// CheckRegistration accepts t as registration token: not expired, the whole
// scope dcr_register, the certificate it is bound to. cert is nil when no
// certificate is demanded.
//
// Errors: InvalidToken, InsufficientScope.
func (t *AccessToken) CheckRegistration(cert *Certificate, now time.Time) error {
	if err := t.CheckUse(cert, now); err != nil {
		return err
	}
	if !slices.Contains(t.Scopes, ScopeRegister) {
		return refusal.New(refusal.InsufficientScope, "access_token", "access token: it lacks the scope %s; ask for it with scope=%s", ScopeRegister, ScopeRegister)
	}
	return nil
}

// CheckManagement accepts t as management token of the client: its own
// client-credentials token, no person's, with the certificate it is bound to.
//
// Errors: InvalidToken, the same for every reason.
func (t *AccessToken) CheckManagement(clientID string, cert *Certificate, now time.Time) error {
	err := t.CheckUse(cert, now)
	switch {
	case err != nil:
		return NotYours(err)
	case clientID == "" || t.ClientID != clientID:
		return NotYours(errors.New("another client's token"))
	case t.Subject != "" && t.Subject != clientID:
		return NotYours(errors.New("a person's token"))
	}
	return nil
}

// NotYours is the one answer for every token that may not manage the client of
// the address, so that nobody learns which ids exist. cause is for the log.
func NotYours(cause error) *refusal.Error {
	return badToken("not valid for this registration; use a client credentials token of the client itself").Because(cause)
}

// CheckUse is what every use of a token needs: that it has not expired, and that it
// comes with the certificate that it is bound to.
//
// Errors: InvalidToken.
func (t *AccessToken) CheckUse(cert *Certificate, now time.Time) error {
	switch {
	case !t.Expires.IsZero() && !t.Expires.After(now):
		return badToken("expired")
	case t.Thumbprint != "" && (cert == nil || cert.Thumbprint != t.Thumbprint):
		return badToken("bound to another certificate; connect with the one that it was issued to")
	}
	return nil
}
