package registry

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"github.com/google/uuid"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// Presented is the access token of a request, nil for one of the gateway's own, and
// the certificate that it came with, nil where none was demanded.
type Presented struct {
	Token       *verify.AccessToken
	Certificate *verify.Certificate
	// Bridge is that of the client that the token belongs to (Client.Bridge).
	Bridge string
	// Organisation is whose request it is: Client.Organisation, or whoever has the
	// certificate. Default: nobody knows.
	Organisation string
	// Origin is for the audit trail. Default: nothing.
	Origin Origin
}

// revocation is how the AS is told; the zero value where there is nothing to tell.
func (p Presented) revocation() Revocation {
	if p.Token == nil {
		return Revocation{}
	}
	v := Revocation{Token: p.Token.Raw, Organisation: p.Organisation, Registration: slices.Contains(p.Token.Scopes, verify.ScopeRegister)}
	if p.Certificate != nil && p.Certificate.Leaf != nil && !v.Registration {
		v.ClientID, v.Certificate = p.Token.ClientID, p.Certificate.Leaf.Raw
	}
	if p.Bridge != "" && !v.Registration {
		v.ClientID, v.Certificate, v.Bridge = p.Token.ClientID, nil, p.Bridge
	}
	return v
}

// EndToken ends a token that was presented for a registration that is not its
// client's, or not there: the gateway takes it no more, and the AS is told to
// revoke it (RFC 7592 2.1). A token that is ended already costs no write.
func (r *Registry) EndToken(ctx context.Context, ws Workspace, p Presented) error {
	holder := "ended " + uuid.NewString()
	holds := tokenReservations(ws.Name, holder, p.Token)
	revoke, err := r.revocationEntry(ws, p.Token, p.revocation())
	if err != nil {
		return err
	}
	now := r.now()
	err = r.store.Update(ctx, func(w Writer) error {
		for _, h := range holds {
			if err := h.use(w, now); err != nil {
				return err
			}
		}
		return revoke.put(w)
	})
	refused := (*refusal.Error)(nil)
	if errors.Is(err, errReserved) || errors.As(err, &refused) && refused.Kind == refusal.InvalidToken {
		return nil // registering a client just now, or ended already: used up either way
	}
	return err
}

// TokenEnded tells whether a token is used up, as a registration token or by EndToken.
func (r *Registry) TokenEnded(ctx context.Context, workspace string, t *verify.AccessToken) (ended bool, err error) {
	now := r.now()
	err = r.store.View(ctx, func(v Reader) error {
		for _, h := range tokenReservations(workspace, "", t) {
			s, err := h.read(v)
			if err != nil {
				return err
			}
			if ended = s != nil && s.Final && s.lasts(now); ended {
				return nil
			}
		}
		return nil
	})
	return ended, err
}

// revocationOf is the entry that ends a registration token which has registered, nil
// where there is no token or nobody to revoke it as.
func (r *Registry) revocationOf(ws Workspace, c *Client, t *verify.AccessToken) (*work, error) {
	if t == nil {
		return nil, nil
	}
	return r.revocationEntry(ws, t, Revocation{Token: t.Raw, Registration: true, Organisation: c.Organisation()})
}

// revocationEntry is the entry that ends a token, nil where there is nobody to revoke it as.
func (r *Registry) revocationEntry(ws Workspace, t *verify.AccessToken, v Revocation) (*work, error) {
	if !ws.Provisioner.Revokes(v) {
		return nil, nil
	}
	k := r.newWork(workRevoke, ws.Name)
	return k, r.carryToken(k, t, v)
}

// carryToken seals a token into an entry.
func (r *Registry) carryToken(k *work, t *verify.AccessToken, v Revocation) (err error) {
	if k.Token, err = r.sealer.Seal([]byte(v.Token), key("revoke", k.ID)); err != nil {
		return err
	}
	k.Org, k.IsRegistration, k.ClientID, k.Certificate, k.Bridge = v.Organisation, v.Registration, v.ClientID, v.Certificate, v.Bridge
	if !t.Expires.IsZero() {
		k.Until = t.Expires.Unix()
	}
	return nil
}

// revoke ends the entry's token at the AS.
func (r *Registry) revoke(ctx context.Context, ws Workspace, k work) error {
	token, err := r.sealer.Open(k.Token, key("revoke", k.ID))
	if err != nil {
		return err
	}
	v := Revocation{Token: string(token), Registration: k.IsRegistration, ClientID: k.ClientID, Certificate: k.Certificate, Bridge: k.Bridge, Organisation: k.Org}
	if v.Bridge == "" {
		return ws.Provisioner.Revoke(ctx, v)
	}
	if err := r.store.View(ctx, func(from Reader) error { return r.bridged(from, k, &v) }); err != nil {
		return err
	}
	return ws.Provisioner.Revoke(ctx, v)
}

// bridged fills in as whom a token of a client in bridge mode is revoked. A client
// that is gone meanwhile is nobody to be: then the gateway revokes as itself.
func (r *Registry) bridged(from Reader, k work, v *Revocation) error {
	registration := k.Registration // of a deletion, whose client_id names no record any more
	if registration == "" {
		id, err := get(from, key("id", k.Workspace, k.ClientID))
		if err != nil {
			return err
		}
		registration = string(id)
	}
	v.ClientID, v.Bridge = "", ""
	c, err := loadClient(from, k.Workspace, registration)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err == nil {
		err = r.unseal(c)
	}
	if err == nil && c.Credentials.Bridge != "" {
		v.ClientID, v.Bridge, v.ClientSecret = c.ClientID, c.Credentials.Bridge, c.Credentials.ClientSecret
	}
	return err
}

// revokeAttempts is how often a deletion waits for the revocation that must come
// first: afterwards a client that lives on at the AS is the greater harm.
const revokeAttempts = 3

// revokeFirst ends the token that asked for a deletion. Real ASs keep the tokens of
// a deleted client alive, and then nobody can be the client any more.
func (r *Registry) revokeFirst(ctx context.Context, ws Workspace, k work) error {
	if len(k.Token) == 0 || k.ended(r.now()) {
		return nil
	}
	err := r.revoke(ctx, ws, k)
	if err == nil {
		return nil
	}
	if !k.refused(err) && k.Attempts < revokeAttempts {
		return err
	}
	r.log.Info("cannot revoke the token of a deleted client at the authorization server", slog.String("registration", k.Registration), slog.Any("error", err))
	return nil
}
