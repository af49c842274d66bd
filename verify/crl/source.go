package crl

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// read is a list as it was read.
type read struct {
	list *verify.CRL
	kept bool // from the Keeper
}

// source is a file or an address.
type source struct {
	name   string
	client *jwks.Client // nil for a file
	set    *Set
	log    *slog.Logger
	first  chan struct{} // closed when it was asked once

	mu sync.Mutex
	// held is the newest list that a CA was found to have signed. fetched and kept wait for
	// theirs; nil for none.
	held, fetched, kept *verify.CRL
	// rejected is the one of them that the CA it names has not signed.
	rejected       *verify.CRL
	sum            [sha256.Size]byte // of the last answer that was used
	pause, retry   time.Duration     // until the next attempt, and after one that failed
	failing, ended bool              // it was said
}

// AddURL adds an address. It must be called before the set is used.
func (s *Set) AddURL(client *jwks.Client, url string) {
	s.sources = append(s.sources, &source{name: url, client: client, set: s, log: s.log, first: make(chan struct{})})
}

// AddFile adds a file, and returns what takes its text: an error says why that does not
// count, and what was read before does. It must be called before the set is used.
func (s *Set) AddFile(name string) (use func(text []byte) error) {
	from := &source{name: name, set: s, log: s.log, first: make(chan struct{})}
	s.sources = append(s.sources, from)
	return func(text []byte) error { return from.use(text, false) }
}

// use takes a list as text. A panic about what somebody has sent would end the process.
func (f *source) use(text []byte, kept bool) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	l, err := parse(text)
	if err != nil {
		return err
	}
	l.From = f.name
	return f.set.offer(f, read{l, kept})
}

// parsing has one list read at a time: a large one takes 200 MB meanwhile.
var parsing sync.Mutex

func parse(text []byte) (*verify.CRL, error) {
	parsing.Lock()
	defer parsing.Unlock()
	return verify.ParseCRL(text)
}

// waiting are the lists whose CA has not been seen, and the one that counts: another
// certificate of its CA may come.
func (f *source) waiting() (lists []read) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range []read{{f.kept, true}, {f.held, true}, {f.fetched, false}} {
		if l.list != nil {
			lists = append(lists, l)
		}
	}
	return lists
}

// reject notes that the CA that a list names has not signed it. What another certificate of
// its CA has verified stays held.
func (f *source) reject(l *verify.CRL) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if l != f.held {
		f.rejected = l
	}
}

func (f *source) wait(l read) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if l.kept {
		f.kept = l.list
	} else {
		f.fetched = l.list
	}
}

// verified takes a list whose CA was found to have signed it. It is held, and kept, in the
// place of one of the same CA, or of one that has ended: whoever stands between may send
// the list of another CA, signed as it is.
func (f *source) verified(l read) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fetched == l.list {
		f.fetched = nil
	}
	if f.kept == l.list {
		f.kept = nil
	}
	if f.rejected == l.list {
		f.rejected = nil
	}
	if f.held != nil && (!l.list.Same(f.held) || l.list.ThisUpdate.Before(f.held.ThisUpdate)) && f.held.Current(f.set.now()) {
		return
	}
	f.held = l.list
	if !l.kept && f.client != nil && f.set.keeper != nil {
		f.set.keeper.Keep(Kept{URL: f.name, Body: l.list.Raw, ThisUpdate: l.list.ThisUpdate, NextUpdate: l.list.NextUpdate})
	}
}

// shown is the list that is told of: one that counts before one that waits.
func (f *source) shown() *verify.CRL {
	for _, l := range []*verify.CRL{f.held, f.fetched, f.kept} {
		if l != nil && l != f.rejected {
			return l
		}
	}
	return nil
}

func (f *source) holds() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.shown() != nil
}

func (f *source) state(now time.Time) State {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.shown()
	if l == nil {
		return State{From: f.name}
	}
	return State{From: f.name, Held: true, ThisUpdate: l.ThisUpdate, NextUpdate: l.NextUpdate, Current: l.Current(now)}
}
