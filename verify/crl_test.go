package verify

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/crl/crltest"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// crlNow is the time of these tests.
var crlNow = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func newCA(t testing.TB, name string, parent *crltest.Authority, change func(*x509.Certificate)) *crltest.Authority {
	t.Helper()
	return crltest.New(t, crlNow, name, parent, change)
}

func parsedCRL(t testing.TB, ca *crltest.Authority, change func(*x509.RevocationList), serials ...int64) *CRL {
	t.Helper()
	l, err := ParseCRL(ca.List(change, serials...))
	if err != nil {
		t.Fatal(err)
	}
	l.From = "test.crl"
	return l
}

func extension(t testing.TB, id asn1.ObjectIdentifier, critical bool, value any) pkix.Extension {
	t.Helper()
	der, err := asn1.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return pkix.Extension{Id: id, Critical: critical, Value: der}
}

// point is an issuingDistributionPoint.
func point(t testing.TB, p distributionPoint) func(*x509.RevocationList) {
	return func(l *x509.RevocationList) {
		l.ExtraExtensions = append(l.ExtraExtensions, extension(t, issuingDistributionPoint, true, p))
	}
}

func uri(name string) pointName {
	return pointName{Full: []asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: uriName, Bytes: []byte(name)}}}
}

// TestParseCRL: a list that is not the whole truth about one CA is refused.
func TestParseCRL(t *testing.T) {
	ca := newCA(t, "CA", nil, nil)
	unknown := asn1.ObjectIdentifier{1, 2, 3}
	with := func(e pkix.Extension) func(*x509.RevocationList) {
		return func(l *x509.RevocationList) { l.ExtraExtensions = append(l.ExtraExtensions, e) }
	}
	entry := func(e pkix.Extension) func(*x509.RevocationList) {
		return func(l *x509.RevocationList) { l.RevokedCertificateEntries[0].ExtraExtensions = []pkix.Extension{e} }
	}
	for name, c := range map[string]struct {
		change func(*x509.RevocationList)
		want   string // of the error, empty for none
	}{
		"plain":                         {nil, ""},
		"an unknown extension":          {with(extension(t, unknown, false, 1)), ""},
		"a critical one":                {with(extension(t, unknown, true, 1)), "critical extension that is not known here: 1.2.3"},
		"an extension twice":            {with(extension(t, asn1.ObjectIdentifier{2, 5, 29, 20}, false, 1)), "twice"},
		"delta":                         {with(extension(t, deltaIndicator, true, 1)), "delta"},
		"delta, not critical":           {with(extension(t, deltaIndicator, false, 1)), "delta"},
		"freshest":                      {with(extension(t, asn1.ObjectIdentifier{2, 5, 29, 46}, false, 1)), ""},
		"indirect":                      {point(t, distributionPoint{Indirect: true}), "indirect"},
		"some reasons":                  {point(t, distributionPoint{SomeReasons: asn1.BitString{Bytes: []byte{0x40}, BitLength: 2}}), "some reasons"},
		"attribute certificates":        {point(t, distributionPoint{OnlyAttributes: true}), "no certificates of clients"},
		"users and CAs only":            {point(t, distributionPoint{OnlyUsers: true, OnlyAuthorities: true}), "no certificates of clients"},
		"a point that cannot be read":   {with(pkix.Extension{Id: issuingDistributionPoint, Critical: true, Value: []byte{1, 2}}), "cannot be read"},
		"something behind the point":    {with(pkix.Extension{Id: issuingDistributionPoint, Critical: true, Value: []byte{0x30, 0, 0}}), "cannot be read"},
		"a named point":                 {point(t, distributionPoint{Name: uri("http://a/crl")}), ""},
		"an unknown entry extension":    {entry(extension(t, unknown, false, 1)), ""},
		"a critical entry extension":    {entry(extension(t, unknown, true, 1)), "critical extension that is not known here: 1.2.3"},
		"the date of an invalidity":     {entry(extension(t, asn1.ObjectIdentifier{2, 5, 29, 24}, true, time.Now())), ""},
		"an entry of another CA":        {entry(extension(t, certificateIssuer, true, 1)), "indirect"},
		"an entry that says another CA": {entry(extension(t, certificateIssuer, false, 1)), "indirect"},
		"a number of 20 bytes":          {func(l *x509.RevocationList) { l.Number = new(big.Int).Lsh(big.NewInt(1), 158) }, ""},
	} {
		_, err := ParseCRL(ca.List(c.change, 1))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	der := ca.List(nil, 1)
	if _, err := ParseCRL(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})); err != nil {
		t.Errorf("PEM: %v", err)
	}
	for name, data := range map[string][]byte{
		"a certificate in PEM": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Certificate.Raw}), "a certificate": ca.Certificate.Raw,
		"HTML": []byte("<html>"), "nothing": nil, "half of one": der[:len(der)/2],
	} {
		if l, err := ParseCRL(data); err == nil {
			t.Errorf("%s is the list %s", name, l)
		}
	}
}

