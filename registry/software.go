package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// SoftwareClients is how many clients a software has, as somebody has seen it who
// decides by it. A registration that is decided so is made only while it is true.
type SoftwareClients struct {
	// Count is of those that are active, or being made, apart from the one that the
	// registration repeats or changes. At most MaxCounted. One that is being made under a
	// configuration that counts nothing counts from when it is active.
	Count int

	key  string
	seen []byte
	// repeats is the record that was left out because the POST repeats it.
	repeats string
}

// MaxCounted is how far the clients of a software are counted.
const MaxCounted = 100

// ErrSoftwareChanged is a registration that was decided by a number of clients which
// has changed meanwhile: it must be decided again.
var ErrSoftwareChanged = errors.New("registry: the software has got another client meanwhile")

// making are the registrations of one software that were decided by its number of
// clients and may still be pending: they are in no index yet.
type making struct {
	Schema        int      `json:"v"`
	Registrations []string `json:"registrations"`
}

// maxMaking is how many of them there may be at once. More wait.
const maxMaking = 16

func makingKey(c *Client) string { return key("making", c.Workspace, c.Directory, c.SoftwareID) }

// SoftwareClients counts the clients of a registration's software. except is the
// record of the client that the request changes; nil for a POST, where it is the one
// that the POST repeats.
func (r *Registry) SoftwareClients(ctx context.Context, ws Workspace, in Registration, except *Client) (*SoftwareClients, error) {
	c := &Client{Workspace: ws.Name}
	if err := c.describe(in); err != nil {
		return nil, err
	}
	var repeat *reservation
	if except == nil {
		var err error
		if repeat, err = r.repeatReservation(ws, c, r.now()); err != nil {
			return nil, err
		}
	}
	n := &SoftwareClients{key: makingKey(c)}
	err := r.store.View(ctx, func(v Reader) error {
		own := ""
		if except != nil {
			own = except.ID
		}
		if repeat != nil {
			s, err := repeat.read(v)
			if err != nil {
				return err
			}
			if n.repeats = ""; s != nil && s.lasts(r.now()) {
				own, n.repeats = s.Holder, s.Holder
			}
		}
		seen, m, err := readMaking(v, n.key)
		if err != nil {
			return err
		}
		n.seen = seen
		n.Count, err = countClients(v, c, own, m.Registrations)
		return err
	})
	if err != nil {
		return nil, err
	}
	return n, nil
}

// countClients counts what the index has of c's software, and what is on its way into
// it. Another directory's software of the same id is another one.
func countClients(v Reader, c *Client, except string, making []string) (n int, err error) {
	count := func(id string) error {
		other, err := loadClient(v, c.Workspace, id)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err == nil && other.ID != except && other.Directory == c.Directory && (other.Status == Active || other.Status == Pending) {
			n++
		}
		return err
	}
	for _, id := range making {
		if err := count(id); err != nil {
			return 0, err
		}
	}
	prefix := indexPrefix(BySoftware, c.Workspace, c.SoftwareID)
	for after := ""; n < MaxCounted; {
		entries, err := v.Scan(prefix, after, MaxCounted)
		if err != nil {
			return 0, err
		}
		for _, e := range entries {
			id := e.Key[len(prefix):]
			if slices.Contains(making, id) {
				continue
			}
			if err := count(id); err != nil {
				return 0, err
			}
		}
		if len(entries) < MaxCounted {
			break
		}
		after = entries[len(entries)-1].Key
	}
	return min(n, MaxCounted), nil
}

// admit holds a registration to what it was decided by, and shows it to the next that
// counts. For nil, which nothing was decided by, too.
func (n *SoftwareClients) admit(w Writer, c *Client) error {
	if n == nil {
		return nil
	}
	seen, m, err := readMaking(w, n.key)
	if err != nil {
		return err
	}
	if !bytes.Equal(seen, n.seen) {
		return ErrSoftwareChanged
	}
	if n.repeats != "" { // whoever comes here repeats nothing: that time is over
		other, err := loadClient(w, c.Workspace, n.repeats)
		if err == nil && (other.Status == Active || other.Status == Pending) {
			return ErrSoftwareChanged
		}
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	next := making{Schema: schema}
	for _, id := range m.Registrations {
		other, err := loadClient(w, c.Workspace, id)
		switch {
		case errors.Is(err, ErrNotFound):
		case err != nil:
			return err
		case other.Status == Pending:
			next.Registrations = append(next.Registrations, id)
		}
	}
	if len(next.Registrations) >= maxMaking {
		return errChanging()
	}
	next.Registrations = append(next.Registrations, c.ID)
	text, err := json.Marshal(next)
	if err != nil {
		return err
	}
	return w.Put(n.key, text)
}

func readMaking(r getter, k string) (seen []byte, m making, err error) {
	if seen, err = get(r, k); err != nil || seen == nil {
		return nil, m, err
	}
	if err := json.Unmarshal(seen, &m); err != nil {
		return nil, m, fmt.Errorf("registry: unreadable %s: %w", k, err)
	}
	return seen, m, nil
}
