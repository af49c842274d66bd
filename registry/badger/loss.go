package badger

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"
)

// ErrLoss is what Open returns for a directory that does not contain what was written: damaged,
// with files missing, or put together from several copies. Nothing in it was changed.
var ErrLoss = errors.New("registry/badger: the store does not hold what it held")

const restoreIt = "restore the whole directory from one backup (docs/store.md, When the store is damaged)"

// loss is an ErrLoss that can be accepted.
type loss struct {
	word   string
	reason string
	found  mark
	// committed is the last commit that anything tells of, missing how many are gone.
	committed, missing uint64
	head               *head
}

func (l *loss) Unwrap() error { return ErrLoss }

func (l *loss) Error() string {
	text := fmt.Sprintf("%v: %s; whole up to %v", ErrLoss, l.reason, l.found)
	if l.head != nil && l.head.bound() {
		text += fmt.Sprintf(", the last one was %v", l.head.mark)
	}
	switch l.missing {
	case 0:
	case 1:
		text += ": 1 commit is missing"
	default:
		text += fmt.Sprintf(": %d commits are missing", l.missing)
	}
	return text + fmt.Sprintf("; %s, or, to go on without what is missing, write accept_loss %s in the block of store badger", restoreIt, l.word)
}

// loss makes the error for what was found.
func (i *inspection) loss(reason string) *loss {
	l := &loss{reason: reason, found: i.found, committed: max(i.seen, i.found.sequence), head: i.head}
	l.missing = l.committed - i.found.sequence
	l.word = i.word()
	return l
}

// word names this loss and no other one: what was found, and what HEAD said there was.
// The commit that follows the acceptance changes both.
func (i *inspection) word() string {
	var b []byte
	number := func(n uint64) { b = binary.BigEndian.AppendUint64(b, n) }
	number(i.found.sequence)
	b = append(b, i.found.link[:]...)
	if i.head != nil {
		number(i.head.sequence)
		b = append(b, i.head.link[:]...)
	}
	for _, file := range i.harm.missing {
		number(uint64(file))
	}
	sum := sha256.Sum256(b)
	return fmt.Sprintf("%d-%s", i.found.sequence, hex.EncodeToString(sum[:6]))
}

var acceptForm = regexp.MustCompile(`^[0-9]{1,20}-[0-9a-f]{12}$`)

// ValidAcceptLoss tells whether a word can be one that an ErrLoss asks for.
func ValidAcceptLoss(word string) bool { return acceptForm.MatchString(word) }

// lossPrefix begins the keys that tell the registry of accepted losses. The registry
// deletes what it has taken notice of.
const lossPrefix = "loss/"

// acceptance is a loss that was accepted and is not in the store yet.
type acceptance struct {
	Word      string `json:"word"`
	Time      int64  `json:"time"`
	Found     uint64 `json:"found"`
	Committed uint64 `json:"committed"`
	// FoundLink and the next two are the marks that it was accepted for.
	FoundLink    string `json:"found_link"`
	HeadSequence uint64 `json:"head_sequence"`
	HeadLink     string `json:"head_link"`
	// folder has what it has taken away; empty until that is made.
	folder string
}

func (l *loss) accepted(now time.Time) *acceptance {
	a := &acceptance{
		Word: l.word, Time: now.Unix(), Found: l.found.sequence, Committed: l.committed,
		FoundLink: hex.EncodeToString(l.found.link[:]),
	}
	if l.head != nil {
		a.HeadSequence, a.HeadLink = l.head.sequence, hex.EncodeToString(l.head.link[:])
	}
	return a
}

// covers tells whether a was given for the loss, of which it may have removed a part. No
// HEAD, and the one of no commit that is made then, are the same.
func (a *acceptance) covers(l *loss) bool {
	b := l.accepted(time.Time{})
	return a.Found == b.Found && a.FoundLink == b.FoundLink && a.replaces().same(b.replaces())
}

// replaces is the mark that HEAD had.
func (a *acceptance) replaces() (m mark) {
	m.sequence = a.HeadSequence
	b, err := hex.DecodeString(a.HeadLink)
	if err == nil {
		copy(m.link[:], b)
	}
	return m
}

// entry is what the registry is told: key and value.
func (a *acceptance) entry() (key string, value []byte) {
	value, err := json.Marshal(map[string]any{"time": a.Time, "found": a.Found, "committed": a.Committed})
	if err != nil {
		panic(err) // three numbers
	}
	return lossPrefix + a.Word, value
}
