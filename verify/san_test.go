package verify

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/dn/dntest"
)

const (
	sanDNS, sanURI  = "tls_client_auth_san_dns", "tls_client_auth_san_uri"
	sanIP, sanEmail = "tls_client_auth_san_ip", "tls_client_auth_san_email"
)

func TestReadSAN(t *testing.T) {
	long := strings.Repeat("a", 60) + "."
	for _, tc := range []struct{ name, claim, value, want, refused string }{
		{"DNS name", sanDNS, "tpp.example", "tpp.example", ""},
		{"DNS name in capitals", sanDNS, "TPP.Example", "tpp.example", ""},
		{"A-label", sanDNS, "xn--bnk-qla.example", "xn--bnk-qla.example", ""},
		{"underscore", sanDNS, "_a.tpp.example", "_a.tpp.example", ""},
		{"one label", sanDNS, "tpp", "tpp", ""},
		{"U-label", sanDNS, "b\u00e4nk.example", "", "xn--"},
		{"Kelvin sign", sanDNS, "ban\u212a.example", "", "not printable ASCII"},
		{"wildcard", sanDNS, "*.example", "", "wildcard"},
		{"wildcard inside", sanDNS, "a*.example", "", "wildcard"},
		{"address as DNS name", sanDNS, "192.0.2.1", "", "no DNS name"},
		{"dot at the end", sanDNS, "tpp.example.", "", "no DNS name"},
		{"dot at the front", sanDNS, ".example", "", "no DNS name"},
		{"hyphen at an end", sanDNS, "tpp-.example", "", "no DNS name"},
		{"label of 63", sanDNS, strings.Repeat("a", 63) + ".example", strings.Repeat("a", 63) + ".example", ""},
		{"label of 64", sanDNS, strings.Repeat("a", 64) + ".example", "", "no DNS name"},
		{"with a port", sanDNS, "tpp.example:443", "", "no DNS name"},
		{"NUL", sanDNS, "tpp.example\x00.evil.example", "", "not printable ASCII"},
		{"blank", sanDNS, "tpp.example ", "", "not printable ASCII"},
		{"empty", sanDNS, "", "", "empty"},
		{"256 bytes", sanDNS, strings.Repeat(long, 4) + strings.Repeat("a", 12), strings.Repeat(long, 4) + strings.Repeat("a", 12), ""},
		{"257 bytes", sanDNS, strings.Repeat(long, 4) + strings.Repeat("a", 13), "", "257 bytes, at most 256"},
		{"URI is kept", sanURI, "HTTPS://TPP.example/a/../%7e?b", "HTTPS://TPP.example/a/../%7e?b", ""},
		{"URN", sanURI, "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", ""},
		{"relative", sanURI, "//tpp.example/a", "", "no URI"},
		{"no URI", sanURI, "https://[", "", "no URI"},
		{"URI wildcard", sanURI, "https://*.example/", "", "wildcard"},
		{"IPv4", sanIP, "192.0.2.1", "192.0.2.1", ""},
		{"IPv6", sanIP, "2001:DB8:0::1", "2001:db8::1", ""},
		{"IPv4-mapped", sanIP, "::ffff:192.0.2.1", "192.0.2.1", ""},
		{"with a zone", sanIP, "fe80::1%eth0", "", "no IP address"},
		{"mapped with a zone", sanIP, "::ffff:192.0.2.1%1", "", "no IP address"},
		{"leading zeros", sanIP, "192.0.02.1", "", "no IP address"},
		{"short form", sanIP, "127.1", "", "no IP address"},
		{"prefix", sanIP, "192.0.2.0/24", "", "no IP address"},
		{"email", sanEmail, "Ops@TPP.Example", "Ops@tpp.example", ""},
		{"at sign in the local part", sanEmail, `"a@b"@tpp.example`, `"a@b"@tpp.example`, ""},
		{"no local part", sanEmail, "@tpp.example", "", "no email"},
		{"no domain", sanEmail, "ops@", "", "no email"},
		{"no at sign", sanEmail, "tpp.example", "", "no email"},
		{"address as domain", sanEmail, "ops@192.0.2.1", "", "no email"},
		{"DN claim", "tls_client_auth_subject_dn", "CN=x", "", "no claim"},
		{"unknown claim", "tls_client_auth_san_rid", "1.2.3", "", "no claim"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ReadSAN(tc.claim, tc.value)
			if tc.refused == "" && (err != nil || got != tc.want) {
				t.Errorf("got %q, %v", got, err)
			}
			if tc.refused != "" && (err == nil || got != "" || !strings.Contains(err.Error(), tc.refused)) {
				t.Errorf("got %q, %v, want %q", got, err, tc.refused)
			}
		})
	}
}

