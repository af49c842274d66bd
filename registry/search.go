package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caddy-dcr/caddy-dcr/verify/dn"
)

// Filter chooses clients. What is zero does not choose.
type Filter struct {
	// Status AwaitingApproval has an index.
	Status    Status `json:",omitempty"`
	Suspended *bool  `json:",omitempty"`
	Directory string `json:",omitempty"`
	// OrgID, SoftwareID, ClientID and Subject have an index; of several of them one is used,
	// and the others are compared.
	OrgID      string `json:",omitempty"`
	SoftwareID string `json:",omitempty"`
	ClientID   string `json:",omitempty"`
	// Subject is a DN as RFC 4514 text. It finds the same name in another order or spelling.
	Subject string `json:",omitempty"`
	// Name is a part of the client_name, upper or lower case.
	Name string `json:",omitempty"`
	// The client's certificate, or its software statement, expires before this time. One that
	// never expires, or whose expiry is not known, is not found.
	CertificateExpiresBefore time.Time `json:",omitzero"`
	StatementExpiresBefore   time.Time `json:",omitzero"`
	// The client was registered at this time or later, or before that time.
	RegisteredAfter  time.Time `json:",omitzero"`
	RegisteredBefore time.Time `json:",omitzero"`
	// The client was last used at this time or later, or before that time: see Use for what is
	// a use. Of a day that is known, both compare its beginning. A client that was never used
	// since marks are kept is not found by the first, and by the second as if it was last used
	// when it was registered, or when the store began to keep marks, whichever is later.
	LastUsedAfter  time.Time `json:",omitzero"`
	LastUsedBefore time.Time `json:",omitzero"`
}

// maxFilter is the length of a text of a Filter in bytes, at most.
const maxFilter = 1024

// maxSearched is how many records one call of Search looks at, at most.
const maxSearched = 2000

// ErrFilter is in the chain of what Filter.Check says.
var ErrFilter = errors.New("cannot search for this")

// Check tells what cannot be searched for.
func (f *Filter) Check() error {
	for _, text := range []struct{ name, value string }{
		{"directory", f.Directory}, {"org_id", f.OrgID}, {"software_id", f.SoftwareID}, {"client_id", f.ClientID}, {"dn", f.Subject}, {"name", f.Name},
	} {
		switch {
		case len(text.value) > maxFilter:
			return fmt.Errorf("%w: %s is longer than %d bytes", ErrFilter, text.name, maxFilter)
		case !utf8.ValidString(text.value):
			return fmt.Errorf("%w: %s is not UTF-8", ErrFilter, text.name)
		}
	}
	if f.Subject != "" {
		if _, err := dn.Parse(f.Subject); err != nil {
			return fmt.Errorf("%w: dn: %w", ErrFilter, err)
		}
	}
	switch f.Status {
	case "", Active, AwaitingApproval, Deleting:
		return nil
	}
	return fmt.Errorf("%w: status is %s, %s or %s", ErrFilter, Active, AwaitingApproval, Deleting)
}

// SearchPage is what one call of Search has found.
type SearchPage struct {
	// Clients are those found, each with Suspended.
	Clients []*Client
	// Next is the cursor to go on with, empty at the end. It is good for the same Filter only.
	Next string
	// Looked is how many records the call has looked at.
	Looked int
	// UpTo is when the last of them was registered, seconds since 1970; 0 where it looked at
	// none. All that were registered before are looked at, unless Filter uses an index.
	UpTo int64
}

// Search finds at most limit clients of the workspaces, one after the other by name. In each
// the clients come in the order in which they were registered, or with an index of Filter in
// the order of their ids. It looks at no more than 2,000 records, and then returns what it has
// found: where Next is not empty, there may be more.
//
// Errors: ErrFilter; ErrCursor.
func (r *Registry) Search(ctx context.Context, workspaces []string, f Filter, cursor string, limit int) (*SearchPage, error) {
	if err := f.Check(); err != nil {
		return nil, err
	}
	// A reload may give them in another order, and a cursor goes on in the rest of them.
	workspaces = slices.Sorted(slices.Values(workspaces))
	s, err := newSearch(r, workspaces, f, cursor, limit)
	if err != nil {
		return nil, err
	}
	for len(s.workspaces) > 0 {
		if s.full() {
			s.Next = s.cursor()
			break
		}
		ended, err := s.step(ctx)
		if err != nil {
			return nil, err
		}
		if ended {
			s.workspaces, s.after = s.workspaces[1:], ""
		}
	}
	return &s.SearchPage, nil
}

// search is a call of Search in progress.
type search struct {
	SearchPage
	registry *Registry
	filter   Filter
	subject  string // canonical
	limit    int
	// workspaces are those that are left, the first of them being searched; after is the last
	// entry of its index that was looked at.
	workspaces []string
	after      string
}

func newSearch(r *Registry, workspaces []string, f Filter, cursor string, limit int) (*search, error) {
	s := &search{registry: r, filter: f, limit: limit, workspaces: workspaces}
	if f.Subject != "" {
		name, err := dn.Parse(f.Subject)
		if err != nil {
			return nil, fmt.Errorf("%w: dn: %w", ErrFilter, err)
		}
		s.subject = name.Canonical()
	}
	return s, s.goOn(cursor)
}

