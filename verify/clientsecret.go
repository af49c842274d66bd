package verify

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"slices"
)

// The methods by which a client authenticates with a secret that it shares with this
// server (RFC 6749 2.3.1, OpenID Connect Core 9). FAPI 1 Advanced 5.2.2 has none of them.
const (
	ClientSecretBasic = "client_secret_basic"
	ClientSecretPost  = "client_secret_post"
	ClientSecretJWT   = "client_secret_jwt"
)

// SecretMethods are all of them.
var SecretMethods = []string{ClientSecretBasic, ClientSecretPost, ClientSecretJWT}

// HasSecret tells whether a token_endpoint_auth_method is one of SecretMethods.
func HasSecret(method string) bool { return slices.Contains(SecretMethods, method) }

// SecretAlgorithm is the only one of assertions that are signed with a secret. It is none
// of SupportedAlgorithms: nothing else that comes from outside may be signed so.
const SecretAlgorithm = "HS256"

// NewClientSecret has 32 characters and 192 bits: as many octets as HS256 wants of a key
// (RFC 7518 3.2), fewer than the 36 of DCR 3.2, and none that form-encoding changes (RFC
// 6749 2.3.1), because there are clients that do not encode.
func NewClientSecret() string {
	var random [24]byte
	_, _ = rand.Read(random[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(random[:])
}

// SecretHash is what is kept of a secret that a client sends. A fast hash is enough: of
// 192 random bits nobody finds the right ones by trying.
func SecretHash(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// sentSecrets are those of a request: isBasic for an Authorization header of HTTP Basic,
// basic its secret, form the client_secret of the form; empty for none.
type sentSecrets struct {
	isBasic     bool
	basic, form string
	// readings are the client_id of HTTP Basic, decoded and not.
	readings []string
}

// names tells whether the request names this client and no other. Some servers decode the
// client_id of HTTP Basic, as RFC 6749 2.3.1 says, and others do not, so that it names two
// clients to them. Of one that authenticates here by it either reading is the client: no
// server reads it after the gateway.
func (c *ClientAuthentication) names(a *Authenticator) bool {
	if len(c.ClientIDs) == 1 || a.Method != ClientSecretBasic || !slices.Contains(c.secrets.readings, a.ClientID) {
		return len(c.ClientIDs) == 1
	}
	return !slices.ContainsFunc(c.ClientIDs, func(id string) bool { return !slices.Contains(c.secrets.readings, id) })
}

// checkSecret authenticates a client by the secret that it sends, in the one place that
// it is registered for. Its certificate comes first, so that nobody else can even guess.
func (c *ClientAuthentication) checkSecret(a *Authenticator, cert *Certificate) error {
	secret, place, elsewhere := c.secrets.basic, "in Authorization: Basic", c.secrets.form != ""
	if a.Method == ClientSecretPost {
		secret, place, elsewhere = c.secrets.form, "as client_secret in the body", c.secrets.isBasic
	}
	if secret == "" || elsewhere || c.Assertion {
		return refuseClient("this client is registered for %s; send its secret %s, and no other credential", a.Method, place)
	}
	if err := a.checkBeside(cert); err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(SecretHash(secret), a.SecretHash) != 1 {
		return refuseClient("this is not the secret of the client; send the client_secret of the newest registration answer that has one")
	}
	return nil
}

// verifyWithSecret is VerifiedBy for HS256 and the secret of one client.
func (t *JWS) verifyWithSecret(secret string) error {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(t.signed())
	if t.Algorithm != SecretAlgorithm || secret == "" || !hmac.Equal(mac.Sum(nil), t.signature) {
		return errors.New("has a signature that the client's secret does not make; sign with the client_secret of the newest registration answer that has one")
	}
	return nil
}