// generalName is one name as it goes into the DER of the extension.
type generalName struct {
	tag   int
	value string
}

// withSAN adds the extension as a CA may write it, not as Go does.
func withSAN(t testing.TB, names ...generalName) func(*x509.Certificate) {
	t.Helper()
	var seq []byte
	for _, n := range names {
		seq = append(seq, dntest.Marshal(t, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: n.tag, Bytes: []byte(n.value), IsCompound: n.tag == 4})...)
	}
	value := dntest.Marshal(t, asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: seq})
	return func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: value})
	}
}

// certificate issues and reads one with the CN x.
func certificate(t testing.TB, change ...func(*x509.Certificate)) *Certificate {
	t.Helper()
	c, err := ReadCertificate(issue(t, dntest.Subject(t, dntest.RDN(dntest.UTF8String("2.5.4.3", "x"))), ecKey(), change...), noon)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestHasSAN(t *testing.T) {
	const email, dns, directory, uri, ip = 1, 2, 4, 6, 7
	c := certificate(t, withSAN(t,
		generalName{dns, "TPP.example"}, generalName{dns, "*.wild.example"}, generalName{dns, "nul.example\x00.evil.example"}, generalName{dns, "b\x7fnk.example"},
		generalName{uri, "HTTPS://TPP.example/A%7e#x"}, generalName{uri, "urn:x:1"}, generalName{uri, "abcd::1"}, generalName{uri, "mailto:a@tpp.example"},
		generalName{ip, "\xc0\x00\x02\x01"}, generalName{ip, "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x01"},
		generalName{ip, strings.Repeat("\x00", 10) + "\xff\xff\xc0\x00\x02\x07"},
		generalName{email, "Ops@TPP.example"}, generalName{email, "nul@tpp.example\x00"},
		generalName{directory, string(dntest.Subject(t, dntest.RDN(dntest.UTF8String("2.5.4.3", "dir.example"))))}, generalName{8, "\x2a\x03"}))
	for _, tc := range []struct {
		name, claim, value string
		want               bool
	}{
		{"DNS name", sanDNS, "tpp.example", true},
		{"DNS name in capitals", sanDNS, "TPP.EXAMPLE", true},
		{"name below it", sanDNS, "a.tpp.example", false},
		{"name above it", sanDNS, "example", false},
		{"prefix of it", sanDNS, "tpp.exampl", false},
		{"what a wildcard covers", sanDNS, "a.wild.example", false},
		{"the wildcard itself", sanDNS, "*.wild.example", false},
		{"what is before a NUL", sanDNS, "nul.example", false},
		{"with the NUL", sanDNS, "nul.example\x00.evil.example", false},
		{"DEL", sanDNS, "b\x7fnk.example", false},
		{"name of a URI", sanDNS, "urn:x:1", false},
		{"common name", sanDNS, "x", false},
		{"directory name", sanDNS, "dir.example", false},
		{"URI", sanURI, "HTTPS://TPP.example/A%7e#x", true},
		{"URI as Go writes it", sanURI, "https://TPP.example/A%7e#x", false},
		{"URI, other host case", sanURI, "HTTPS://tpp.example/A%7e#x", false},
		{"URI, other escape", sanURI, "HTTPS://TPP.example/A~#x", false},
		{"URI without its fragment", sanURI, "HTTPS://TPP.example/A%7e", false},
		{"second URI", sanURI, "urn:x:1", true},
		{"IPv4", sanIP, "192.0.2.1", true},
		{"IPv4-mapped for IPv4", sanIP, "::ffff:192.0.2.1", true},
		{"IPv4 for IPv4-mapped", sanIP, "192.0.2.7", true},
		{"IPv6", sanIP, "2001:0DB8::0:1", true},
		{"other IPv6", sanIP, "2001:db8::2", false},
		{"IP that is a URI", sanIP, "abcd::1", false},
		{"email that is a URI", sanEmail, "mailto:a@tpp.example", false},
		{"IP as DNS name", sanDNS, "192.0.2.1", false},
		{"email", sanEmail, "Ops@tpp.EXAMPLE", true},
		{"email, local part in other case", sanEmail, "ops@tpp.example", false},
		{"email with NUL", sanEmail, "nul@tpp.example", false},
		{"DN", "tls_client_auth_subject_dn", "CN=x", false},
		{"registered id", "tls_client_auth_san_rid", "1.2.3", false},
		{"nothing", sanDNS, "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := c.HasSAN(tc.claim, tc.value); got != tc.want {
				t.Errorf("HasSAN is %v", got)
			}
		})
	}
}

