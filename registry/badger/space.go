package badger

import "fmt"

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
)

// space is what the directory's disk has left.
type space struct {
	dir string
	// free and writable are the functions of these names but in tests.
	free     func(dir string) (bytes uint64, known bool)
	writable func(dir string) error
}

// asked is who is asked for the room: the system, but see told.go.
var asked = free

// demand returns nil, ErrReadOnly where no file can be made, or ErrFull where less
// than room is left. Where nobody knows, there is room.
func (s space) demand(room uint64) error {
	if err := s.writable(s.dir); err != nil {
		return err
	}
	left, known := s.free(s.dir)
	if !known || left >= room {
		return nil
	}
	what := fmt.Sprintf("%d MB", left>>20)
	if left == 0 {
		what = "no room, or no inodes,"
	}
	return fmt.Errorf("%w: %s has %s left, %d MB are needed", ErrFull, s.dir, what, room>>20)
}
