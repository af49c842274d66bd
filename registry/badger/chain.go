package badger

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// reservedHere begins the keys that the store keeps for itself. No caller can set or
// see one.
const reservedHere = "!dcr!"

// chainKey is in every transaction. Its value names the commit and the one before, so
// that commits that are missing, or come from another copy of the directory, are
// noticed when the store is opened. Its version, Badger's, numbers the commits without
// a gap: the committer is the only writer. A compaction keeps the newest version of a
// key, so the tables always tell which commit was the last that was flushed.
const chainKey = reservedHere + "chain"

// link is a commit's own random name.
type link [8]byte

func newLink() (l link) {
	rand.Read(l[:]) // never fails, as its documentation says
	return l
}

// mark is one commit: its sequence, which is Badger's version, its link and when it
// was made, in seconds since 1970.
type mark struct {
	sequence uint64
	link     link
	time     int64
}

func (m mark) same(o mark) bool { return m.sequence == o.sequence && m.link == o.link }

// String is for operators.
func (m mark) String() string {
	if m.time == 0 {
		return fmt.Sprintf("commit %d", m.sequence)
	}
	return fmt.Sprintf("commit %d of %s", m.sequence, time.Unix(m.time, 0).UTC().Format(time.RFC3339))
}

// chainValue is the value of chainKey.
type chainValue struct {
	previous, link link
	time           int64
	// restart tells of the first commit after a loss that was accepted: what is missing
	// before it, is known to be. replaces is the commit that HEAD said was the last.
	restart  bool
	replaces mark
}

// first tells of a commit that HEAD may not know of yet, although it is there: the first
// one of all, and the first one after a loss.
func (c chainValue) first() bool { return c.previous == link{} || c.restart }

const (
	chainSize    = 8 + 8 + 8
	replacesSize = 8 + 8
)

func (c chainValue) bytes() []byte {
	b := make([]byte, 0, chainSize+replacesSize)
	b = append(b, c.previous[:]...)
	b = append(b, c.link[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(c.time))
	if c.restart {
		b = binary.BigEndian.AppendUint64(b, c.replaces.sequence)
		b = append(b, c.replaces.link[:]...)
	}
	return b
}

func parseChainValue(b []byte) (c chainValue, ok bool) {
	if len(b) != chainSize && len(b) != chainSize+replacesSize {
		return c, false
	}
	copy(c.previous[:], b)
	copy(c.link[:], b[8:])
	c.time = int64(binary.BigEndian.Uint64(b[16:]))
	if len(b) > chainSize {
		c.restart = true
		c.replaces.sequence = binary.BigEndian.Uint64(b[chainSize:])
		copy(c.replaces.link[:], b[chainSize+8:])
	}
	return c, true
}

// parseChain is the chain's value in a record of a log, where that is one.
func parseChain(r walRecord) (chainValue, bool) {
	if string(r.key) != chainKey || r.meta&(bitFin|bitDelete|bitPointer) != 0 {
		return chainValue{}, false
	}
	return parseChainValue(r.value)
}

// chain is the committer's side: it writes the chain's entry into each transaction, and
// HEAD after it.
type chain struct {
	head    *headFile
	failure *failure
	// last is the last commit. Only who commits reads and writes it.
	last mark
	stop chan struct{}
	done chan struct{}
}

func newChain(head *headFile, last mark, failure *failure) *chain {
	c := &chain{head: head, failure: failure, last: last, stop: make(chan struct{}), done: make(chan struct{})}
	go c.loop()
	return c
}

// extend adds the chain's entry to a transaction that is about to be committed.
func (c *chain) extend(txn *badger.Txn, value chainValue) (mark, error) {
	value.previous, value.link, value.time = c.last.link, newLink(), time.Now().Unix()
	err := txn.SetEntry(badger.NewEntry([]byte(chainKey), value.bytes()))
	return mark{c.last.sequence + 1, value.link, value.time}, err
}

// committed says in HEAD that m is committed, before anybody is answered.
func (c *chain) committed(m mark) error {
	c.last = m
	crashpoint("store: committed")
	return c.head.commit(m)
}

// loop brings HEAD to the disk, a second after it was written first.
func (c *chain) loop() {
	defer close(c.done)
	for {
		select {
		case <-c.head.written:
		case <-c.stop:
			return
		}
		select {
		case <-time.After(headEvery):
		case <-c.stop:
			return
		}
		c.sync()
	}
}

// sync brings HEAD to the disk. A list that could not be made anew does no harm: what is
// in the old one and not there any more is looked for in the keys.
func (c *chain) sync() {
	_ = c.head.listValues()
	if err := c.head.sync(); err != nil {
		c.failure.record(err)
	}
}

// close brings HEAD to the disk for the last time. No commit may be under way.
func (c *chain) close() error {
	close(c.stop)
	<-c.done
	if c.failure.err() == nil {
		c.sync()
	}
	return c.head.file.Close()
}
