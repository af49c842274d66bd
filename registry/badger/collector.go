package badger

import (
	"errors"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// discardRatio is how much of a value log file must be garbage before it is
// rewritten: Badger's own advice, a write amplification of two.
const discardRatio = 0.5

// collector gives back the space of deleted and replaced documents.
type collector struct {
	db     *badger.DB
	every  time.Duration
	logger Logger
	stop   chan struct{}
	done   chan struct{}
}

func newCollector(db *badger.DB, every time.Duration, logger Logger) *collector {
	return &collector{db: db, every: every, logger: logger, stop: make(chan struct{}), done: make(chan struct{})}
}

// loop is the collector's goroutine. It ends at close.
func (c *collector) loop() {
	defer close(c.done)
	ticker := time.NewTicker(c.every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			c.collect()
		case <-c.stop:
			return
		}
	}
}

// collect rewrites files until none is worth it. Each may take a second, so it
// looks in between whether the store is being closed.
func (c *collector) collect() {
	for {
		err := c.db.RunValueLogGC(discardRatio)
		if errors.Is(err, badger.ErrNoRewrite) {
			return
		}
		if err != nil {
			c.logger.Warnf("value log not collected: %v", err)
			return
		}
		select {
		case <-c.stop:
			return
		default:
		}
	}
}

// close ends the loop and waits for a collection under way.
func (c *collector) close() {
	close(c.stop)
	<-c.done
}
