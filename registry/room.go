package registry

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
