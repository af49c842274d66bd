package directory

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"time"
)

// RevocationList is the list (DER) of the authority that issues transport certificates:
// its number, until when it is current, and the certificates on it.
func (d *Directory) RevocationList(number int64, until time.Time, revoked ...tls.Certificate) ([]byte, error) {
	template := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: until}
	if until.Before(template.ThisUpdate) {
		template.ThisUpdate = until.Add(-time.Hour)
	}
	for _, c := range revoked {
		leaf, err := x509.ParseCertificate(c.Certificate[0])
		if err != nil {
			return nil, err
		}
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: leaf.SerialNumber, RevocationTime: time.Now()})
	}
	list, err := x509.CreateRevocationList(rand.Reader, template, d.issuing.certificate, d.issuing.key)
	if err != nil {
		return nil, fmt.Errorf("revocation list: %w", err)
	}
	return list, nil
}