// full tells whether the call has found or looked at enough.
func (s *search) full() bool { return len(s.Clients) >= s.limit || s.Looked >= maxSearched }

// index is where the clients of a workspace are looked for.
func (s *search) index(workspace string) (by Index, prefix string) {
	value := ""
	switch f := s.filter; {
	case f.Subject != "":
		by, value = BySubject, s.subject
	case f.SoftwareID != "":
		by, value = BySoftware, f.SoftwareID
	case f.OrgID != "":
		by, value = ByOrganisation, f.OrgID
	case f.Status == AwaitingApproval:
		by = ByApproval
	default:
		by = ByTime
	}
	return by, indexPrefix(by, workspace, value)
}

// searchedAtOnce is how many records one transaction reads.
const searchedAtOnce = 250

// step looks at the next entries of the first workspace. ended: there are no more.
func (s *search) step(ctx context.Context) (ended bool, err error) {
	if s.filter.ClientID != "" {
		return true, s.one(ctx)
	}
	by, prefix := s.index(s.workspaces[0])
	if s.after == "" && by == ByTime && !s.filter.RegisteredAfter.IsZero() {
		s.after = fmt.Sprintf("%s%016x", prefix, max(s.filter.RegisteredAfter.Unix(), 0))
	}
	err = s.registry.store.View(ctx, func(v Reader) error {
		entries, err := v.Scan(prefix, s.after, min(searchedAtOnce, maxSearched-s.Looked))
		if err != nil {
			return err
		}
		ended = len(entries) == 0
		for _, e := range entries {
			id := e.Key[len(prefix):]
			if by == ByTime {
				id = timeEntryID(id)
			}
			c, err := loadClient(v, s.workspaces[0], id)
			if err != nil {
				return fmt.Errorf("registry: %s: %w", e.Key, err)
			}
			if ended = by == ByTime && s.tooLate(c); ended {
				return nil
			}
			s.after = e.Key
			if err := s.look(v, c); err != nil || s.full() {
				return err
			}
		}
		return nil
	})
	return ended, err
}

// one looks at the client that Filter names.
func (s *search) one(ctx context.Context) error {
	return s.registry.store.View(ctx, func(v Reader) error {
		c, err := findClient(v, s.workspaces[0], s.filter.ClientID)
		switch {
		case errors.Is(err, ErrNotFound), err == nil && c.Status == Deleted:
			return nil
		case err != nil:
			return err
		}
		return s.look(v, c)
	})
}

// look takes the client where it is one of those looked for.
func (s *search) look(v Reader, c *Client) (err error) {
	s.Looked, s.UpTo = s.Looked+1, c.IssuedAt
	if !s.matches(c) {
		return nil
	}
	if c.Use, err = s.registry.useOf(v, c); err != nil || !s.used(c) {
		return err
	}
	if c.Suspended, err = suspended(v, c); err != nil {
		return err
	}
	if want := s.filter.Suspended; want == nil || *want == c.Suspended {
		s.Clients = append(s.Clients, c)
	}
	return nil
}

func (s *search) matches(c *Client) bool {
	f := &s.filter
	is := func(want, value string) bool { return want == "" || want == value }
	return is(string(f.Status), string(c.Status)) && is(f.Directory, c.Directory) && is(f.OrgID, c.OrgID) && is(f.SoftwareID, c.SoftwareID) &&
		(f.Name == "" || strings.Contains(strings.ToLower(c.ClientName), strings.ToLower(f.Name))) &&
		expiresBefore(f.CertificateExpiresBefore, c.CertificateExpires) && expiresBefore(f.StatementExpiresBefore, c.StatementExpires) &&
		(f.RegisteredAfter.IsZero() || c.IssuedAt >= f.RegisteredAfter.Unix()) && !s.tooLate(c) && s.hasSubject(c)
}

// used compares the last use.
func (s *search) used(c *Client) bool {
	f := &s.filter
	switch {
	case c.Use == nil:
		return f.LastUsedAfter.IsZero() && (f.LastUsedBefore.IsZero() || DayTime(s.registry.countsFrom(c)).Before(f.LastUsedBefore))
	default:
		day := DayTime(c.Use.Day)
		return !day.Before(f.LastUsedAfter) && (f.LastUsedBefore.IsZero() || day.Before(f.LastUsedBefore))
	}
}

func (s *search) tooLate(c *Client) bool {
	return !s.filter.RegisteredBefore.IsZero() && c.IssuedAt >= s.filter.RegisteredBefore.Unix()
}

// hasSubject compares the DN, which another index did not.
func (s *search) hasSubject(c *Client) bool {
	if s.filter.Subject == "" {
		return true
	}
	name, err := c.DN()
	return err == nil && len(name) > 0 && name.Canonical() == s.subject
}

func expiresBefore(limit time.Time, expires int64) bool {
	return limit.IsZero() || expires != 0 && expires < limit.Unix()
}
