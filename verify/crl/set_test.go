package crl

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/crl/crltest"
)

// TestNewerListCounts: a list takes the place of the one before, and no older one does, nor
// one that its CA has not signed.
func TestNewerListCounts(t *testing.T) {
	ca := crltest.New(t, at, "CA", nil, nil)
	forger := crltest.New(t, at, "CA", nil, func(c *x509.Certificate) { c.SubjectKeyId = ca.Certificate.SubjectKeyId })
	other := crltest.New(t, at, "other CA", nil, nil)
	s, k := newServer(t), new(kept)
	h := newHeld(t, k)
	h.AddURL(client(), s.URL)
	s.serves(ca.List(ca.Numbered(7, time.Hour), 1))
	h.attempt()
	h.check("kept before a CA has signed it", len(k.list), 0)
	h.check("revoked", h.revokes(ca, 1), true)
	h.check("kept", len(k.list), 1)

	second := ca.List(ca.Numbered(8, time.Minute), 1, 2)
	s.serves(second)
	h.attempt()
	h.check("revoked since", h.revokes(ca, 2), true)
	for name, list := range map[string][]byte{
		"an older one": ca.List(ca.Numbered(7, time.Hour)), "a lower number": ca.List(ca.Numbered(6, time.Second)), "a forged one": forger.List(forger.Numbered(9, time.Second)),
		"one of the future": ca.List(ca.Numbered(9, -time.Hour)), "HTML": []byte("<html>"), "nothing": nil, "too much": make([]byte, verify.MaxCRL+1),
	} {
		h.log.Reset()
		h.sources[0].failing = false
		s.serves(list)
		from := h.attempt()
		h.check(name+": the one before counts", h.revokes(ca, 2), true)
		h.check(name+": it was said", strings.Contains(h.log.String(), "cannot use a CRL"), true)
		h.check(name+": it is tried again soon", from.pause <= maxPause, true)
		before := h.log.Len()
		h.attempt()
		h.check(name+": it is said once", h.log.Len(), before)
	}
	s.serves(other.List(nil, 2))
	h.attempt()
	h.check("a list of another CA: the one before counts", h.revokes(ca, 2), true)
	h.check("and the other's own", h.revokes(other, 2), true)
	h.check("and is kept", bytes.Equal(k.Kept(t.Context(), s.URL), second), true)
	s.serves(ca.List(ca.Numbered(9, time.Second)))
	h.attempt()
	h.check("no longer on it", h.revokes(ca, 2), false)
	h.check("it was said that all is well", strings.Contains(h.log.String(), "can use a CRL again"), true)
	h.check("what is kept is the last one", bytes.Equal(k.Kept(t.Context(), s.URL), *s.list.Load()), true)
}

// TestForgedFirstList: what nobody has signed neither counts nor stands for a list.
func TestForgedFirstList(t *testing.T) {
	ca := crltest.New(t, at, "CA", nil, nil)
	forger := crltest.New(t, at, "CA", nil, func(c *x509.Certificate) { c.SubjectKeyId = ca.Certificate.SubjectKeyId })
	s := newServer(t)
	h := newHeld(t, nil)
	h.AddURL(client(), s.URL)
	s.serves(forger.List(nil, 1))
	h.attempt()
	h.check("whole", h.Whole(), true) // nobody knows better yet
	h.check("revoked by a forger", h.revokes(ca, 1), false)
	h.check("whole", h.Whole(), false)
	h.check("current", h.States()[0].Held, false)
	h.check("it was said", strings.Contains(h.log.String(), "rejects a CRL that names a client's CA as its issuer"), true)
	s.serves(ca.List(nil, 1))
	h.attempt()
	h.check("revoked", h.revokes(ca, 1), true)
	h.check("whole", h.Whole(), true)
}

