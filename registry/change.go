package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

var errNotManaged = errors.New("unknown or deleted client")

// errHeld is in the chain of errChanging.
var errHeld = errors.New("registry: another request holds it")

func errChanging() *refusal.Error {
	e := refusal.New(refusal.Unavailable, "change", "another change of this client is under way; try again").Because(errHeld)
	e.RetryAfter = time.Second
	return e
}

// afterLease is an error whose request may still be on its way to the AS, or whose
// end could not be written: what it holds stays held until the lease ends. Sent again
// before, it would be refused as one that was sent twice.
func afterLease(err error) *refusal.Error {
	e := refusal.From(err)
	e.RetryAfter = max(e.RetryAfter, lease)
	return e
}

// change is a change of a client in progress.
type change struct {
	operation
	// id is who has reserved the client meanwhile.
	id       string
	clientID string
	// check refuses the change, or ends it (errNothingToDo), by the client as it is when the
	// change begins. nil for a change that is made in any case.
	check func(*Client) error
	// edit makes the client what it is to be where there is no request that says so; nil
	// for a change that leaves the record as it is.
	edit func(*Client)
	// replacesCredentials: the AS is to give the client another secret.
	replacesCredentials bool
	// replacesSecret: the client gets another secret of its own, if it has one.
	replacesSecret bool
	// restores: the AS is told again what the client is registered with, which is no update
	// of the client.
	restores bool
	// before is the client as it was. reserve fills it in.
	before *Client
	// standing is what call has left of the AS's copy.
	standing standing
	// oldIndexes go and newIndexes come with the new record: complete fills them in.
	oldIndexes, newIndexes []string
}

func (r *Registry) newChange(ws Workspace, clientID string, in Registration, audit string) *change {
	return &change{operation: r.newOperation(ws, in, audit), id: uuid.NewString(), clientID: clientID}
}

func (ch *change) prepare() error {
	if ch.in.Request == nil {
		return nil
	}
	if err := ch.readRequest(); err != nil {
		return err
	}
	metadata, err := json.Marshal(&ch.in.Checked.Metadata)
	ch.cost = ch.document.cost(len(metadata) + maxRecord)
	return err
}

// reserve takes the lease of the client. The entry that restores the AS's copy is there
// before the AS is asked.
func (ch *change) reserve(ctx context.Context) error {
	crashpoint("update: accepted")
	err := ch.r.transact(ctx, func(w Writer) error {
		c, err := changeable(w, ch.ws.Name, ch.clientID, ch.began)
		if err != nil {
			return err
		}
		if err := ch.refuse(w, c); err != nil {
			return err
		}
		if err := ch.r.unseal(c); err != nil {
			return err
		}
		if ch.in.Request == nil {
			if err := carryStatement(w, c); err != nil {
				return err
			}
		}
		if err := ch.holds.take(w, ch.began); err != nil {
			return err
		}
		if err := ch.follows(w, c); err != nil {
			return err
		}
		if err := charge(w, ch.ws, ch.payer, ch.cost, ch.began); err != nil {
			return err
		}
		c.Change, c.ChangeUntil = ch.id, leaseEnd(ch.began).Unix()
		before := *c
		ch.before, ch.client = &before, c
		c.Unconfirmed = true
		if err := ch.awaitApproval(w, c); err != nil {
			return err
		}
		ch.entry = ch.entryAfterLease(workRestore, ch.id)
		ch.entry.ID = ch.id
		return errors.Join(putClient(w, c), ch.entry.put(w))
	})
	if err == nil {
		ch.describe()
	}
	return err
}

// refuse tells why the change is not to be made of c as it is now.
func (ch *change) refuse(w Writer, c *Client) error {
	if ch.in.Request != nil { // a renewed certificate is no wish of the client's: it may revoke with it
		after := *c
		after.describe(ch.in, ch.metadataDigest)
		for _, one := range []*Client{c, &after} { // the new statement may be of another directory
			if err := refuseSuspended(w, one); err != nil {
				return err
			}
		}
	}
	if d := ch.in.Client; d != nil && (d.Document != c.Document || d.UpdatedAt != c.UpdatedAt) {
		return errChanging()
	}
	if err := ch.audit.matches(w, c.tagged()...); err != nil {
		return err
	}
	if ch.check != nil {
		return ch.check(c)
	}
	return nil
}