// TestCRLBounds: a list has 16 MiB at most, and its number 160 bits.
func TestCRLBounds(t *testing.T) {
	ca := newCA(t, "CA", nil, nil)
	text := append([]byte{'\n'}, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: ca.List(nil, 1)})...)
	larger := append(bytes.Repeat([]byte{' '}, 16<<20+1-len(text)), text...)
	// x509 writes no number of more than 20 octets. So another extension changes its name
	// with the number's, in a list whose signature nobody looks at here.
	numbered := func(bits uint) []byte {
		id := func(last byte) []byte { return []byte{6, 3, 0x55, 0x1d, last} }
		list := ca.List(func(l *x509.RevocationList) {
			l.ExtraExtensions = []pkix.Extension{extension(t, asn1.ObjectIdentifier{2, 5, 29, 99}, false, new(big.Int).Lsh(big.NewInt(1), bits-1))}
		})
		return bytes.Replace(bytes.Replace(list, id(20), id(98), 1), id(99), id(20), 1)
	}
	for name, c := range map[string]struct {
		list []byte
		want string
	}{
		"16 MiB": {larger[1:], ""}, "16 MiB and a byte": {larger, "longer than"},
		"a number of 160 bits": {numbered(160), ""}, "a number of 161 bits": {numbered(161), "its number"},
	} {
		if _, err := ParseCRL(c.list); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// TestVerifyCRL: a list is its CA's by name, key and signature, and that CA may sign lists.
func TestVerifyCRL(t *testing.T) {
	ca := newCA(t, "CA", nil, nil)
	other := newCA(t, "other CA", nil, nil)
	namesake := newCA(t, "CA", nil, nil)
	same := newCA(t, "CA", nil, func(c *x509.Certificate) { c.SubjectKeyId = ca.Certificate.SubjectKeyId })
	mute := newCA(t, "CA", nil, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign })
	renamed := *ca.Certificate
	renamed.RawSubject = other.Certificate.RawSubject
	l := parsedCRL(t, ca, nil)
	if err := l.Verify(ca.Certificate); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		list *CRL
		by   *crltest.Authority
	}{
		"another CA's": {l, other}, "another CA's, with the same key": {l, &crltest.Authority{Certificate: &renamed}}, "another key's": {l, namesake}, "another signature": {l, same}, "of a CA without cRLSign": {parsedCRL(t, mute, nil), mute},
		"signed with SHA-1": {parsedCRL(t, ca, func(l *x509.RevocationList) { l.SignatureAlgorithm = x509.ECDSAWithSHA1 }), ca},
	} {
		if c.list.Verify(c.by.Certificate) == nil {
			t.Errorf("%s verifies", name)
		}
	}
	forged := ca.List(nil)
	forged[len(forged)-3] ^= 1
	if l, err := ParseCRL(forged); err == nil && l.Verify(ca.Certificate) == nil {
		t.Error("a forged signature verifies")
	}
}

// TestRevokes: an entry counts once for all, unless it says that it is none.
func TestRevokes(t *testing.T) {
	ca := newCA(t, "CA", nil, nil)
	long := new(big.Int).Lsh(big.NewInt(1), 300)
	l := parsedCRL(t, ca, func(l *x509.RevocationList) {
		reason := func(serial int64, reason int) x509.RevocationListEntry {
			return x509.RevocationListEntry{SerialNumber: big.NewInt(serial), RevocationTime: crlNow.Add(time.Hour), ReasonCode: reason}
		}
		l.RevokedCertificateEntries = []x509.RevocationListEntry{
			reason(1, 1), reason(1, 1), reason(2, 6), reason(3, 8), reason(4, 8), reason(4, 1), reason(5, 1), reason(5, 8),
			{SerialNumber: long, RevocationTime: crlNow}, {SerialNumber: big.NewInt(0), RevocationTime: crlNow},
		}
	})
	for _, c := range []struct {
		serial *big.Int
		want   bool
	}{
		{big.NewInt(1), true}, {big.NewInt(2), true}, {big.NewInt(3), false}, {big.NewInt(4), true}, {big.NewInt(5), true}, {big.NewInt(6), false},
		{long, true}, {new(big.Int).Add(long, big.NewInt(1)), false}, {big.NewInt(0), true}, {big.NewInt(-1), false}, {big.NewInt(256), false},
	} {
		if got := l.Revokes(c.serial); got != c.want {
			t.Errorf("%s: %v, want %v", c.serial, got, c.want)
		}
	}
}

