package badger

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// examined is what is known of a directory before Badger has it.
type examined struct {
	dir string
	// head is HEAD as it will be, and the slot that holds it now.
	head head
	slot int
	// last is the last whole commit; chained tells whether it has a link.
	last    mark
	chained bool
	// accepted are losses that the store is to be told of.
	accepted []*acceptance
}

// examine looks at the directory before Badger, which cuts off what it cannot read. It
// makes HEAD where there is none, and takes away what an accepted loss gives up.
func examine(dir string, o Options) (*examined, error) {
	switch locked, err := held(dir); {
	case err != nil:
		return nil, err
	case locked:
		return nil, lockedError(dir)
	}
	if err := checkKeyRegistry(dir); err != nil {
		return nil, err
	}
	i, err := inspect(dir, time.Now())
	var l *loss
	if errors.As(err, &l) {
		err = i.accept(l, o)
	}
	if err != nil {
		return nil, err
	}
	e := &examined{dir: dir}
	if i != nil {
		if e.accepted, err = pending(dir); err != nil {
			return nil, err
		}
		e.last, e.chained = i.found, i.chained && !i.unchained
		if i.head != nil {
			e.head, e.slot = *i.head, i.file.at
		}
		if l == nil {
			if o.AcceptLoss != "" && len(e.accepted) == 0 {
				o.Logger.Debugf("accept_loss %s does nothing: nothing is missing in %s", o.AcceptLoss, dir)
			}
			if err := i.dropFlushed(); err != nil {
				return nil, err
			}
		}
	}
	if i == nil || !i.file.whole {
		e.slot = 0
		if err := createHead(dir, e.head); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// accept goes on without what is missing where the configuration says so, or where a
// process has begun to and not ended. Else it returns the loss.
func (i *inspection) accept(l *loss, o Options) error {
	begun, err := pending(i.dir)
	if err != nil {
		return err
	}
	for _, a := range begun {
		if a.covers(l) {
			return i.setAside(a)
		}
	}
	if o.AcceptLoss != l.word {
		return l
	}
	a := l.accepted(time.Now())
	if err := i.setAside(a); err != nil {
		return err
	}
	o.Logger.Errorf("goes on with %s without the missing commits, as accept_loss %s says; the removed data are in %s: %s, %d commits are missing, complete up to %v",
		i.dir, l.word, a.folder, l.reason, l.missing, l.found)
	return nil
}

var errChanged = errors.New("registry/badger: another process has used the directory while it was opened")

// start makes the committer. Its first commit, where it needs one, binds a store from
// before the chain, or tells the store of accepted losses; only then HEAD agrees.
func (e *examined) start(s *Store, space space, collectAfter int64) (*committer, error) {
	last, chained, err := lastCommit(s.db)
	if err != nil {
		return nil, err
	}
	if e.chained && last.link != e.last.link {
		return nil, errChanged
	}
	file, err := openHead(e.dir, e.head, e.slot)
	if err != nil {
		return nil, err
	}
	c := newCommitter(s.db, &s.watchers, newChain(file, last, s.failure), space, collectAfter)
	if err := e.begin(c, chained && e.chained); err != nil {
		return nil, errors.Join(err, c.chain.close())
	}
	return c, nil
}

func (e *examined) begin(c *committer, chained bool) error {
	if len(e.accepted) > 0 || !chained {
		if err := e.commitFirst(c); err != nil {
			return err
		}
	} else if err := c.chain.head.commit(c.chain.last); err != nil {
		return err
	}
	if err := errors.Join(c.chain.head.listValues(), c.chain.head.sync()); err != nil {
		return err
	}
	crashpoint("store: loss told")
	for _, a := range e.accepted {
		if err := a.end(); err != nil {
			return err
		}
	}
	return nil
}

func (e *examined) commitFirst(c *committer) error {
	txn := c.db.NewTransaction(true)
	defer txn.Discard()
	value := chainValue{}
	for _, a := range e.accepted {
		value.restart, value.replaces = true, a.replaces()
		key, loss := a.entry()
		if err := txn.SetEntry(badger.NewEntry([]byte(key), loss)); err != nil {
			return fmt.Errorf("registry/badger: %w", err)
		}
	}
	if err := c.commitChained(txn, value); err != nil {
		return err
	}
	// Of a store without a chain a compaction may have dropped the highest version since
	// Badger looked: from here on the sequence is what it says.
	last, _, err := lastCommit(c.db)
	if err != nil {
		return err
	}
	c.chain.last = last
	return c.chain.head.commit(last)
}

// lastCommit is what the open database says: the highest version, and its link.
func lastCommit(db *badger.DB) (m mark, chained bool, err error) {
	m.sequence = db.MaxVersion()
	txn := db.NewTransaction(false)
	defer txn.Discard()
	item, err := txn.Get([]byte(chainKey))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return m, false, nil
	}
	if err != nil {
		return m, false, fmt.Errorf("registry/badger: %w", err)
	}
	err = item.Value(func(value []byte) error {
		c, ok := parseChainValue(value)
		if ok && item.Version() == m.sequence {
			m.link, m.time, chained = c.link, c.time, true
		}
		return nil
	})
	return m, chained, err
}

// dropFlushed removes logs of which everything was flushed. Badger does that too, and
// then reads what is left once more: logs of another copy would bring back what was
// deleted since.
func (i *inspection) dropFlushed() error {
	for _, w := range i.logs {
		if !i.chained || len(w.commits) == 0 || w.commits[len(w.commits)-1].sequence > i.tables.newest {
			continue
		}
		if err := os.Remove(w.path); err != nil {
			return fmt.Errorf("registry/badger: %w", err)
		}
	}
	return nil
}