// What Go itself issues, and what it lets nobody parse.
func TestHasSANMalformed(t *testing.T) {
	c := certificate(t, func(c *x509.Certificate) {
		c.DNSNames, c.EmailAddresses = []string{"tpp.example"}, []string{"ops@tpp.example"}
	})
	if !c.HasSAN(sanDNS, "tpp.example") || !c.HasSAN(sanEmail, "ops@tpp.example") || c.HasSAN(sanIP, "192.0.2.1") {
		t.Error("a certificate of Go's own making is read otherwise")
	}
	if certificate(t).HasSAN(sanDNS, "x") {
		t.Error("no names, and one is found")
	}
	i := slices.IndexFunc(c.Leaf.Extensions, func(e pkix.Extension) bool { return e.Id.String() == "2.5.29.17" })
	for name, value := range map[string][]byte{
		"cut":               c.Leaf.Extensions[i].Value[:len(c.Leaf.Extensions[i].Value)-1],
		"text after it":     append(slices.Clone(c.Leaf.Extensions[i].Value), 0),
		"no sequence":       {4, 0},
		"empty":             {},
		"name cut":          {0x30, 4, 0x82, 9, 'a', 'b'},
		"address of 5":      append([]byte{0x30, 20, 0x87, 5, 1, 2, 3, 4, 5}, append([]byte{0x82, 11}, "tpp.example"...)...),
		"constructed name":  append([]byte{0x30, 13, 0xa2, 11}, "tpp.example"...),
		"name of no tag":    append([]byte{0x30, 13, 0x02, 11}, "tpp.example"...),
		"above ASCII":       append([]byte{0x30, 13, 0x82, 11}, "tpp\xe2example"...),
		"a sequence before": append([]byte{0x30, 0}, c.Leaf.Extensions[i].Value...),
	} {
		leaf := *c.Leaf
		leaf.Extensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: value}}
		if (&Certificate{Leaf: &leaf}).HasSAN(sanDNS, "tpp.example") {
			t.Errorf("%s: has the name", name)
		}
	}
	twice := *c.Leaf
	twice.Extensions = append(slices.Clone(c.Leaf.Extensions), c.Leaf.Extensions[i])
	if (&Certificate{Leaf: &twice}).HasSAN(sanDNS, "tpp.example") {
		t.Error("an extension that is there twice is read")
	}
}
