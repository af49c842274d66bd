package registry

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// What a POST does that repeats another one: the same software and certificate, the
// same metadata. A TPP whose answer was lost sends one.
const (
	ReregisterAllow  = "allow"  // it makes another client
	ReregisterReturn = "return" // it is answered with the registration that is there
	ReregisterUpdate = "update" // as return; with other metadata it updates that registration
	ReregisterReject = "reject" // it is refused
)

// ReregisterModes are all of them.
var ReregisterModes = []string{ReregisterAllow, ReregisterReturn, ReregisterUpdate, ReregisterReject}

// DefaultReregisterWindow is how long a registration is remembered for its repetition.
const DefaultReregisterWindow = 24 * time.Hour

// Reregister is what a workspace makes of repeated POSTs.
type Reregister struct {
	// Mode is one of the four. Default: ReregisterAllow.
	Mode string
	// Window is how long after the registration. Default: DefaultReregisterWindow.
	Window time.Duration
}

// Repeats tells whether a POST may repeat a registration, and come with what that has
// used up.
func (m Reregister) Repeats() bool { return m.Mode == ReregisterReturn || m.Mode == ReregisterUpdate }

func (m Reregister) window() time.Duration {
	if m.Window == 0 {
		return DefaultReregisterWindow
	}
	return m.Window
}