// TestSameCA: the certificate of a CA that the client has sent is another object each time,
// and another certificate of the same CA and key has the same lists.
func TestSameCA(t *testing.T) {
	root := crltest.New(t, at, "root", nil, nil)
	ca := crltest.New(t, at, "CA", root, nil)
	h := newHeld(t, nil)
	use := h.AddFile("a.crl")
	if err := use(ca.List(nil, 1)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		again, err := x509.ParseCertificate(ca.Certificate.Raw)
		if err != nil {
			t.Fatal(err)
		}
		if len(h.SignedBy(again)) != 1 {
			t.Fatal("the list is not found")
		}
	}
	remembered := func() (n int) {
		for _, of := range *h.signers.Load() {
			n += len(of)
		}
		return n
	}
	h.check("CAs", remembered(), 1)
	for range 40 {
		h.SignedBy(crltest.New(t, at, "CA", root, nil).Certificate)
	}
	h.check("CAs of one name", remembered(), 32)
	another := func(i int) {
		of := *root.Certificate
		of.RawSubject = []byte(fmt.Sprint("another CA ", i))
		h.SignedBy(&of)
	}
	for i := range 1023 {
		another(i)
	}
	h.check("CAs of 1024 names", remembered(), 32+1023)
	another(1023)
	h.check("CAs after one of another name", remembered(), 1)
	h.check("found again", len(h.SignedBy(ca.Certificate)), 1)
}

// TestListsOfOneCA: a CA may have lists for 32 distribution points. One of another point
// does not count, and one of a point that is there already does.
func TestListsOfOneCA(t *testing.T) {
	ca := crltest.New(t, at, "CA", nil, nil)
	h := newHeld(t, nil)
	h.SignedBy(ca.Certificate)
	issuingPoint := func(i int) func(*x509.RevocationList) {
		der := []byte(fmt.Sprintf("http://a/%02d", i))
		for _, tag := range []byte{0x86, 0xa0, 0xa0, 0x30} { // a URI, the full name, the point, RFC 5280 5.2.5
			der = append([]byte{tag, byte(len(der))}, der...)
		}
		return func(l *x509.RevocationList) {
			l.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: der}}
		}
	}
	for i := range 34 {
		point, want := i, error(nil)
		switch i {
		case 32:
			want = errTooMany
		case 33:
			point = 0
		}
		if err := h.AddFile(fmt.Sprint(i, ".crl"))(ca.List(issuingPoint(point))); !errors.Is(err, want) {
			t.Errorf("list %d, of point %d: got %v, want %v", i+1, point, err, want)
		}
	}
	h.check("lists", len(h.SignedBy(ca.Certificate)), 32)
}

// BenchmarkCheckRevocation is what each request costs.
func BenchmarkCheckRevocation(b *testing.B) {
	root := crltest.New(b, at, "root", nil, nil)
	ca := crltest.New(b, at, "CA", root, nil)
	set := NewSet(Options{})
	serials := make([]int64, 1000)
	for i := range serials {
		serials[i] = int64(i) + 1000
	}
	for _, list := range [][]byte{ca.List(nil, serials...), root.List(nil, serials...)} {
		if err := set.AddFile("a.crl")(list); err != nil {
			b.Fatal(err)
		}
	}
	state := ca.Chain(ca.Client(1), root)
	cert, err := verify.CaptureCertificate(state, at)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		set.Ready(b.Context())
		if unchecked, err := cert.CheckRevocation(set, at); unchecked != nil || err != nil {
			b.Fatalf("unchecked %v, %v; want a check that passes", unchecked, err)
		}
	}
}

// TestHeldListStaysHeld: what one certificate of a CA has verified, another one of that name
// takes nothing from, in whatever order they come.
func TestHeldListStaysHeld(t *testing.T) {
	ca := crltest.New(t, at, "CA", nil, nil)
	odd := crltest.New(t, at, "CA", nil, func(c *x509.Certificate) { c.SubjectKeyId = ca.Certificate.SubjectKeyId })
	for name, order := range map[string][]*crltest.Authority{"the good one first": {ca, odd}, "the odd one first": {odd, ca}} {
		h := newHeld(t, nil)
		if err := h.AddFile("a.crl")(ca.List(nil, 1)); err != nil {
			t.Fatal(err)
		}
		for _, of := range order {
			h.SignedBy(of.Certificate)
		}
		h.check(name+": held", h.States()[0].Held && h.Whole(), true)
		h.check(name+": revoked", h.revokes(ca, 1), true)
	}
}
