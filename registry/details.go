package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Details are all that the registry knows of one client.
type Details struct {
	Stored
	// Unreadable is why there is no request, statement and certificate in Stored; nil where there is.
	Unreadable error
	// Suspensions are those that count for the client.
	Suspensions []Suspension
	// Discrepancies are those of the client.
	Discrepancies []Discrepancy
	// Findings are what speaks against the client.
	Findings []Finding
	// Outbox is the work that is left for the AS, of the first 2,000 entries of the outbox.
	Outbox []OutboxEntry
	// Proposals are the changes of the client that wait for another operator.
	Proposals []Proposal
	// History are the newest of the client's changes, at most 50, the oldest first.
	History []AuditEntry
	// Tag is the entity tag, see Act.
	Tag string
}

// shownHistory is how many changes Details have, at most.
const shownHistory = 50

// Details returns all of one client as of one moment, but for Outbox.
//
// Errors: ErrNotFound, also for a client that was deleted.
func (r *Registry) Details(ctx context.Context, workspace, clientID string) (*Details, error) {
	var d Details
	err := r.store.View(ctx, func(v Reader) error {
		d = Details{}
		c, err := findClient(v, workspace, clientID)
		if err == nil && c.Status == Deleted {
			err = fmt.Errorf("%w: this client was deleted", ErrNotFound)
		}
		if err == nil {
			// A client that cannot be shown whole can be suspended all the same.
			if d.Stored, d.Unreadable = r.readStored(v, c); d.Unreadable != nil {
				d.Stored = Stored{Client: c}
			}
			d.Tag, err = entityTag(v, c.tagged()...)
		}
		if err == nil {
			err = r.readBeside(v, c, &d)
		}
		if err == nil {
			d.Proposals, err = r.proposals(v, &Suspension{Workspace: workspace, Kind: SuspendClient, Value: c.ClientID}, d.Tag)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &d, r.readOutboxOf(ctx, &d)
}

// readBeside reads what has keys of its own.
func (r *Registry) readBeside(v Reader, c *Client, d *Details) (err error) {
	if d.Suspensions, err = records[Suspension](v, c.suspensionKeys()); err != nil {
		return err
	}
	c.Suspended = len(d.Suspensions) > 0
	if c.Use, err = r.useOf(v, c); err != nil {
		return err
	}
	if d.Findings, err = readFindings(v, c); err != nil {
		return err
	}
	var keys []string
	for _, kind := range discrepancyKinds {
		keys = append(keys, (&Discrepancy{Workspace: c.Workspace, Kind: kind, Registration: c.ID}).key())
	}
	if d.Discrepancies, err = records[Discrepancy](v, keys); err != nil {
		return err
	}
	entries, err := v.Scan(historyPrefix(c.Workspace, c.ID), "", shownHistory)
	if err != nil {
		return err
	}
	keys = nil
	for _, e := range slices.Backward(entries) {
		keys = append(keys, string(e.Value))
	}
	d.History, err = records[AuditEntry](v, keys)
	return err
}

// readOutboxOf reads what the outbox has for the client.
func (r *Registry) readOutboxOf(ctx context.Context, d *Details) error {
	looked := 0
	return r.eachEntry(ctx, "", func(_ string, e OutboxEntry) bool {
		if e.Workspace == d.Client.Workspace && e.Registration == d.Client.ID {
			d.Outbox = append(d.Outbox, e)
		}
		looked++
		return looked < maxSearched
	})
}

// records are those that there are under some keys.
func records[T any](r getter, keys []string) (list []T, err error) {
	for _, k := range keys {
		data, err := get(r, k)
		switch {
		case err != nil:
			return nil, err
		case data == nil:
			continue
		}
		var one T
		if err := json.Unmarshal(data, &one); err != nil {
			return nil, errors.Join(fmt.Errorf("registry: unreadable %s", k), err)
		}
		list = append(list, one)
	}
	return list, nil
}
