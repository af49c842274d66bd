package registry

import "context"

// Roomy is what a Store says that knows its disk.
type Roomy interface {
	// Room is what the disk has left, in bytes, and whether that is so little that
	// operators should do something. known is false where the system does not say.
	Room() (free uint64, low, known bool)
}

// Room is the store's, where it knows.
func (r *Registry) Room() (free uint64, low, known bool) {
	if r.roomy == nil {
		return 0, false, false
	}
	return r.roomy.Room()
}

// Sized is what a Store says that knows its size.
type Sized interface {
	// Size is what it takes on the disk, in bytes. known is false where the system does not say.
	Size() (bytes uint64, known bool)
}

// Size is the store's, where it knows.
func (r *Registry) Size() (bytes uint64, known bool) {
	if sized, ok := r.roomy.(Sized); ok {
		return sized.Size()
	}
	return 0, false
}

// Sequence is the number of the store's last commit, 0 where the engine numbers none.
func (r *Registry) Sequence(ctx context.Context) (n uint64, err error) {
	err = r.store.View(ctx, func(v Reader) error {
		n = 0
		if numbered, ok := v.(Sequenced); ok {
			n = numbered.Sequence()
		}
		return nil
	})
	return n, err
}