// TestCheckAfter: a list never takes the place of a newer one.
func TestCheckAfter(t *testing.T) {
	ca := newCA(t, "CA", nil, nil)
	list := func(number int64, age time.Duration) *CRL {
		return parsedCRL(t, ca, ca.Numbered(number, age))
	}
	before := list(7, time.Hour)
	for name, c := range map[string]struct {
		list *CRL
		ok   bool
	}{
		"the same": {before, true}, "a newer one": {list(8, time.Minute), true}, "a lower number": {list(6, time.Minute), false}, "an older time": {list(8, 2*time.Hour), false},
	} {
		if err := c.list.CheckAfter(before); (err == nil) != c.ok {
			t.Errorf("%s: %v, want an error: %t", name, err, !c.ok)
		}
	}
	if list(7, -2*time.Minute).CheckIssued(crlNow) == nil || list(7, -30*time.Second).CheckIssued(crlNow) != nil {
		t.Error("lists of the future")
	}
}

// held are lists by the name of their CA.
type held struct {
	of    map[*x509.Certificate][]*CRL
	whole bool
}

func (h held) SignedBy(ca *x509.Certificate) []*CRL { return h.of[ca] }
func (h held) Whole() bool                          { return h.whole }

// TestCheckRevocation: what is on a list was revoked, and what no current list covers is
// not checked.
func TestCheckRevocation(t *testing.T) {
	root := newCA(t, "root", nil, nil)
	ca := newCA(t, "CA", root, nil)
	client := ca.Client(1, "http://a/crl")
	cert := &Certificate{Leaf: client, Authorities: []*x509.Certificate{ca.Certificate, root.Certificate}}
	ended := func(l *x509.RevocationList) { l.NextUpdate = crlNow.Add(-time.Minute) }
	for name, c := range map[string]struct {
		ca, root  []*CRL
		part      bool // not whole
		unchecked string
		refused   string
	}{
		"good":                                 {ca: []*CRL{parsedCRL(t, ca, nil, 2)}},
		"revoked":                              {ca: []*CRL{parsedCRL(t, ca, nil, 1)}, refused: "revoked by the CA"},
		"revoked, long ago":                    {ca: []*CRL{parsedCRL(t, ca, ended, 1)}, refused: "revoked by the CA"},
		"an old list":                          {ca: []*CRL{parsedCRL(t, ca, ended, 2)}, unchecked: "has ended"},
		"a list without an end":                {ca: []*CRL{endless(parsedCRL(t, ca, nil, 2))}, unchecked: "has ended"},
		"no list":                              {unchecked: "no CRL"},
		"a list of CAs":                        {ca: []*CRL{parsedCRL(t, ca, point(t, distributionPoint{OnlyAuthorities: true}), 2)}, unchecked: "does not cover it"},
		"on a list of CAs":                     {ca: []*CRL{parsedCRL(t, ca, point(t, distributionPoint{OnlyAuthorities: true}), 1)}, refused: "revoked by the CA"},
		"a list of users":                      {ca: []*CRL{parsedCRL(t, ca, point(t, distributionPoint{OnlyUsers: true}), 2)}},
		"of its point":                         {ca: []*CRL{parsedCRL(t, ca, point(t, distributionPoint{Name: uri("http://a/crl")}), 2)}},
		"of another point":                     {ca: []*CRL{parsedCRL(t, ca, point(t, distributionPoint{Name: uri("http://b/crl")}), 2)}, unchecked: "does not cover it"},
		"of both points, revoked":              {ca: []*CRL{parsedCRL(t, ca, point(t, distributionPoint{Name: uri("http://a/crl")}), 2), parsedCRL(t, ca, point(t, distributionPoint{Name: uri("http://b/crl")}), 1)}, refused: "revoked by the CA"},
		"an old one and a current one":         {ca: []*CRL{parsedCRL(t, ca, ended, 2), parsedCRL(t, ca, nil, 2)}},
		"a revoked CA":                         {ca: []*CRL{parsedCRL(t, ca, nil, 2)}, root: []*CRL{parsedCRL(t, root, nil, crltest.Serial)}, refused: "a CA that it depends on"},
		"a good CA":                            {ca: []*CRL{parsedCRL(t, ca, nil, 2)}, root: []*CRL{parsedCRL(t, root, nil, 1)}},
		"an old list of the root":              {ca: []*CRL{parsedCRL(t, ca, nil, 2)}, root: []*CRL{parsedCRL(t, root, ended, 1)}, unchecked: "has ended"},
		"a list that may be the root's":        {ca: []*CRL{parsedCRL(t, ca, nil, 2)}, part: true, unchecked: "no CRL"},
		"a revoked CA, and no list of its own": {root: []*CRL{parsedCRL(t, root, nil, crltest.Serial)}, refused: "a CA that it depends on"},
	} {
		unchecked, err := cert.CheckRevocation(held{map[*x509.Certificate][]*CRL{ca.Certificate: c.ca, root.Certificate: c.root}, !c.part}, crlNow)
		if (err != nil) != (c.refused != "") || (unchecked != nil) != (c.unchecked != "") {
			t.Errorf("%s: %v, %v; want an unchecked certificate: %t, a refusal: %t", name, unchecked, err, c.unchecked != "", c.refused != "")
			continue
		}
		if err != nil {
			e := refusal.From(err)
			record(e)
			if e.Status() != 401 || e.Code() != "invalid_client" || !strings.Contains(e.Description, c.refused) || !strings.Contains(e.Cause.Error(), "test.crl") || !strings.Contains(e.Cause.Error(), "serial ") {
				t.Errorf("%s: %v, want 401 invalid_client with %q, and the CRL and the serial number as its cause", name, err, c.refused)
			}
		}
		if unchecked != nil {
			e := unchecked.Refusal()
			record(e)
			if e.Status() != 503 || e.RetryAfter != time.Minute || !strings.Contains(unchecked.Error(), c.unchecked) {
				t.Errorf("%s: %v, want 503 with Retry-After of a minute, because of %q", name, e, c.unchecked)
			}
		}
	}
	anchor := &Certificate{Leaf: client}
	if unchecked, err := anchor.CheckRevocation(held{whole: true}, crlNow); unchecked != nil || err != nil {
		t.Errorf("a certificate that the site trusts by itself: %v, %v", unchecked, err)
	}
}

