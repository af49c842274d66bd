package registry

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"
)

// attempt is a registration at work: what its first transaction writes, and what the
// last one needs of that.
type attempt struct {
	in  Registration
	now time.Time
	// client is the pending one, and pending its record: any other that the last
	// transaction finds has been in an undo's hands.
	client   *Client
	pending  []byte
	document document
	// uses are what the request uses up; holds are these and repeat, all that is reserved.
	uses, holds []reservation
	// repeat is nil where repetitions are not looked for.
	repeat *reservation
	// undo is to go once it is done, and revoke to come, nil where no token is to end.
	undo   work
	revoke *work
	// token is a registration access token, empty where there are none.
	token string
	// secret is the client's own, nil for a method without one.
	secret *clientSecret
	// payer is whose bytes the request's are.
	payer string
}

// prepare makes all that begin writes.
func (r *Registry) prepare(ws Workspace, in Registration) (a *attempt, err error) {
	now := r.now()
	c := &Client{Schema: schema, ID: uuid.NewString(), Workspace: ws.Name, Status: Pending, Counted: true, IssuedAt: now.Unix()}
	asked, err := in.asked()
	if err != nil {
		return nil, err
	}
	c.describe(in, asked)
	c.Document = c.ID
	if ws.Provisioner.ChoosesClientID() {
		c.ClientID = uuid.NewString()
	}
	a = &attempt{in: in, now: now, client: c, payer: payer(in), uses: registrationReservations(ws.Name, c.ID, in)}
	if a.revoke, err = r.revocationOf(ws, c, in.Token); err != nil {
		return nil, err
	}
	if a.repeat, err = r.repeatReservation(ws, c, now); err != nil {
		return nil, err
	}
	a.holds = a.uses
	if a.repeat != nil {
		a.holds = append(a.uses[:len(a.uses):len(a.uses)], *a.repeat)
	}
	a.undo = work{key: laterKey(leaseEnd(now), c.ID), Kind: workUndo, Workspace: ws.Name, Registration: c.ID, Org: c.Organisation(), Since: now.Unix()}
	for _, h := range a.holds {
		a.undo.Holds = append(a.undo.Holds, h.key)
	}
	if a.document, err = documentOf(in); err != nil {
		return nil, err
	}
	if a.pending, err = json.Marshal(c); err != nil {
		return nil, err
	}
	if ws.AccessTokens != nil {
		a.token = newAccessToken()
	}
	a.secret, err = r.newClientSecret(c)
	return a, err
}

// begin is the first transaction. It returns the client that the request repeats, nil
// where it repeats none and the attempt goes on.
func (r *Registry) begin(ctx context.Context, ws Workspace, a *attempt) (known *Client, err error) {
	err = r.transact(ctx, func(w Writer) (err error) {
		if err := refuseSuspended(w, a.client); err != nil {
			return err
		}
		if known, err = repeated(w, ws, a.repeat, a.now); err != nil {
			return err
		}
		switch {
		case known != nil && (known.Asked == a.client.Asked || ws.Reregister.Mode == ReregisterReturn):
			return r.repeatKnown(w, ws, known, a)
		case a.in.Spent != nil:
			return a.in.Spent
		case known != nil:
			return nil // an update, which begins with a transaction of its own
		}
		for _, h := range a.holds {
			if err := h.take(w, a.now); err != nil {
				return err
			}
		}
		if err := a.client.enters(w, ws, a.in); err != nil {
			return err
		}
		if err := charge(w, ws, a.payer, a.document.cost(len(a.pending)), a.now); err != nil {
			return err
		}
		return errors.Join(w.Put(clientKey(a.client), a.pending), a.document.put(w, a.client), a.undo.put(w))
	})
	return known, err
}

// repeatKnown answers a POST that repeats a registration with that one. What was told
// once went with the answer that was lost: the client gets another access token and
// another secret, and the secret before it ends.
func (r *Registry) repeatKnown(w Writer, ws Workspace, known *Client, a *attempt) error {
	fresh, err := reuse(w, known, a.in, a.uses, a.revoke, a.now)
	if err != nil {
		return err
	}
	secret, err := r.newClientSecret(known)
	if err != nil {
		return err
	}
	if fresh || secret != nil {
		err = r.putAudit(w, ws, AuditEntry{Change: AuditRepeated, Origin: a.in.Origin}, known)
	}
	tells := ws.AccessTokens != nil || secret != nil
	if err == nil && (fresh || tells) {
		err = charge(w, ws, a.payer, bookkeeping, a.now)
	}
	if err != nil || !tells {
		return err
	}
	if ws.AccessTokens != nil {
		ws.AccessTokens.give(known, a.token, a.now)
	}
	known.takeSecret(secret)
	return putClient(w, known)
}
