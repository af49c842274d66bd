package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// What can be suspended. Each has a key of its own, so that suspending an
// organisation with a thousand clients is one write, and none of them is missed.
const (
	SuspendClient       = "client"       // one client_id
	SuspendSoftware     = "software"     // every client of a software_id, later ones too
	SuspendOrganisation = "organisation" // every client of an org_id, later ones too
)

// Suspension keeps clients from using and managing what they are registered with,
// until it is ended. Nothing of them is lost.
type Suspension struct {
	Schema    int    `json:"v"`
	Workspace string `json:"workspace"`
	// Kind is one of SuspendClient, SuspendSoftware, SuspendOrganisation; Value its id.
	Kind  string `json:"kind"`
	Value string `json:"value"`
	// Reason is the operator's, for operators only. Default: none.
	Reason string `json:"reason,omitempty"`
	// Since is seconds since 1970. Suspend sets it.
	Since int64 `json:"since"`
}

func (s *Suspension) key() string { return key("suspended", s.Workspace, s.Kind, s.Value) }

// maxReason bounds what an operator may write.
const maxReason = 500

// Check tells what is missing.
func (s *Suspension) Check() error {
	switch {
	case s.Workspace == "" || s.Value == "":
		return fmt.Errorf("suspension: workspace and value are required")
	case !slices.Contains([]string{SuspendClient, SuspendSoftware, SuspendOrganisation}, s.Kind):
		return fmt.Errorf("suspension: kind %q must be one of %s, %s, %s", s.Kind, SuspendClient, SuspendSoftware, SuspendOrganisation)
	case len(s.Reason) > maxReason:
		return fmt.Errorf("suspension: reason is longer than %d bytes", maxReason)
	}
	return nil
}

// Suspend begins a suspension. What is suspended need not be registered yet. One
// that is there is replaced.
func (r *Registry) Suspend(ctx context.Context, s Suspension) error {
	if err := s.Check(); err != nil {
		return err
	}
	s.Schema, s.Since = schema, r.now().Unix()
	return r.store.Update(ctx, func(w Writer) error {
		return errors.Join(putRecord(w, s.key(), &s), r.auditSuspension(w, AuditSuspended, &s))
	})
}

// Resume ends a suspension. One that is not there gives ErrNotFound.
func (r *Registry) Resume(ctx context.Context, s Suspension) error {
	if err := s.Check(); err != nil {
		return err
	}
	return r.store.Update(ctx, func(w Writer) error {
		if _, err := w.Get(s.key()); err != nil {
			return err
		}
		return errors.Join(w.Delete(s.key()), r.auditSuspension(w, AuditResumed, &s))
	})
}

// Suspensions lists at most limit suspensions of a workspace ("" for all), and the
// cursor to go on with, empty at the end.
func (r *Registry) Suspensions(ctx context.Context, workspace, cursor string, limit int) (list []Suspension, next string, err error) {
	return page(ctx, r, workspacePrefix("suspended", workspace), cursor, limit, fromJSON[Suspension])
}

// suspended tells whether a client is suspended in one of the ways that there are. The
// client_id of one that is pending is nobody's yet.
func suspended(r getter, c *Client) (bool, error) {
	for _, s := range []Suspension{
		{Workspace: c.Workspace, Kind: SuspendClient, Value: c.ClientID},
		{Workspace: c.Workspace, Kind: SuspendSoftware, Value: c.SoftwareID},
		{Workspace: c.Workspace, Kind: SuspendOrganisation, Value: c.OrgID},
	} {
		if s.Value == "" || s.Kind == SuspendClient && c.Status == Pending {
			continue
		}
		if found, err := get(r, s.key()); err != nil || found != nil {
			return found != nil, err
		}
	}
	return false, nil
}

// Suspended is what a TPP is told whose client, software or organisation is suspended.
func Suspended() *refusal.Error {
	return refusal.New(refusal.AccessDenied, "suspended", "suspended: the bank has suspended this client, its software or its organisation; ask the bank")
}

func refuseSuspended(r getter, c *Client) error {
	stopped, err := suspended(r, c)
	if err == nil && stopped {
		err = Suspended()
	}
	return err
}
