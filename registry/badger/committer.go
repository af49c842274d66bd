package badger

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/engine"
)

const (
	// queueLength is how many updates wait in the queue. More wait to get into it.
	queueLength = 256
	// batchUpdates ends a batch even when the queue never runs dry, so that the
	// first of a batch does not wait for all that come later.
	batchUpdates = 256
)

// committer gives one update after another its turn and commits what they
// wrote together. Badger syncs its log once per transaction and shares nothing
// between writers: 64 of them take 228 us a commit each, in one batch 30 us.
type committer struct {
	db       *badger.DB
	watchers *engine.Watchers
	failure  *failure
	chain    *chain
	// commit is (*badger.Txn).Commit but in tests.
	commit func(*badger.Txn) error
	space  space
	limit  limit
	// collectAfter is how many bytes are written before grown says so, sinceGrown what was
	// written since.
	collectAfter, sinceGrown int64
	grown                    chan struct{}
	// writing is held over a commit, and over the collection of a file.
	writing sync.Mutex
	// committing is held over a commit and the record of its failure, so that no
	// view gets in between and sees what is about to be called failed. A view
	// would wait for the commit all the same, inside Badger.
	committing sync.RWMutex
	queue      chan *update
	done       chan struct{}
}

// update is one call of Store.Update on its way through the committer. Its
// function runs in the caller's goroutine, so that a panic or runtime.Goexit is
// the caller's alone, with the caller's stack. The channels hand it and the
// batch to and fro, so only one side touches them at a time.
type update struct {
	buffer engine.Buffer
	// err is what the function returned, set before ran is closed. Ran through
	// tells that it returned at all.
	err        error
	ranThrough bool
	// turn is unbuffered: either the caller takes its turn or it has left.
	turn chan *batch
	left <-chan struct{}
	ran  chan struct{}
	// outcome has room for the one answer, so that the committer never waits.
	outcome chan error
}

func newCommitter(db *badger.DB, watchers *engine.Watchers, chain *chain, space space, collectAfter int64) *committer {
	return &committer{
		db: db, watchers: watchers, failure: chain.failure, chain: chain, space: space,
		commit:       (*badger.Txn).Commit,
		limit:        limitOf(db),
		collectAfter: collectAfter,
		grown:        make(chan struct{}, 1),
		queue:        make(chan *update, queueLength),
		done:         make(chan struct{}),
	}
}

// update is the caller's side of an update.
func (c *committer) update(ctx context.Context, f func(registry.Writer) error) error {
	// Of two ready cases select takes any: an ended ctx must not write now and then.
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("registry/badger: update: %w", err)
	}
	u := &update{
		turn:    make(chan *batch),
		left:    ctx.Done(),
		ran:     make(chan struct{}),
		outcome: make(chan error, 1),
	}
	select {
	case c.queue <- u:
	case <-ctx.Done():
		return fmt.Errorf("registry/badger: waiting for a place in the queue: %w", ctx.Err())
	}
	select {
	case b := <-u.turn:
		u.run(f, b)
		return <-u.outcome
	case <-ctx.Done():
		return fmt.Errorf("registry/badger: waiting in the queue: %w", ctx.Err())
	}
}

func (u *update) run(f func(registry.Writer) error, b *batch) {
	// Deferred, because the committer must go on when f never returns.
	defer close(u.ran)
	err := f(&writer{Buffer: &u.buffer, before: b})
	if err == nil {
		err = u.buffer.Err()
	}
	u.err, u.ranThrough = err, true
}

// loop is the committer's goroutine. It ends when the queue is closed and empty.
func (c *committer) loop() {
	defer close(c.done)
	for u := range c.queue {
		b := c.newBatch()
		b = c.take(b, u)
		// Whoever waits by now is in, nobody is waited for: a lone writer must not
		// pay for the chance of a second.
		for b.turns < batchUpdates {
			next, ok := c.waiting()
			if !ok {
				break
			}
			b = c.take(b, next)
		}
		c.finish(b)
		if b.turns > 1 {
			// Those who were answered together come back together: a moment later they
			// fill one batch instead of several, each with its sync (14 % of all CPU).
			time.Sleep(gatherFor / time.Duration(1+b.turns/gathered))
		}
	}
}

