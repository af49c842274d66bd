package registry

import (
	"context"
	"errors"
)

// SoftwareClients is how many clients a software has, as somebody has seen it who
// decides by it. A registration that is decided so is made only while it is true.
type SoftwareClients struct {
	// Count is of those that are active, or being made, apart from the one that the
	// registration repeats or changes.
	Count int

	// seen is what the software's record said.
	seen int
	// repeats is the record that was left out because the POST repeats it.
	repeats string
}

// ErrSoftwareChanged is a registration that was decided by a number of clients which
// has changed meanwhile: it must be decided again.
var ErrSoftwareChanged = errors.New("registry: the number of the software's clients has changed meanwhile")

// SoftwareClients counts the clients of a registration's software. except is the
// record of the client that the request changes; nil for a POST, where it is the one
// that the POST repeats.
func (r *Registry) SoftwareClients(ctx context.Context, ws Workspace, in Registration, except *Client) (*SoftwareClients, error) {
	c := &Client{Workspace: ws.Name}
	metadataDigest, err := in.metadataDigest()
	if err != nil {
		return nil, err
	}
	c.describe(in, metadataDigest)
	var repeat *reservation
	if except == nil {
		if repeat, err = r.repeatReservation(ws, c, r.now()); err != nil {
			return nil, err
		}
	}
	n := &SoftwareClients{}
	err = r.store.View(ctx, func(v Reader) (err error) {
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
		if n.seen, err = r.clientsOf(v, c.software()); err != nil {
			return err
		}
		n.Count, err = n.seen, nil
		if own == "" {
			return nil
		}
		other, err := loadClient(v, c.Workspace, own)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err == nil && other.live() && other.software() == c.software() {
			n.Count = max(n.seen-1, 0)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return n, nil
}

// clientsOf is how many clients a software has.
func (r *Registry) clientsOf(v Reader, n softwareName) (int, error) {
	s, err := n.read(v)
	if errors.As(err, new(*uncounted)) {
		clients, _, err := r.scanSoftware(v, n)
		return clients, err
	}
	if err != nil {
		return 0, err
	}
	return s.Clients, nil
}

// live tells whether a client is one of those that are counted.
func (c *Client) live() bool { return c.Registered() || c.Status == Pending }

// holds keeps a registration to what it was decided by. For nil, which nothing was
// decided by, too.
func (n *SoftwareClients) holds(w Writer, s *software) error {
	if n == nil {
		return nil
	}
	if s.Clients != n.seen {
		return ErrSoftwareChanged
	}
	if n.repeats == "" {
		return nil
	}
	// Whoever comes here repeats nothing: that time is over.
	other, err := loadClient(w, s.name.workspace, n.repeats)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err == nil && other.live() {
		err = ErrSoftwareChanged
	}
	return err
}
