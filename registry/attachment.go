package registry

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// attachment is a workspace of one configuration.
type attachment struct{ ws Workspace }

// Attach gives the outbox the connector of a workspace until the returned function
// is called. Of several attachments the latest counts, so that a reload can attach
// before the old configuration takes back.
func (r *Registry) Attach(ws Workspace) (takeBack func()) {
	l := &attachment{ws}
	r.mu.Lock()
	r.attachments[ws.Name] = append(r.attachments[ws.Name], l)
	r.mu.Unlock()
	r.nudge()
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		rest := r.attachments[ws.Name][:0:0]
		for _, other := range r.attachments[ws.Name] {
			if other != l {
				rest = append(rest, other)
			}
		}
		if len(rest) == 0 {
			delete(r.attachments, ws.Name)
			return
		}
		r.attachments[ws.Name] = rest
	}
}

func (r *Registry) attached(name string) (Workspace, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.attachments[name]
	if len(list) == 0 {
		return Workspace{}, false
	}
	return list[len(list)-1].ws, true
}

// activeClient is a client that is not deleted, of a workspace that is configured.
//
// Errors: ErrNotFound.
func (r *Registry) activeClient(ctx context.Context, workspace, clientID string) (ws Workspace, c *Client, err error) {
	ws, ok := r.attached(workspace)
	if !ok {
		return ws, nil, fmt.Errorf("%w: workspace %q", ErrNotFound, workspace)
	}
	c, err = r.Client(ctx, workspace, clientID)
	if err == nil && !c.Registered() {
		err = fmt.Errorf("%w: this client was deleted", ErrNotFound)
	}
	return ws, c, err
}

// attachedNames are the workspaces that are configured now.
func (r *Registry) attachedNames() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.attachments))
}