// gatherFor is how long the committer rests after a batch of several updates. A
// lone writer never waits for it twice. With 16 writers half of it costs a sixth of
// all CPU in syncs, and spares them none of their waiting; after batches of more than
// gathered there is less to gain, and it rests less.
const (
	gatherFor = 2 * time.Millisecond
	gathered  = 16
)

func (c *committer) waiting() (*update, bool) {
	select {
	case u, ok := <-c.queue:
		return u, ok
	default:
		return nil, false
	}
}

// take gives u its turn over the state that b has reached, and adds its writes
// to b. Where they have no room, b is committed first and the next batch
// returned: what u has read is exactly what that commit makes true.
func (c *committer) take(b *batch, u *update) *batch {
	select {
	case u.turn <- b:
	case <-u.left:
		return b
	}
	<-u.ran
	b.turns++
	if !u.ranThrough {
		return b
	}
	// A function that failed or wrote nothing still waits for the commit: what it
	// has read, and perhaps refused somebody for, may never come true.
	if u.err != nil {
		b.updates = append(b.updates, u)
		return b
	}
	if !c.limit.allows(b, &u.buffer) {
		if err := c.finish(b); err != nil {
			u.outcome <- err
			return c.newBatch()
		}
		b = c.newBatch()
	}
	b.add(u)
	return b
}

// finish commits b and answers everybody in it. The error is the one that they got.
func (c *committer) finish(b *batch) error {
	err := c.write(b)
	if err == nil {
		for _, u := range b.updates {
			if u.err == nil && u.buffer.Len() > 0 {
				c.watchers.Notify(u.buffer.Keys())
			}
		}
	}
	for _, u := range b.updates {
		if err != nil {
			u.outcome <- err
		} else {
			u.outcome <- u.err
		}
	}
	return err
}

func (c *committer) write(b *batch) error {
	defer b.txn.Discard()
	if err := c.failure.err(); err != nil {
		return err
	}
	if b.broken != nil {
		return fmt.Errorf("registry/badger: batch refused: %w", b.broken)
	}
	if b.count == 0 {
		return nil
	}
	if err := c.space.demand(commitRoom); err != nil {
		return err
	}
	// In this order: while a collection makes the commit wait, views go on.
	c.writing.Lock()
	defer c.writing.Unlock()
	err := c.commitChained(b.txn, chainValue{})
	c.grow(b.size)
	return err
}

// commitChained commits a transaction with the chain's entry in it, and says so in HEAD.
// The caller holds writing.
func (c *committer) commitChained(txn *badger.Txn, value chainValue) error {
	c.committing.Lock()
	defer c.committing.Unlock()
	next, err := c.chain.extend(txn, value)
	if err == nil {
		err = c.commit(txn)
	}
	if err != nil {
		// Badger shows the writes of a commit whose sync failed, and may have
		// lost them after a restart: there is no known outcome to go on from.
		c.failure.record(fmt.Errorf("commit: %w", err))
	}
	// Badger only logs when the value log could not be synced: the log's reader
	// (see logger.go) has recorded it before Commit returned.
	if err := c.failure.err(); err != nil {
		return err
	}
	if err := c.chain.committed(next); err != nil {
		c.failure.record(err)
	}
	return c.failure.err()
}

// grow tells the collector when much was written since it was told last.
func (c *committer) grow(bytes int64) {
	c.sinceGrown += bytes
	if c.sinceGrown < c.collectAfter {
		return
	}
	c.sinceGrown = 0
	select {
	case c.grown <- struct{}{}:
	default: // it knows
	}
}

// snapshot returns a read-only transaction, which the caller discards.
func (c *committer) snapshot() (*badger.Txn, error) {
	c.committing.RLock()
	defer c.committing.RUnlock()
	if err := c.failure.err(); err != nil {
		return nil, err
	}
	return c.db.NewTransaction(false), nil
}

// close ends the loop and waits for it. No update may be under way.
func (c *committer) close() {
	close(c.queue)
	<-c.done
}