// describe makes the client what it is to be.
func (ch *change) describe() {
	c := ch.client
	switch {
	case ch.in.Request != nil:
		c.describe(ch.in, ch.metadataDigest)
		c.Document = ch.id
		if ch.ws.AccessTokens.due(c, ch.r.now()) {
			ch.token = newAccessToken()
		}
	case ch.edit != nil:
		ch.edit(c)
	}
}

// call tells the AS what the client is to be.
func (ch *change) call(ctx context.Context) (err error) {
	crashpoint("update: begun")
	ch.answer, ch.standing, err = ch.r.update(ctx, ch.ws, ch.client)
	if err == nil && ch.replacesCredentials {
		if err = ch.newCredentials(ctx); err != nil {
			ch.standing = standingAfter(nil, err) // the metadata are those that it had
		}
	}
	if ch.answer != nil {
		ch.client.Credentials = ch.answer.Credentials
	}
	return err
}

// conclude makes the registry's record what the AS's is, or leaves both as they were.
func (ch *change) conclude(ctx context.Context, failed error) error {
	if failed != nil {
		return ch.abandon(ctx, failed)
	}
	crashpoint("update: answered")
	c := ch.client
	c.Metadata, c.Keys = ch.answer.Metadata, ch.answer.Keys
	if !ch.restores {
		c.UpdatedAt = ch.r.now().Unix()
	}
	c.Change, c.ChangeUntil, c.Unconfirmed = "", 0, false
	err := ch.complete()
	if err == nil {
		if err = ch.finish(ctx); err != nil && !isRefusal(err) {
			return afterLease(err) // it may be written
		}
	}
	if err != nil {
		return ch.undo(ctx, err)
	}
	crashpoint("update: finished")
	return nil
}

// complete makes what the last transaction writes of a record, as far as that can fail
// before it: then the change certainly is not made.
func (ch *change) complete() (err error) {
	if ch.oldIndexes, err = indexKeys(ch.before); err != nil {
		return err
	}
	if ch.newIndexes, err = indexKeys(ch.client); err != nil {
		return err
	}
	ch.completeApproval()
	if err := ch.completeSecret(); err != nil {
		return err
	}
	return ch.r.seal(ch.client, ch.client.Credentials)
}

// finish is the last transaction. An error that is no refusal leaves open whether it was
// made.
func (ch *change) finish(ctx context.Context) error {
	after := ch.client
	return ch.r.transactDetached(ctx, func(w Writer) error {
		now, err := heldBy(w, ch.before, ch.id)
		if err != nil {
			return err
		}
		after.AccessTokens = now.AccessTokens // a repeated POST may have got one meanwhile
		after.takeSecret(ch.secretAfter(now))
		if ch.token != "" {
			ch.ws.AccessTokens.give(after, ch.token, ch.r.now())
		}
		if err := ch.advances(w, now, after); err != nil {
			return err
		}
		if err := indexApproval(w, after, now.Status); err != nil {
			return err
		}
		if err := deleteAll(w, ch.oldIndexes); err != nil {
			return err
		}
		if after.Document != ch.before.Document {
			if err := errors.Join(deleteDocument(w, ch.before), ch.document.put(w, after)); err != nil {
				return err
			}
		}
		if err := ch.holds.keep(w); err != nil {
			return err
		}
		return errors.Join(endDiscrepancies(w, ch.before), ch.putClient(w, after, ch.newIndexes))
	})
}

// heldBy is the client as it is now, where the change that began with before
// still has it reserved.
func heldBy(w Writer, before *Client, holder string) (*Client, error) {
	c, err := loadClient(w, before.Workspace, before.ID)
	if err != nil {
		return nil, err
	}
	if c.Change != holder || !c.Registered() {
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
	case !c.Registered():
		return nil, verify.NotYours(errNotManaged)
	case c.changing(now):
		return nil, errChanging()
	}
	return c, nil
}
