package badger

import "fmt"

// links are the ends of the runs of commits that tables have records of, without a gap in
// their numbers. Compactions drop old records, so tables have gaps; but where two commits
// with numbers that follow each other are there, the second one names the first.
type links struct {
	// before is what a run's first commit names as the one before it, by its number; last
	// is the link of a run's last commit, by its number.
	before, last map[uint64]link
}

func newLinks() *links { return &links{before: map[uint64]link{}, last: map[uint64]link{}} }

// linkReader reads the records of one table, the newest first.
type linkReader struct {
	links   *links
	version uint64 // of the record before; 0: none
	earlier link   // what that one names
	known   bool   // whether it names one
}

var errForeign = fmt.Errorf("%w: it is of another copy", errTable)

func (r *linkReader) add(version uint64, c chainValue) error {
	if r.version != version+1 {
		if err := r.end(); err != nil {
			return err
		}
		if err := once(r.links.last, version, c.link); err != nil {
			return err
		}
	} else if r.known && r.earlier != c.link {
		return fmt.Errorf("%w than itself: its commit %d does not follow its commit %d", errForeign, version+1, version)
	}
	// The first commit of all, and of a store that was written without records, names none;
	// that after an accepted loss is believed.
	r.version, r.earlier, r.known = version, c.previous, !c.first()
	return nil
}

// end ends a run.
func (r *linkReader) end() error {
	if r.version == 0 || !r.known {
		return nil
	}
	return once(r.links.before, r.version, r.earlier)
}

// once notes what is said of a commit. Two tables may have it, where a log was flushed
// again after a kill, and then say the same.
func once(known map[uint64]link, version uint64, l link) error {
	if other, ok := known[version]; ok && other != l {
		return fmt.Errorf("%w than another table: both have a commit %d, and not the same", errForeign, version)
	}
	known[version] = l
	return nil
}

// check compares the runs of all tables with each other.
func (l *links) check() error {
	for version, before := range l.before {
		if last, ok := l.last[version-1]; ok && last != before {
			return fmt.Errorf("a table is of another copy than the others: commit %d does not follow their commit %d", version, version-1)
		}
	}
	return nil
}
