package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// MaxOrphans is how many client_ids one call of Orphans takes.
const MaxOrphans = 1000

// Orphans are clients of the AS by what the registry knows of them.
type Orphans struct {
	// Unknown were never registered here: nobody knows them but the AS.
	Unknown []string `json:"unknown"`
	// Deleted were deleted here, and the AS has them still.
	Deleted []string `json:"deleted"`
	// Leaving are being deleted, or their registration is being undone, and the outbox goes on
	// with it: not orphans yet.
	Leaving []string `json:"leaving"`
	// Known is how many clients are registered here, Own how many are the gateway's own.
	Known int `json:"known"`
	Own   int `json:"own"`
	// Complete: the whole outbox was looked at. Where it is not, one of Unknown or Deleted may
	// be Leaving.
	Complete bool `json:"complete"`
}

// maxOrphanEntries is how many entries of the outbox are looked at.
const maxOrphanEntries = 10_000

// Orphans tells which of these clients of the AS the registry does not have. It changes nothing.
//
// Errors: ErrNotFound for a workspace that is not configured.
func (r *Registry) Orphans(ctx context.Context, workspace string, clientIDs []string) (o Orphans, err error) {
	ws, ok := r.attached(workspace)
	if !ok {
		return o, fmt.Errorf("%w: workspace %q", ErrNotFound, workspace)
	}
	if len(clientIDs) > MaxOrphans {
		return o, fmt.Errorf("client_ids: at most %d", MaxOrphans)
	}
	leaving, complete, err := r.leaving(ctx, workspace)
	if err != nil {
		return o, err
	}
	o = Orphans{Unknown: []string{}, Deleted: []string{}, Leaving: []string{}, Complete: complete}
	err = r.store.View(ctx, func(v Reader) error {
		for _, id := range clientIDs {
			c, err := findClient(v, workspace, id)
			if err != nil && !errors.Is(err, ErrNotFound) {
				return err
			}
			switch {
			case ws.Provisioner.IsOwn(id):
				o.Own++
			case leaving[id], err == nil && c.Status == Deleting:
				o.Leaving = append(o.Leaving, id)
			case err != nil:
				o.Unknown = append(o.Unknown, id)
			case c.Status == Deleted:
				o.Deleted = append(o.Deleted, id)
			default:
				o.Known++
			}
		}
		return nil
	})
	return o, err
}

// leaving are the clients of which the outbox has to end something at the AS, also those whose
// registration is at work.
func (r *Registry) leaving(ctx context.Context, workspace string) (ids map[string]bool, complete bool, err error) {
	ids = map[string]bool{}
	looked := 0
	for _, prefix := range []string{outboxPrefix, laterPrefix} {
		for e, err := range walk(ctx, r.store, prefix, backlogPage) {
			if err != nil {
				return nil, false, err
			}
			if looked++; looked > maxOrphanEntries {
				return ids, false, nil
			}
			var k work
			if err := json.Unmarshal(e.Value, &k); err != nil || k.Workspace != workspace || k.Kind != workUndo && k.Kind != workDelete {
				continue
			}
			c, err := r.byID(ctx, workspace, k.Registration)
			if err != nil && !errors.Is(err, ErrNotFound) {
				return nil, false, err
			}
			if err == nil && c.ClientID != "" && !c.Registered() {
				ids[c.ClientID] = true
			}
		}
	}
	return ids, true, nil
}
