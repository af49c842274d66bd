package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

var errNotManaged = errors.New("unknown or deleted client")

// errHeld is in the chain of errChanging.
var errHeld = errors.New("registry: another request holds it")

func errChanging() *verify.Error {
	e := verify.Refuse(verify.Unavailable, "change", "another change of this client is under way; try again").Because(errHeld)
	e.RetryAfter = time.Second
	return e
}

// afterLease is an error whose request may still be on its way to the AS, or whose
// end could not be written: what it holds stays held until the lease ends. Sent again
// before, it would be refused as one that was sent twice.
func afterLease(err error) *verify.Error {
	e := verify.AsError(err)
	e.RetryAfter = max(e.RetryAfter, lease)
	return e
}

// change is one change of a client at work.
type change struct {
	// id is who holds the client meanwhile.
	id string
	// made and origin are for the audit trail.
	made   string
	origin Origin
	// holds are what it uses up.
	holds []reservation
	// check refuses the change, or ends it (errNothingToDo), by the client as it is now. nil
	// for a change that is made in any case.
	check func(*Client) error
	// decided is the client as it was when the change was decided; nil where that does
	// not matter.
	decided *Client
	// statement is what comes with it; nil where none does.
	statement *verify.SoftwareStatement
	// cost is what it writes, payer whose bytes these are; 0 for what no TPP asks for.
	cost  int64
	payer string
	// document replaces the one before where the client names another.
	document document
	// revoke ends a registration token that the change uses up; nil for none.
	revoke *work
	// token is a registration access token that comes with it, by tokens; empty for none.
	tokens *AccessTokens
	token  string
	// secret: the AS is to give the client another one.
	secret bool
	// replacesSecret: the client gets another secret of its own, if it has one. newSecret is
	// the one that it gets: complete fills it in; nil where it keeps what it has.
	replacesSecret bool
	newSecret      *clientSecret
	// asks: whether the AS takes it is what counts. A client that it has lost is not made
	// again, and none was updated.
	asks bool
	// before is the client as it was, restore the entry that makes the AS's copy so
	// again: beginUpdate fills them in.
	before  *Client
	restore work
	// oldIndexes go and newIndexes come with the new record: complete fills them in.
	oldIndexes, newIndexes []string
}

// beginUpdate takes the lease of the client and what the change uses up. The entry
// that restores the AS's copy is there before the AS is asked.
func (r *Registry) beginUpdate(ctx context.Context, ws Workspace, clientID string, ch *change) (c *Client, err error) {
	now := r.now()
	err = r.transact(ctx, func(w Writer) error {
		if c, err = changeable(w, ws.Name, clientID, now); err != nil {
			return err
		}
		if ch.document.request != nil { // a renewed certificate is no wish of the client's: it may revoke with it
			if err := refuseSuspended(w, c); err != nil {
				return err
			}
		}
		if d := ch.decided; d != nil && (d.Document != c.Document || d.UpdatedAt != c.UpdatedAt) {
			return errChanging()
		}
		if ch.check != nil {
			if err := ch.check(c); err != nil {
				return err
			}
		}
		if err := r.unseal(c); err != nil {
			return err
		}
		if ch.document.request == nil {
			if err := carryStatement(w, c); err != nil {
				return err
			}
		}
		for _, h := range ch.holds {
			if err := h.take(w, now); err != nil {
				return err
			}
		}
		if err := ch.follows(w, ws, c); err != nil {
			return err
		}
		if ch.cost > 0 {
			if err := charge(w, ws, ch.payer, ch.cost, now); err != nil {
				return err
			}
		}
		c.Change, c.ChangeUntil = ch.id, leaseEnd(now).Unix()
		before := *c
		ch.before = &before
		ch.restore = work{key: laterKey(time.Unix(c.ChangeUntil, 0), ch.id), Kind: workRestore, Workspace: ws.Name, Registration: c.ID, Org: c.Organisation(), ID: ch.id, Since: now.Unix()}
		return errors.Join(putClient(w, c), ch.restore.put(w))
	})
	return c, err
}

// complete makes what the last transaction writes of a record, as far as that can fail
// before it: then the change certainly is not made.
func (ch *change) complete(r *Registry, after *Client) (err error) {
	if ch.oldIndexes, err = indexKeys(ch.before); err != nil {
		return err
	}
	if ch.newIndexes, err = indexKeys(after); err != nil {
		return err
	}
	if err := ch.completeSecret(r, after); err != nil {
		return err
	}
	return r.seal(after, after.Credentials)
}

// finishUpdate is the last transaction. An error that is no refusal leaves open whether
// it was made.
func (r *Registry) finishUpdate(ctx context.Context, ws Workspace, ch *change, after *Client) error {
	return r.transactDetached(ctx, func(w Writer) error {
		now, err := heldBy(w, ch.before, ch.id)
		if err != nil {
			return err
		}
		after.AccessTokens = now.AccessTokens // a repeated POST may have got one meanwhile
		after.takeSecret(ch.secretAfter(r, now, after))
		if ch.token != "" {
			ch.tokens.give(after, ch.token, r.now())
		}
		if err := ch.advances(w, ws, now, after); err != nil {
			return err
		}
		for _, k := range ch.oldIndexes {
			if err := w.Delete(k); err != nil {
				return err
			}
		}
		for _, k := range ch.newIndexes {
			if err := w.Put(k, []byte{}); err != nil {
				return err
			}
		}
		if after.Document != ch.before.Document {
			if err := errors.Join(deleteDocument(w, ch.before), ch.document.put(w, after)); err != nil {
				return err
			}
		}
		for _, h := range ch.holds {
			if err := h.keep(w); err != nil {
				return err
			}
		}
		return errors.Join(ch.revoke.put(w), w.Delete(ch.restore.key), settle(w, ch.before), putClient(w, after), r.putAudit(w, ws, AuditEntry{Change: ch.made, Origin: ch.origin}, after))
	})
}

// heldBy is the client as it is now, where the change that began with before
// still holds it.
func heldBy(w Writer, before *Client, holder string) (*Client, error) {
	c, err := loadClient(w, before.Workspace, before.ID)
	if err != nil {
		return nil, err
	}
	if c.Change != holder || c.Status != Active {
		return nil, fmt.Errorf("registry: the change of client_id %s was overtaken", before.ClientID)
	}
	return c, nil
}

// changeable is a client that a change may begin with.
func changeable(w Writer, workspace, clientID string, now time.Time) (*Client, error) {
	c, err := findClient(w, workspace, clientID)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, verify.NotYours(errNotManaged)
	case err != nil:
		return nil, err
	case c.Status != Active:
		return nil, verify.NotYours(errNotManaged)
	case c.changing(now):
		return nil, errChanging()
	}
	return c, nil
}