func digest(values ...any) (string, error) {
	text, err := json.Marshal(values)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

// repeatReservation remembers a registration for its repetition; nil where repeated
// POSTs are nothing special. It is a reservation like those of the token and the
// jti: while the first POST is at work, it tells the others so.
func (r *Registry) repeatReservation(ws Workspace, c *Client, now time.Time) (*reservation, error) {
	if !ws.Reregister.Repeats() && ws.Reregister.Mode != ReregisterReject {
		return nil, nil
	}
	metadata := c.MetadataDigest
	if ws.Reregister.Mode == ReregisterUpdate {
		metadata = "" // one registration whatever it asks for
	}
	name, err := digest(c.Directory, c.SoftwareID, c.Thumbprint, metadata)
	if err != nil {
		return nil, err
	}
	return &reservation{key: key("repeat", ws.Name, name), holder: c.ID, expires: now.Add(ws.Reregister.window()), used: errRegistered}, nil
}

func errRegistered() *refusal.Error {
	return refusal.New(refusal.InvalidClientMetadata, "reregister", "software_statement: this software has registered these metadata with this certificate before; use that client, or delete it first")
}

// underWay is a POST that waits for another one at work; key is written when that ends, and
// until is when it ends by itself, zero for a change of the client.
type underWay struct {
	key   string
	until time.Time
}

func (u *underWay) Error() string { return "registry: the same registration is under way" }

// repeated is the client that an earlier POST has made; nil for a POST that is the
// first one. In ReregisterReject there is none: the reservation itself refuses.
func repeated(w Writer, ws Workspace, repeat *reservation, now time.Time) (*Client, error) {
	if repeat == nil {
		return nil, nil
	}
	s, err := repeat.read(w)
	switch {
	case err != nil || s == nil || !s.lasts(now):
		return nil, err
	case !s.Final && ws.Reregister.Mode == ReregisterReject:
		return nil, nil
	case !s.Final:
		return nil, &underWay{repeat.key, time.Unix(s.Until, 0)}
	}
	c, err := loadClient(w, ws.Name, s.Holder)
	switch {
	case errors.Is(err, ErrNotFound), err == nil && !c.Registered():
		return nil, w.Delete(repeat.key) // deleted since: this is a first one again
	case err != nil || ws.Reregister.Mode == ReregisterReject:
		return nil, err
	}
	return c, refuseSuspended(w, c)
}

// reuse uses up what a repeated POST came with, for the registration that is there.
// What that has used up itself may come again: the answer to it was lost. revoke is
// put for a token that was not used up yet. fresh tells that something was not.
func reuse(w Writer, c *Client, in Registration, holds reservations, revoke *work, now time.Time) (fresh bool, err error) {
	first := false
	for _, h := range holds {
		s, err := h.read(w)
		if err != nil {
			return false, err
		}
		if s != nil && s.Final && s.Holder == c.ID && s.lasts(now) {
			continue
		}
		if h.token && in.Spent != nil {
			return false, in.Spent // by another registration, or not at all
		}
		first, fresh = first || h.token, true
		h.holder = c.ID
		if err := h.use(w, now); err != nil {
			return false, err
		}
	}
	if !first {
		return fresh, nil
	}
	return fresh, revoke.put(w)
}

// TokenSpent tells whether exactly this token has been used up. The AS, which was
// told to revoke it, does not know it any more; a POST that repeats a registration
// may come with it all the same (Registration.Spent).
func (r *Registry) TokenSpent(ctx context.Context, workspace, raw string) (spent bool, err error) {
	h := exactToken(workspace, "", &verify.AccessToken{Raw: raw})
	err = r.store.View(ctx, func(v Reader) error {
		s, err := h.read(v)
		spent = s != nil && s.Final && s.lasts(r.now())
		return err
	})
	return spent, err
}

// awaitFirst registers. Of several POSTs that are the same the first is at work, and
// the others wait for what comes of it.
func (r *Registry) awaitFirst(ctx context.Context, ws Workspace, in Registration) (*Client, error) {
	ctx, cancel := context.WithTimeout(ctx, Deadline)
	defer cancel()
	watched, changed := "", (<-chan struct{})(nil)
	for {
		c, err := r.register(ctx, ws, in)
		var first *underWay
		if !errors.As(err, &first) {
			return c, err
		}
		if watched != first.key { // and then once more, for what happened before
			if changed, err = r.store.Watch(ctx, first.key); err != nil {
				return nil, err
			}
			watched = first.key
			continue
		}
		select {
		case _, ok := <-changed:
			if !ok && ctx.Err() == nil {
				return nil, ErrClosed
			}
		case <-ctx.Done():
		}
		switch {
		case ctx.Err() == nil:
		case first.until.IsZero():
			return nil, errChanging()
		default:
			return nil, reserved("reregister", first.until, r.now())
		}
	}
}

// repeatKnown answers a POST that repeats a registration with that one. What was told
// once went with the answer that was lost: the client gets another access token and
// another secret, and the secret before it ends.
func (n *creation) repeatKnown(w Writer) error {
	known := n.known
	fresh, err := reuse(w, known, n.in, n.uses, n.revoke, n.began)
	if err != nil {
		return err
	}
	secret, err := n.r.newClientSecret(known)
	if err != nil {
		return err
	}
	if fresh || secret != nil {
		err = n.r.putAudit(w, n.ws, AuditEntry{Change: AuditRepeated, Origin: n.in.Origin}, known)
	}
	gives := n.token != "" || secret != nil
	if err == nil && (fresh || gives) {
		err = charge(w, n.ws, n.payer, bookkeeping, n.began)
	}
	if err != nil || !gives {
		return err
	}
	if n.token != "" {
		n.ws.AccessTokens.give(known, n.token, n.began)
	}
	known.takeSecret(secret)
	return putClient(w, known)
}

// updatesKnown tells whether a POST that repeats a registration comes with other metadata,
// and these are to replace those of the registration.
func (n *creation) updatesKnown() bool {
	return n.ws.Reregister.Mode == ReregisterUpdate && n.known.MetadataDigest != n.metadataDigest
}

// updateKnown is an update of the registration that is there. What the POST comes with
// must be new: only a repetition, which has the same metadata, may use again what was
// used up.
func (n *creation) updateKnown(ctx context.Context) (*Client, error) {
	known := n.known
	ch := n.r.newChange(n.ws, known.ClientID, n.in, AuditUpdated)
	ch.replacesSecret = true
	ch.check = func(now *Client) error {
		if now.MetadataDigest == n.metadataDigest {
			return errNothingToDo
		}
		return nil
	}
	for _, h := range registrationReservations(n.ws.Name, known.ID, n.in) {
		h.fresh = true
		ch.holds = append(ch.holds, h)
	}
	repeat := *n.repeat
	repeat.holder = known.ID
	ch.holds = append(ch.holds, repeat)
	var err error
	if ch.revoke, err = n.r.revocationOf(n.ws, known, n.in.Token); err != nil {
		return nil, err
	}
	c, err := ch.replaceMetadata(ctx)
	switch {
	case errors.Is(err, errNothingToDo):
		return n.r.register(ctx, n.ws, n.in) // the same POST was faster
	case errors.Is(err, errHeld):
		return nil, &underWay{key: clientKey(known)}
	}
	return c, err
}
