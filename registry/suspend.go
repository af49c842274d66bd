package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// What can be suspended. Each has a key of its own, so that suspending an
// organisation with a thousand clients is one write, and none of them is missed.
const (
	SuspendClient       = "client"       // one client_id
	SuspendSoftware     = "software"     // every client of a software_id, later ones too
	SuspendOrganisation = "organisation" // every client of an org_id, later ones too
	SuspendDirectory    = "directory"    // every client whose statement a directory (its iss) has signed, later ones too
)

// SuspensionKinds are all of them.
var SuspensionKinds = []string{SuspendClient, SuspendSoftware, SuspendOrganisation, SuspendDirectory}

// Suspension keeps clients from using and managing what they are registered with,
// until it is ended. Nothing of them is lost.
type Suspension struct {
	Schema    int    `json:"v"`
	Workspace string `json:"workspace"`
	// Kind is one of SuspensionKinds; Value the id of one, of a directory its iss.
	Kind  string `json:"kind"`
	Value string `json:"value"`
	Act
	// Since is seconds since 1970. Suspend sets it.
	Since int64 `json:"since"`
}

func (s *Suspension) key() string { return key("suspended", s.Workspace, s.Kind, s.Value) }

// Check tells what is missing.
func (s *Suspension) Check() error {
	switch {
	case s.Workspace == "" || s.Value == "":
		return fmt.Errorf("suspension: workspace and value are required")
	case !slices.Contains(SuspensionKinds, s.Kind):
		return fmt.Errorf("suspension: kind %q must be one of %s", s.Kind, strings.Join(SuspensionKinds, ", "))
	case len(s.Value) > maxFilter || !utf8.ValidString(s.Value):
		return fmt.Errorf("suspension: value must be UTF-8 of at most %d bytes", maxFilter)
	case len(s.Reason) > maxReason:
		return fmt.Errorf("suspension: reason is longer than %d bytes", maxReason)
	}
	return nil
}

// ErrSuspended is Suspend's for what is suspended already.
var ErrSuspended = errors.New("this is suspended already, and stays so; read it to see who has suspended it, and why")

// Suspend begins a suspension. What is suspended need not be registered yet.
//
// Errors: ErrChanged, ErrSuspended.
func (r *Registry) Suspend(ctx context.Context, s Suspension) error {
	if err := s.Check(); err != nil {
		return err
	}
	s.Schema, s.Since = schema, r.now().Unix()
	return r.store.Update(ctx, func(w Writer) error {
		if err := s.seen(w); err != nil {
			return err
		}
		switch there, err := get(w, s.key()); {
		case err != nil:
			return err
		case there != nil:
			return ErrSuspended
		}
		return errors.Join(putRecord(w, s.key(), &s), r.auditSuspension(w, AuditSuspended, &s))
	})
}

// Resume ends a suspension.
//
// Errors: ErrNotFound for one that is not there; ErrChanged.
func (r *Registry) Resume(ctx context.Context, s Suspension) error {
	if err := s.Check(); err != nil {
		return err
	}
	return r.store.Update(ctx, func(w Writer) error {
		if err := s.exists(w); err != nil {
			return err
		}
		if err := s.seen(w); err != nil {
			return err
		}
		return errors.Join(w.Delete(s.key()), r.auditSuspension(w, AuditResumed, &s))
	})
}

// exists refuses the end of a suspension that is not there.
func (s *Suspension) exists(r getter) error {
	data, err := get(r, s.key())
	if err != nil || data != nil {
		return err
	}
	return fmt.Errorf("%w: %s %s is not suspended itself; caddy dcr clients show lists by what a client is suspended", ErrNotFound, s.Kind, refusal.Quote(s.Value))
}

// Suspensions lists at most limit suspensions of a workspace ("" for all), and the
// cursor to go on with, empty at the end.
func (r *Registry) Suspensions(ctx context.Context, workspace, cursor string, limit int) (list []Suspension, next string, err error) {
	return page(ctx, r, workspacePrefix("suspended", workspace), cursor, limit, fromJSON[Suspension])
}

// suspended tells whether a client is suspended in one of the ways that there are. The
// client_id of one that is pending is nobody's yet.
func suspended(r getter, c *Client) (bool, error) {
	for _, k := range c.suspensionKeys() {
		if found, err := get(r, k); err != nil || found != nil {
			return found != nil, err
		}
	}
	return false, nil
}

// suspensionKeys are where the suspensions are that count for a client.
func (c *Client) suspensionKeys() (keys []string) {
	for i, value := range []string{c.ClientID, c.SoftwareID, c.OrgID, c.Directory} {
		if kind := SuspensionKinds[i]; value != "" && (kind != SuspendClient || c.Status != Pending) {
			keys = append(keys, (&Suspension{Workspace: c.Workspace, Kind: kind, Value: value}).key())
		}
	}
	return keys
}

// seen refuses a suspension, or its end, by an operator who has seen another state: of a
// client, or else of the suspension itself.
func (s *Suspension) seen(w Writer) error {
	if s.Match == "" {
		return nil
	}
	keys, err := s.tagged(w)
	if err != nil {
		return err
	}
	return s.matches(w, keys...)
}

// tagged are the keys whose state the entity tag of what can be suspended names.
func (s *Suspension) tagged(r getter) ([]string, error) {
	if s.Kind != SuspendClient {
		return []string{s.key()}, nil
	}
	c, err := findClient(r, s.Workspace, s.Value)
	if err != nil {
		return nil, err
	}
	return c.tagged(), nil
}

// Suspension is the one of what s is about, nil where there is none, and the entity tag of that:
// Workspace, Kind and Value name it.
//
// Errors: ErrNotFound for a client that is not registered.
func (r *Registry) Suspension(ctx context.Context, s Suspension) (found *Suspension, tag string, err error) {
	if err := s.Check(); err != nil {
		return nil, "", err
	}
	err = r.store.View(ctx, func(v Reader) error {
		found = nil
		keys, err := s.tagged(v)
		if err != nil {
			return err
		}
		list, err := records[Suspension](v, []string{s.key()})
		if err != nil {
			return err
		}
		if len(list) > 0 {
			found = &list[0]
		}
		tag, err = entityTag(v, keys...)
		return err
	})
	return found, tag, err
}

// Suspended is what a TPP is told that is suspended in one of the ways that there are.
func Suspended() *refusal.Error {
	return refusal.New(refusal.AccessDenied, "suspended", "suspended: the bank has suspended this client, or its software, organisation or directory; ask the bank")
}

func refuseSuspended(r getter, c *Client) error {
	stopped, err := suspended(r, c)
	if err == nil && stopped {
		err = Suspended()
	}
	return err
}
