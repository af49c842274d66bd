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
	committer *committer
	// every is how long it waits at most, when less than committer.collectAfter was written.
	every  time.Duration
	logger Logger
	stop   chan struct{}
	done   chan struct{}
}

func newCollector(c *committer, every time.Duration, logger Logger) *collector {
	return &collector{committer: c, every: every, logger: logger, stop: make(chan struct{}), done: make(chan struct{})}
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
		case <-c.committer.grown:
			c.collect()
			ticker.Reset(c.every)
		case <-c.stop:
			return
		}
	}
}

// collectFiles is how many files one collection rewrites at most: twice what fills
// between two of them. At 50 ms each, during which commits wait, more would be felt.
const collectFiles = 2 * collectAfter / valueLogFileSize

// collect rewrites files until none is worth it, or enough for now. In between it lets
// updates pass, and looks whether the store is being closed.
func (c *collector) collect() {
	for range collectFiles {
		err := c.committer.collectOne()
		if errors.Is(err, badger.ErrNoRewrite) {
			return
		}
		if err != nil {
			c.logger.Warnf("cannot reclaim space in the value log: %v", err)
			return
		}
		select {
		case <-c.stop:
			return
		default:
		}
	}
}

// collectOne rewrites one file, or returns badger.ErrNoRewrite. Views go on,
// commits wait. Badger could do both at once, but its versions up to 4.9.3 then
// brought deleted keys back, and what 4.9.6 does against that is a data race
// (valueLog.rewrite calls DB.MaxVersion, which memTable.Put writes under no
// lock). A deleted client must not come back; 16 MB are a pause that can be borne.
func (c *committer) collectOne() error {
	c.writing.Lock()
	defer c.writing.Unlock()
	// A disk that lost writes must not lose the file that they were copied from.
	if err := c.failure.err(); err != nil {
		return err
	}
	if err := c.space.demand(collectRoom); err != nil {
		return err
	}
	if err := c.db.RunValueLogGC(discardRatio); err != nil {
		return err
	}
	crashpoint("store: collected")
	// What was moved is in the log in no transaction. With a commit after it, damage to
	// it is told from a collection that a kill has cut off.
	txn := c.db.NewTransaction(true)
	defer txn.Discard()
	if err := c.commitChained(txn, chainValue{}); err != nil {
		return err
	}
	return c.chain.head.listValues()
}

// close ends the loop and waits for a collection under way.
func (c *collector) close() {
	close(c.stop)
	<-c.done
}
