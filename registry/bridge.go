package registry

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// A client in bridge mode authenticates at the gateway, and the gateway at the AS in
// its place, with a secret that nobody else knows.

// Secret is what the gateway authenticates with as a client in bridge mode.
func (r *Registry) Secret(c *Client) (string, error) {
	own := *c
	if err := r.unseal(&own); err != nil {
		return "", err
	}
	if own.Credentials.ClientSecret == "" {
		return "", errors.New("registry: client_id " + c.ClientID + " has no secret at the authorization server")
	}
	return own.Credentials.ClientSecret, nil
}

func errAssertionUsed() *refusal.Error {
	return refusal.New(refusal.InvalidClient, "client_assertion", "client authentication: client_assertion was used before; sign a new one with a new jti")
}

// UseAssertion uses up a client's assertion, which has been verified: it counts once
// until it expires (RFC 7523 3, jti).
//
// Errors: InvalidClient for one that was used before.
func (r *Registry) UseAssertion(ctx context.Context, c *Client, jti string, expires time.Time) error {
	sum := sha256.Sum256([]byte(jti)) // as long as it likes
	assertion := reservation{
		key:    key("assertion", c.Workspace, c.ID, base64.RawURLEncoding.EncodeToString(sum[:])),
		holder: uuid.NewString(), expires: expires, used: errAssertionUsed,
	}
	now := r.now()
	return r.store.Update(ctx, func(w Writer) error { return assertion.use(w, now) })
}

// ErrNoNewSecret is RotateSecret's at an AS that leaves a client its secret.
var ErrNoNewSecret = errors.New("the authorization server gives this client no new secret, not by an update and not by a repeated registration; it keeps the one that it has")

// ErrNative is RotateSecret's for a client that authenticates at the AS itself.
var ErrNative = errors.New("this client authenticates at the authorization server itself (native): the gateway has no secret of it")

// RotateSecret has the AS give a client in bridge mode a new secret: with an update
// that changes nothing else (RFC 7592 2.2 lets an AS do so) or, with a client_id that
// the gateway chooses, by registering it again. Requests that come meanwhile wait for
// the new one where the AS has refused the old one (NewerSecret).
//
// Errors: ErrNotFound for a workspace that is not configured, or a client that is not
// there; ErrChanged, ErrNative, ErrNoNewSecret; those of Update.
func (r *Registry) RotateSecret(ctx context.Context, workspace, clientID string, act Act) error {
	ws, c, err := r.activeClient(ctx, workspace, clientID)
	if err != nil {
		return err
	}
	if c.Bridge == "" {
		return ErrNative
	}
	ch := r.newChange(ws, clientID, Registration{}, AuditSecretRotated)
	ch.replacesCredentials, ch.audit.Act = true, act
	return forOperator(run(ctx, ch))
}

// newCredentials goes on where an update has left a client its secret.
func (ch *change) newCredentials(ctx context.Context) error {
	c, p := ch.client, ch.answer
	before := c.Credentials.ClientSecret
	if p.Credentials.ClientSecret != before {
		return nil
	}
	if !ch.ws.Provisioner.ChoosesClientID() {
		return ErrNoNewSecret
	}
	c.Credentials = p.Credentials
	if err := ch.r.reattach(ctx, ch.ws, c); err != nil {
		return err
	}
	p.Credentials = c.Credentials
	if p.Credentials.ClientSecret == before {
		return ErrNoNewSecret
	}
	return nil
}

// NewerSecret is a client in bridge mode whose secret the AS has just refused, as it
// is when the change is over that may be the reason; nil when there is no other
// secret. It waits for a change under way, no longer than that may take.
func (r *Registry) NewerSecret(ctx context.Context, c *Client) (*Client, error) {
	before, err := r.Secret(c)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, Deadline)
	defer cancel()
	changed, err := r.store.Watch(ctx, clientKey(c))
	if err != nil {
		return nil, err
	}
	for {
		now, err := r.Client(ctx, c.Workspace, c.ClientID)
		switch {
		case err != nil:
			return nil, err
		case now.Status != Active || now.Bridge == "":
			return nil, nil
		}
		secret, err := r.Secret(now)
		if err != nil {
			return nil, err
		}
		switch {
		case secret != before:
			return now, nil
		case !now.changing(r.now()):
			return nil, nil
		}
		select {
		case _, ok := <-changed:
			if !ok {
				return nil, nil
			}
		case <-ctx.Done():
			return nil, nil
		}
	}
}
