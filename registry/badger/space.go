package badger

import (
	"fmt"
	"sync/atomic"
)

// Room that the disk must have, in bytes. Badger writes through mapped files
// that are mostly holes: where the disk has no block for a hole, the kernel
// sends SIGBUS, and no recover stops that from ending the whole server. So the
// store stops before the disk is full. What Badger itself writes later, without
// asking (flushed memtables, compactions), is what the last commits have left.
const (
	// commitRoom is for one batch, and for flushing and compacting the memtables
	// that are full by then.
	commitRoom = 128 << 20
	// collectRoom is for the live half of one file of the value log. It is less
	// than commitRoom, since collecting is how a full store gets room again.
	collectRoom = 64 << 20
	// openRoom is for flushing the memtables that a killed process has left.
	openRoom = 32 << 20
	// lowRoom is when operators are told, while there is time to do something. It is
	// over at enoughRoom: a disk at the edge of one number would fill the log.
	lowRoom    = 2 * commitRoom
	enoughRoom = lowRoom + commitRoom/2
)

// space is what the directory's disk has left.
type space struct {
	dir string
	// times is how many times as large the memtables are as those that the constants are
	// for; 0 for once.
	times uint64
	// free and writable are the functions of these names but in tests.
	free     func(dir string) (bytes uint64, known bool)
	writable func(dir string) error
	// low remembers what operators were told; nil for nobody.
	low *low
}

// diskRoom is what a disk has left, as the system says; but see told.go.
var diskRoom = free

// demand returns nil, ErrReadOnly where no file can be made, or ErrFull where less
// than room is left. Where nobody knows, there is room.
func (s space) demand(room uint64) error {
	if err := s.writable(s.dir); err != nil {
		return err
	}
	room *= max(1, s.times)
	left, known := s.left()
	if !known || left >= room {
		return nil
	}
	what := fmt.Sprintf("%d MB", left>>20)
	if left == 0 {
		what = "no room, or no inodes,"
	}
	return fmt.Errorf("%w: %s has %s left, %d MB are needed", ErrFull, s.dir, what, room>>20)
}

// left is how much room there is, where somebody knows, and tells operators when that
// has become little.
func (s space) left() (bytes uint64, known bool) {
	bytes, known = s.free(s.dir)
	if known && s.low != nil {
		s.low.note(s.dir, bytes)
	}
	return bytes, known
}

// low is whether the disk has little room left.
type low struct {
	logger Logger
	is     atomic.Bool
}

// note logs once for each change.
func (l *low) note(dir string, left uint64) {
	switch {
	case left < lowRoom && l.is.CompareAndSwap(false, true):
		l.logger.Errorf("the disk of %s has %d MB left; stops writing below %d MB: make room", dir, left>>20, commitRoom>>20)
	case left >= enoughRoom && l.is.CompareAndSwap(true, false):
		l.logger.Warnf("the disk of %s has room again, %d MB: goes on writing", dir, left>>20)
	}
}

// Room is what the store's disk has left, in bytes, and whether that is little: less than
// twice what it needs to write. known is false where the system does not say.
func (s *Store) Room() (free uint64, low, known bool) {
	free, known = s.committer.space.left()
	return free, s.committer.space.low.is.Load(), known
}

// Size is what the store takes on the disk, in bytes. It looks at the directory, and at no
// record. known is false where the system does not say.
func (s *Store) Size() (bytes uint64, known bool) { return size(s.committer.space.dir) }