func endless(l *CRL) *CRL {
	l.NextUpdate = time.Time{}
	return l
}

// TestCheckRevocationCost: the guard asks with every request.
func TestCheckRevocationCost(t *testing.T) {
	ca := newCA(t, "CA", nil, nil)
	cert := &Certificate{Leaf: ca.Client(1), Authorities: []*x509.Certificate{ca.Certificate}}
	var lists CRLs = held{map[*x509.Certificate][]*CRL{ca.Certificate: {parsedCRL(t, ca, nil, 2, 3, 4)}}, true}
	n := testing.AllocsPerRun(100, func() {
		if unchecked, err := cert.CheckRevocation(lists, crlNow); unchecked != nil || err != nil {
			t.Fatalf("unchecked %v, %v; want a check that passes", unchecked, err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzParseCRL: whatever an address answers is a list or an error, in bounded time.
func FuzzParseCRL(f *testing.F) {
	ca := newCA(f, "CA", nil, nil)
	client := ca.Client(1)
	f.Add(ca.List(nil, 1, 2))
	f.Add(ca.List(point(f, distributionPoint{Name: uri("http://a/crl"), OnlyUsers: true}), 1))
	f.Add([]byte("-----BEGIN X509 CRL-----\n-----END X509 CRL-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := ParseCRL(data)
		if err != nil {
			return
		}
		_ = l.Verify(ca.Certificate)
		_ = l.Revokes(client.SerialNumber) && l.Covers(client) && l.Current(crlNow)
		_ = l.String()
		if err := l.CheckAfter(l); err != nil || !l.Same(l) {
			t.Errorf("a list after itself: %v", err)
		}
	})
}
