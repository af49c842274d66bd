package registry

import (
	"errors"
	"fmt"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// A client that is registered for one of verify.SecretMethods has a secret of its own,
// which the gateway has given it. It has nothing to do with that of the Credentials, with
// which the gateway is the client at the AS.

// clientSecret is such a secret as the store has it.
type clientSecret struct {
	// Hash is verify.SecretHash of one that the client sends.
	Hash []byte `json:"hash,omitempty"`
	// Sealed is one that it signs with, encrypted: verifying takes the secret itself.
	Sealed []byte `json:"sealed,omitempty"`

	// raw is to be told once, empty for one that was read from the store.
	raw string
}

// newClientSecret makes a secret for the method that c is registered with; nil for a
// method without one.
func (r *Registry) newClientSecret(c *Client) (*clientSecret, error) {
	method := c.Metadata.TokenEndpointAuthMethod
	if !verify.HasSecret(method) {
		return nil, nil
	}
	s := &clientSecret{raw: verify.NewClientSecret()}
	if method != verify.ClientSecretJWT {
		s.Hash = verify.SecretHash(s.raw)
		return s, nil
	}
	var err error
	s.Sealed, err = r.sealer.Seal([]byte(s.raw), secretContext(c))
	return s, err
}

// secretContext is another than that of the Credentials, which are sealed beside it.
func secretContext(c *Client) string { return key("secret", c.Workspace, c.ID) }

// takeSecret makes s the client's only secret; nil for none. A record with one has a
// schema of its own: a version that does not know secrets would lose it with the next
// change of the record.
func (c *Client) takeSecret(s *clientSecret) {
	c.Secret, c.NewSecret, c.Schema = s, "", schema
	if s != nil {
		c.NewSecret, c.Schema = s.raw, schemaWithSecret
	}
}

// completeSecret makes the secret that a change brings: where the client needs one that
// it has not, or where the change is to replace it.
func (ch *change) completeSecret() (err error) {
	before, after := ch.before, ch.client
	if ch.replacesSecret || before.Secret == nil || before.Metadata.TokenEndpointAuthMethod != after.Metadata.TokenEndpointAuthMethod {
		ch.secret, err = ch.r.newClientSecret(after)
	}
	return err
}

// secretAfter is the client's secret after a change; now is the record before it. A POST
// that repeats one may have replaced the secret while the change was under way.
func (ch *change) secretAfter(now *Client) *clientSecret {
	switch {
	case ch.secret != nil:
		return ch.secret
	case verify.HasSecret(ch.client.Metadata.TokenEndpointAuthMethod):
		return ch.r.resealed(now)
	}
	return nil
}

// resealed is the secret that a client keeps. One that was sealed is so with the newest
// key of the keyset, as the Credentials are after every change.
func (r *Registry) resealed(c *Client) *clientSecret {
	secret, err := r.SigningSecret(c)
	if err != nil {
		return c.Secret // it signs nothing, or opens no more
	}
	sealed, err := r.sealer.Seal([]byte(secret), secretContext(c))
	if err != nil {
		return c.Secret
	}
	return &clientSecret{Sealed: sealed}
}

// SecretHash is what the secret that a client sends is compared with; nil for a client
// that sends none.
func (c *Client) SecretHash() []byte {
	if c.Secret == nil {
		return nil
	}
	return c.Secret.Hash
}

// SigningSecret is that of a client with client_secret_jwt. It is never empty.
func (r *Registry) SigningSecret(c *Client) (string, error) {
	if c.Metadata.TokenEndpointAuthMethod != verify.ClientSecretJWT || c.Secret == nil {
		return "", errors.New("registry: client_id " + c.ClientID + " has no secret to sign with")
	}
	secret, err := r.sealer.Open(c.Secret.Sealed, secretContext(c))
	switch {
	case err != nil:
		return "", fmt.Errorf("registry: the secret of registration %s does not open with this keyset: %w", c.ID, err)
	case len(secret) == 0:
		return "", errors.New("registry: the secret of registration " + c.ID + " is empty")
	}
	return string(secret), nil
}
