// Package crl holds the certificate revocation lists of one workspace in memory: it reads
// them from files and addresses, keeps what a CA has signed, and has them read again.
package crl

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/big"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// Bounds of a Set.
const (
	// MaxSources is how many files and addresses there may be, each with a list of
	// verify.MaxCRL at most.
	MaxSources = 32
	// maxSigners is how many CAs are remembered, before all are forgotten and looked for
	// again. maxLists is how many lists of one: more than one only where a CA publishes a
	// list for each of several distribution points.
	maxSigners = 1024
	maxLists   = MaxSources
)

// Options of a Set. All may be left out.
type Options struct {
	Log    *slog.Logger
	Now    func() time.Time
	After  func(time.Duration) <-chan time.Time // as time.After
	Keeper Keeper
}

// Set is verify.CRLs. Who has signed a list shows when a client comes with a certificate of
// that CA: the certificate of the CA is then part of a chain that the TLS layer has
// verified. Until then a list only waits, and takes no other's place.
type Set struct {
	log     *slog.Logger
	now     func() time.Time
	after   func(time.Duration) <-chan time.Time
	keeper  Keeper
	sources []*source

	// signers are by name, and never changed, only replaced, so that reading them needs no lock.
	signers atomic.Pointer[map[string][]*signer]
	whole   atomic.Bool
	mu      sync.Mutex // of changes

	beginning sync.Once
	begun     chan struct{} // closed when nothing is waited for any more
	loaded    atomic.Bool   // it is closed
}

// signer is a CA with the lists that it has signed.
type signer struct {
	ca    *x509.Certificate
	lists []*verify.CRL
}

// is tells whether it is a CA with this certificate, or another one that says the same of
// the same key.
func (s *signer) is(ca *x509.Certificate) bool {
	return s.ca == ca || bytes.Equal(s.ca.RawSubject, ca.RawSubject) && bytes.Equal(s.ca.RawSubjectPublicKeyInfo, ca.RawSubjectPublicKeyInfo) &&
		bytes.Equal(s.ca.SubjectKeyId, ca.SubjectKeyId) && s.ca.KeyUsage == ca.KeyUsage
}

// NewSet makes an empty set.
func NewSet(o Options) *Set {
	s := &Set{log: o.Log, now: o.Now, after: o.After, keeper: o.Keeper, begun: make(chan struct{})}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.after == nil {
		s.after = time.After
	}
	s.signers.Store(&map[string][]*signer{})
	return s
}

// Whole tells whether a list of every file and address is held, signed or not yet.
func (s *Set) Whole() bool { return s.whole.Load() }

// SignedBy are the lists of a CA. It looks for them once.
func (s *Set) SignedBy(ca *x509.Certificate) []*verify.CRL {
	if known := s.find(ca); known != nil {
		return known.lists
	}
	return s.meet(ca)
}

// Revokes tells whether a list of the CA with this public key (verify.SPKIDigest) has a serial
// number. known is false while no client of that CA has come since the start, or none of its
// lists is held.
func (s *Set) Revokes(caSPKI string, serial *big.Int) (by *verify.CRL, known bool) {
	for _, named := range *s.signers.Load() {
		for _, one := range named {
			if verify.SPKIDigest(one.ca) != caSPKI {
				continue
			}
			for _, l := range one.lists {
				if known = true; l.Revokes(serial) {
					return l, true
				}
			}
		}
	}
	return nil, known
}

func (s *Set) find(ca *x509.Certificate) *signer {
	for _, known := range (*s.signers.Load())[string(ca.RawSubject)] {
		if known.is(ca) {
			return known
		}
	}
	return nil
}

// meet takes a CA that has not been seen before.
func (s *Set) meet(ca *x509.Certificate) []*verify.CRL {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.find(ca); known != nil {
		return known.lists
	}
	one := &signer{ca: ca}
	for _, from := range s.sources {
		for _, waiting := range from.waiting() {
			if !waiting.list.Of(ca) {
				continue
			}
			if err := one.take(waiting.list); err != nil {
				from.log.Warn("rejects a CRL that names a client's CA as its issuer", slog.String("crl", from.name), slog.Any("error", err))
				from.reject(waiting.list)
				continue
			}
			from.verified(waiting)
		}
	}
	signers := map[string][]*signer{}
	if before := *s.signers.Load(); len(before) < maxSigners {
		signers = maps.Clone(before)
	}
	name := string(ca.RawSubject)
	signers[name] = append(slices.Clip(signers[name]), one)
	if len(signers[name]) > maxLists {
		signers[name] = signers[name][1:] // one name, and another key each time
	}
	s.signers.Store(&signers)
	s.count()
	return one.lists
}

var errTooMany = errors.New("there are too many lists of its CA")

// take takes a list that the CA has signed, in place of the one before, unless it is older.
func (k *signer) take(l *verify.CRL) error {
	if err := l.Verify(k.ca); err != nil {
		return err
	}
	at := slices.IndexFunc(k.lists, l.Same)
	switch {
	case at < 0 && len(k.lists) >= maxLists:
		return errTooMany
	case at < 0:
		k.lists = append(k.lists, l)
		return nil
	}
	if err := l.CheckAfter(k.lists[at]); err != nil {
		return err
	}
	k.lists[at] = l
	return nil
}

// offer takes a list that was read from a source. One of a CA that has been seen must be
// signed by it; any other waits until its CA is.
func (s *Set) offer(from *source, l read) error {
	if err := l.list.CheckIssued(s.now()); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	name := string(l.list.Issuer())
	known := slices.Clone((*s.signers.Load())[name])
	var fault error
	taken := false
	for i, k := range known {
		if !l.list.Of(k.ca) {
			continue
		}
		next := &signer{k.ca, slices.Clone(k.lists)}
		if err := next.take(l.list); err != nil {
			fault = err
			continue
		}
		known[i], taken = next, true
	}
	switch {
	case taken:
		from.verified(l)
		signers := maps.Clone(*s.signers.Load())
		signers[name] = known
		s.signers.Store(&signers)
	case fault != nil:
		return fmt.Errorf("it does not count: %w", fault)
	default:
		from.wait(l)
	}
	s.count()
	return nil
}

// count finds out whether the set is whole.
func (s *Set) count() {
	s.whole.Store(!slices.ContainsFunc(s.sources, func(from *source) bool { return !from.holds() }))
}

// Ready returns when there is a current list of every address, or none to be had, or some
// seconds have passed since it was first called.
func (s *Set) Ready(ctx context.Context) {
	if s.loaded.Load() {
		return
	}
	s.begin(ctx)
	select {
	case <-s.begun:
	case <-ctx.Done():
	}
}

// State is what is known of a source, for metrics.
type State struct {
	From string
	// Held: there is a list. Its times are these.
	Held                   bool
	ThisUpdate, NextUpdate time.Time
	Current                bool
}

// States are those of all sources.
func (s *Set) States() []State {
	states := make([]State, len(s.sources))
	for i, from := range s.sources {
		states[i] = from.state(s.now())
	}
	return states
}

// Interface guard.
var _ verify.CRLs = (*Set)(nil)
