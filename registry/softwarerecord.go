package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// softwareName names a software: two directories may give out the same software_id.
type softwareName struct{ workspace, directory, id string }

func (c *Client) software() softwareName { return softwareName{c.Workspace, c.Directory, c.SoftwareID} }

func (n softwareName) key() string { return key("software", n.workspace, n.directory, n.id) }

// software is what the registry knows of one: one record, so that a registration reads
// and writes one key for all of it. It outlives the software's last client, since
// Issued must: deleting all clients would bring back what an old statement says.
type software struct {
	name softwareName

	Schema int `json:"v"`
	// Clients is how many are pending or active. It changes in the transactions in which
	// a client becomes one of them, or stops being one.
	Clients int `json:"clients"`
	// Issued is the newest iat of a statement with which a client was registered or
	// updated, seconds since 1970; 0 for none.
	Issued int64 `json:"issued,omitempty"`
}

// uncounted is the error of a transaction that needs the record of a software that has
// none: a new one, or one of a store that an earlier version wrote. Registry.transact
// counts, and runs the transaction again.
type uncounted struct{ name softwareName }

func (u *uncounted) Error() string {
	return "registry: the clients of the software are not counted yet"
}

// read returns the record, or *uncounted.
func (n softwareName) read(r getter) (*software, error) {
	data, err := get(r, n.key())
	if err != nil {
		return nil, err
	}
	if data == nil {
		return nil, &uncounted{n}
	}
	s := &software{name: n}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("registry: unreadable record of software %s: %w", n.id, err)
	}
	if s.Schema > schema {
		return nil, fmt.Errorf("registry: software record of schema %d, this version knows %d: run the newer version", s.Schema, schema)
	}
	return s, nil
}

func (s *software) put(w Writer) error {
	record := *s // which others may be reading, see countAnew
	record.Schema = schema
	return putRecord(w, s.name.key(), record)
}

// enters counts a new client in, where the registration may make one.
func (c *Client) enters(w Writer, ws Workspace, in Registration) error {
	s, err := c.software().read(w)
	if err != nil {
		return err
	}
	if err := in.Software.holds(w, s); err != nil {
		return err
	}
	if err := s.admits(ws); err != nil {
		return err
	}
	if err := s.follows(ws, in.Request.Statement); err != nil {
		return err
	}
	s.Clients++
	return s.put(w)
}

// leaves counts a client out that is to do nothing any more.
func (c *Client) leaves(w Writer) error {
	if c.Status == Pending && !c.Counted {
		return nil // of a version that did not count: it is in no record
	}
	s, err := c.software().read(w)
	if err != nil {
		return err
	}
	s.Clients = max(s.Clients-1, 0)
	return s.put(w)
}

// transact is Store.Update for a transaction that may need the record of a software. An
// update cannot scan, so that what has no record is counted before, in a view. As long
// as there is none nothing has changed since: whoever makes, forgets or deletes a
// client needs it too, and writes it.
func (r *Registry) transact(ctx context.Context, f func(Writer) error) error {
	var counted []*software
	for {
		err := r.store.Update(ctx, func(w Writer) error {
			for _, s := range counted {
				if err := s.putFirst(w); err != nil {
					return err
				}
			}
			return f(w)
		})
		var missing *uncounted
		if !errors.As(err, &missing) {
			return err
		}
		s, err := r.countAnew(ctx, missing.name)
		if err != nil {
			return err
		}
		counted = append(counted, s)
	}
}

// putFirst writes the record where there is none.
func (s *software) putFirst(w Writer) error {
	if found, err := get(w, s.name.key()); err != nil || found != nil {
		return err
	}
	return s.put(w)
}

// countAnew is the record of a software that has none. Many may ask at once for one that
// has many clients: one of them counts. What it has found stays true for as long as there
// is no record. It is kept, unless there is nothing to find: a new software's record is
// written with its first client, in one commit.
func (r *Registry) countAnew(ctx context.Context, n softwareName) (*software, error) {
	record, err, _ := r.counts.Do(n.key(), func() (any, error) {
		// Whose request ends must not end the count of the others.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Deadline)
		defer cancel()
		s := &software{name: n}
		err := r.store.View(ctx, func(v Reader) (err error) {
			s.Clients, s.Issued, err = r.scanSoftware(v, n)
			return err
		})
		if err == nil && (s.Clients > 0 || s.Issued > 0) {
			err = r.store.Update(ctx, s.putFirst)
		}
		return s, err
	})
	if err != nil {
		return nil, err
	}
	return record.(*software), nil
}

// MaxCounted is how many clients of a software are looked up at once where it has no
// record yet and they must be counted. All are.
const MaxCounted = 100

// scanSoftware counts the clients of a software by the index, and finds the newest iat of
// their statements. A pending client is in no index: of a version that did not count, it
// is not counted (Client.Counted).
func (r *Registry) scanSoftware(v Reader, n softwareName) (clients int, issued int64, err error) {
	prefix := indexPrefix(BySoftware, n.workspace, n.id)
	for after := ""; ; {
		entries, err := v.Scan(prefix, after, MaxCounted)
		if err != nil {
			return 0, 0, err
		}
		for _, e := range entries {
			c, err := loadClient(v, n.workspace, e.Key[len(prefix):])
			if errors.Is(err, ErrNotFound) || err == nil && c.Directory != n.directory {
				continue
			}
			if err != nil {
				return 0, 0, err
			}
			if c.Registered() {
				clients++
			}
			issued = max(issued, r.statementIssued(v, c))
		}
		if len(entries) < MaxCounted {
			return clients, issued, nil
		}
		after = entries[len(entries)-1].Key
	}
}

// statementIssued is the iat of the statement that a client is registered with, 0 for
// none. One that cannot be read must not keep its software from deleting clients.
func (r *Registry) statementIssued(v Reader, c *Client) int64 {
	if c.Directory == "" || c.Document == "" {
		return 0
	}
	request, err := v.Get(documentKey(c))
	if err == nil {
		_, claims, readErr := c.Statement(request)
		if err = readErr; err == nil {
			var iat time.Time
			var said bool
			if iat, said, err = claims.NumericDate("iat"); said && err == nil && iat.Before(r.now().Add(skew)) {
				return iat.Unix()
			}
		}
	}
	r.log.Warn("cannot read when a client's software statement was issued (iat); ignores it", slog.String("registration", c.ID), slog.Any("error", err))
	return 0
}
