package badger

import (
	"fmt"
	"time"
)

// releaseAgain is how often a directory is looked at that could not be released.
const releaseAgain = time.Second

// release closes Badger, which flushes what it has in memory first. On a full disk
// the kernel would end the process for that, with all other sites of the server; in
// a directory that cannot be written Badger would try again for ever, and a stop or
// a reload with it. Nothing is lost without: the log has it, as after a crash.
func (s *Store) release() error {
	err := s.committer.space.demand(commitRoom)
	if err == nil {
		return s.closeBadger()
	}
	go s.releaseLater()
	return fmt.Errorf("registry/badger: all is kept, but the directory stays in use until it can be closed or this process ends: %w", err)
}

// releaseLater releases the directory as soon as that can be: for a server that goes
// on without the store, and may be told to open it again.
func (s *Store) releaseLater() {
	space := s.committer.space
	space.low = nil // what follows says that there is room again
	for space.demand(commitRoom) != nil {
		time.Sleep(releaseAgain)
	}
	s.collector.logger.Warnf("can close the directory %s now", space.dir)
	if err := s.closeBadger(); err != nil {
		s.collector.logger.Errorf("cannot close the directory %s: %v", space.dir, err)
	}
}

func (s *Store) closeBadger() error {
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("registry/badger: close: %w", err)
	}
	return filled(s.committer.space.dir)
}
