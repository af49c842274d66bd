package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/google/uuid"
)

// creation is a registration in progress.
type creation struct {
	operation
	// pending is the record that reserve writes: any other that the last transaction
	// finds has been in an undo's hands.
	pending []byte
	// uses are what the request uses up; holds are these and repeat.
	uses reservations
	// repeat is nil where repetitions are not looked for.
	repeat *reservation
	// known is the client that the request repeats; nil where it repeats none.
	known *Client
}

func (n *creation) prepare() (err error) {
	if err := n.readRequest(); err != nil {
		return err
	}
	c := &Client{Schema: schema, ID: uuid.NewString(), Workspace: n.ws.Name, Status: Pending, Counted: true, IssuedAt: n.began.Unix()}
	c.describe(n.in, n.metadataDigest)
	c.Document = c.ID
	if n.ws.Provisioner.ChoosesClientID() {
		c.ClientID = uuid.NewString()
	}
	n.client = c
	if n.revoke, err = n.r.revocationOf(n.ws, c, n.in.Token); err != nil {
		return err
	}
	if n.repeat, err = n.r.repeatReservation(n.ws, c, n.began); err != nil {
		return err
	}
	n.uses = registrationReservations(n.ws.Name, c.ID, n.in)
	n.holds = n.uses
	if n.repeat != nil {
		n.holds = append(slices.Clip(n.uses), *n.repeat)
	}
	n.entry = n.entryAfterLease(workUndo, c.ID)
	for _, h := range n.holds {
		n.entry.Holds = append(n.entry.Holds, h.key)
	}
	if n.pending, err = json.Marshal(c); err != nil {
		return err
	}
	n.cost = n.document.cost(len(n.pending))
	if n.ws.AccessTokens != nil {
		n.token = newAccessToken()
	}
	n.secret, err = n.r.newClientSecret(c)
	return err
}

// reserve writes the pending client. errNothingToDo: the request repeats known.
func (n *creation) reserve(ctx context.Context) error {
	crashpoint("register: accepted")
	err := n.r.transact(ctx, func(w Writer) (err error) {
		if err := refuseSuspended(w, n.client); err != nil {
			return err
		}
		if n.known, err = repeated(w, n.ws, n.repeat, n.began); err != nil {
			return err
		}
		switch {
		case n.known != nil && !n.updatesKnown():
			return n.repeatKnown(w)
		case n.in.Spent != nil:
			return n.in.Spent
		case n.known != nil:
			return nil // an update, which begins with a transaction of its own
		}
		if err := n.holds.take(w, n.began); err != nil {
			return err
		}
		if err := n.client.enters(w, n.ws, n.in); err != nil {
			return err
		}
		if err := charge(w, n.ws, n.payer, n.cost, n.began); err != nil {
			return err
		}
		return errors.Join(w.Put(clientKey(n.client), n.pending), n.document.put(w, n.client), n.entry.put(w))
	})
	if err == nil && n.known != nil {
		err = errNothingToDo
	}
	return err
}

// call asks the AS for the client, and once more when the answer was lost and asking
// again gives the same client.
func (n *creation) call(ctx context.Context) (err error) {
	crashpoint("register: begun")
	c, as := n.client, n.ws.Provisioner
	n.answer, err = as.Create(ctx, c)
	other := n.answer != nil && n.answer.ClientID != c.ClientID // whoever made it would make one more
	if errors.Is(err, ErrLost) && as.ChoosesClientID() && !other {
		n.r.log.Warn("repeats a registration whose answer was lost", slog.String("client_id", c.ClientID), slog.Any("error", err))
		first := err
		if n.answer, err = as.Create(ctx, c); err != nil && !errors.Is(err, ErrLost) {
			// Whatever it says now, the first request may have been carried out.
			err = fmt.Errorf("%w, and then: %w", first, err)
		}
	}
	return err
}

// conclude makes the client an active one, or ends the registration.
func (n *creation) conclude(ctx context.Context, failed error) error {
	switch {
	case failed != nil && n.answer != nil:
		n.disown(ctx, failed)
		return failed
	case failed != nil:
		return n.abandon(ctx, failed)
	}
	crashpoint("register: answered")
	if err := n.activate(ctx); err != nil {
		n.disown(ctx, err)
		if isRefusal(err) {
			return err
		}
		return afterLease(fmt.Errorf("registration %s at client_id %s: %w", n.client.ID, n.answer.ClientID, err))
	}
	crashpoint("register: active")
	return nil
}

// activate is the last transaction: from here on the client exists.
func (n *creation) activate(ctx context.Context) error {
	p, made := n.answer, *n.client
	if made.ClientID != "" && made.ClientID != p.ClientID {
		return fmt.Errorf("%w: another client_id than the one chosen", ErrLost)
	}
	made.Status, made.Counted, made.ClientID, made.Metadata, made.Keys = Active, false, p.ClientID, p.Metadata, p.Keys
	if made.AskedApproval = n.ws.asksApproval(n.in); len(made.AskedApproval) > 0 {
		made.Status = AwaitingApproval
	}
	if n.token != "" {
		n.ws.AccessTokens.give(&made, n.token, n.began)
	}
	made.takeSecret(n.secret)
	if err := n.r.seal(&made, p.Credentials); err != nil {
		return err
	}
	indexes, err := indexKeys(&made)
	if err != nil {
		return err
	}
	if alike := alikeKey(&made); alike != "" {
		indexes = append(indexes, alike)
	}
	err = n.r.transactDetached(ctx, func(w Writer) error {
		before, err := w.Get(clientKey(&made))
		if err != nil || !bytes.Equal(before, n.pending) {
			return errors.Join(errors.New("registry: the registration was undone meanwhile"), err)
		}
		s, err := made.software().read(w)
		if err != nil {
			return err
		}
		if err := s.advances(w, n.ws, n.in.Request.Statement); err != nil {
			return err
		}
		if err := n.holds.keep(w); err != nil {
			return err
		}
		taken, err := get(w, idKey(&made))
		if err != nil {
			return err
		}
		if taken != nil {
			return errTwice
		}
		return errors.Join(w.Put(idKey(&made), []byte(made.ID)), indexApproval(w, &made, Pending), n.putClient(w, &made, indexes))
	})
	if err == nil {
		n.client = &made
	}
	return err
}
