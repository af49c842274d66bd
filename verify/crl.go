package verify

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// MaxCRL is the size of a certificate revocation list, in bytes. While one of that size
// is read it takes some 200 MB.
const MaxCRL = 16 << 20

// CRL is a certificate revocation list (RFC 5280 5): complete, of the one CA that issued
// the certificates in it, and signed by that CA. What it says counts once Verify has
// found so.
type CRL struct {
	// From is the file or address that it was read from, for logs.
	From string
	// Raw is its DER.
	Raw []byte
	// Number grows with each list of a CA (RFC 5280 5.2.3), nil where the CA numbers none.
	Number *big.Int
	// ThisUpdate is when it was issued, NextUpdate until when there will be another one:
	// zero where it does not say.
	ThisUpdate, NextUpdate time.Time

	list    *x509.RevocationList // without its entries
	scope   crlScope
	revoked map[string]struct{} // serial numbers, big-endian
}

// maxCRLNumber is the length of a list's number (RFC 5280 5.2.3), in bits.
const maxCRLNumber = 160

// ParseCRL reads a list, in DER or PEM. A list that is not the whole truth about one CA is
// an error: one of changes only (delta), one about other CAs too (indirect), one of some
// reasons only, and one with a critical extension that is not known here, of it or of an
// entry (RFC 5280 5.2, 5.3).
func ParseCRL(data []byte) (*CRL, error) {
	if len(data) > MaxCRL {
		return nil, fmt.Errorf("longer than %d bytes", MaxCRL)
	}
	if block, _ := pem.Decode(data); block != nil {
		if block.Type != "X509 CRL" {
			return nil, fmt.Errorf("a PEM block of type %q, not X509 CRL", block.Type)
		}
		data = block.Bytes
	}
	list, err := x509.ParseRevocationList(data)
	if err != nil {
		return nil, err
	}
	l := &CRL{Raw: list.Raw, Number: list.Number, ThisUpdate: list.ThisUpdate, NextUpdate: list.NextUpdate, list: list}
	if l.Number != nil && (l.Number.Sign() < 0 || l.Number.BitLen() > maxCRLNumber) {
		return nil, errors.New("its number is negative, or longer than 20 octets")
	}
	if l.scope, err = readCRLScope(list.Extensions); err != nil {
		return nil, err
	}
	if l.revoked, err = readEntries(list.RevokedCertificateEntries); err != nil {
		return nil, err
	}
	list.RevokedCertificateEntries = nil
	list.RevokedCertificates = nil //lint:ignore SA1019 it holds as much memory as the other
	return l, nil
}

// removed is the reason of an entry that says that a certificate is good again
// (removeFromCRL). It belongs into lists of changes, and revokes nothing here.
const removed = 8

func readEntries(entries []x509.RevocationListEntry) (map[string]struct{}, error) {
	revoked := make(map[string]struct{}, len(entries))
	for i := range entries {
		e := &entries[i]
		for _, extension := range e.Extensions {
			switch {
			case extension.Id.Equal(certificateIssuer):
				return nil, errIndirect
			case extension.Critical && !slices.ContainsFunc(entryExtensions, extension.Id.Equal):
				return nil, fmt.Errorf("an entry has a critical extension that is not known here: %s", extension.Id)
			}
		}
		if e.ReasonCode != removed {
			revoked[string(serialKey(e.SerialNumber, nil))] = struct{}{}
		}
	}
	return revoked, nil
}

// maxSerial is how long a serial number may be for which serialKey needs no memory of its
// own. RFC 5280 4.1.2.2 allows 20.
const maxSerial = 32

// serialKey is a serial number as the entries have it, in room where it fits.
func serialKey(serial *big.Int, room []byte) []byte {
	if n := (serial.BitLen() + 7) / 8; serial.Sign() >= 0 && n <= len(room) {
		return serial.FillBytes(room[:n])
	}
	key := serial.Bytes()
	if serial.Sign() < 0 {
		key = append([]byte("-"), key...)
	}
	return key
}

// Issuer is the name of its CA, DER.
func (l *CRL) Issuer() []byte { return l.list.RawIssuer }

// Of tells whether the list says that it is a CA's: by its name, byte for byte, and by its
// key where both say which (RFC 5280 6.3.3 f). Nobody has verified that.
func (l *CRL) Of(ca *x509.Certificate) bool {
	return bytes.Equal(l.list.RawIssuer, ca.RawSubject) &&
		(len(l.list.AuthorityKeyId) == 0 || len(ca.SubjectKeyId) == 0 || bytes.Equal(l.list.AuthorityKeyId, ca.SubjectKeyId))
}

// Verify tells whether the CA has signed the list, and may sign lists (cRLSign, RFC 5280
// 6.3.3 f). The CA's certificate must have been verified.
func (l *CRL) Verify(ca *x509.Certificate) error {
	switch {
	case !l.Of(ca):
		return errors.New("it is another CA's")
	case l.list.SignatureAlgorithm == x509.SHA1WithRSA || l.list.SignatureAlgorithm == x509.ECDSAWithSHA1:
		return fmt.Errorf("it is signed with %s", l.list.SignatureAlgorithm)
	}
	return l.list.CheckSignatureFrom(ca)
}

// Same tells whether two lists of one CA are about the same certificates, so that one of
// them stands in the place of the other.
func (l *CRL) Same(other *CRL) bool {
	return bytes.Equal(l.list.RawIssuer, other.list.RawIssuer) && bytes.Equal(l.scope.raw, other.scope.raw)
}

// CheckAfter tells why the list must not take the place of one from before: it is older.
// Whoever stands between the gateway and the CA can send an old list, signed as it is.
func (l *CRL) CheckAfter(before *CRL) error {
	switch {
	case l.Number != nil && before.Number != nil && l.Number.Cmp(before.Number) < 0:
		return fmt.Errorf("its number %s is lower than %s, that of the list before", l.Number, before.Number)
	case l.ThisUpdate.Before(before.ThisUpdate):
		return fmt.Errorf("it was issued at %s, before the list before, at %s", shownTime(l.ThisUpdate), shownTime(before.ThisUpdate))
	}
	return nil
}

// CheckIssued tells why the list is from the future.
func (l *CRL) CheckIssued(now time.Time) error {
	if l.ThisUpdate.After(now.Add(DefaultSkew)) {
		return fmt.Errorf("it is issued at %s, which is yet to come", shownTime(l.ThisUpdate))
	}
	return nil
}

// Current tells whether the list has not ended. One that does not say when it ends has.
func (l *CRL) Current(now time.Time) bool { return now.Before(l.NextUpdate) }

// Revokes tells whether the serial number is on the list.
func (l *CRL) Revokes(serial *big.Int) bool {
	var room [maxSerial]byte
	_, is := l.revoked[string(serialKey(serial, room[:]))]
	return is
}

// Len is how many serial numbers are on the list.
func (l *CRL) Len() int { return len(l.revoked) }

// String names the list, for logs.
func (l *CRL) String() string {
	number := "without a number"
	if l.Number != nil {
		number = "number " + l.Number.String()
	}
	return fmt.Sprintf("%s (%s, issued %s)", l.From, number, shownTime(l.ThisUpdate))
}

func shownTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }
