package verify

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
)

// crlScope is which certificates of its CA a list is about (RFC 5280 5.2.5).
type crlScope struct {
	// raw is the extension that says it, nil for none: then it is all of them.
	raw []byte
	// users and authorities: it has those of users, those of CAs.
	users, authorities bool
	// named: it has only those that name one of uris as their distribution point.
	named bool
	uris  []string
}

// The extensions of a list and of its entries (RFC 5280 5.2, 5.3).
var (
	deltaIndicator           = asn1.ObjectIdentifier{2, 5, 29, 27}
	issuingDistributionPoint = asn1.ObjectIdentifier{2, 5, 29, 28}
	certificateIssuer        = asn1.ObjectIdentifier{2, 5, 29, 29}

	listExtensions = []asn1.ObjectIdentifier{
		issuingDistributionPoint,
		{2, 5, 29, 18}, {2, 5, 29, 20}, {2, 5, 29, 35}, {2, 5, 29, 46}, // issuerAltName, cRLNumber, authorityKeyIdentifier, freshestCRL
		{1, 3, 6, 1, 5, 5, 7, 1, 1}, // authorityInfoAccess
	}
	entryExtensions = []asn1.ObjectIdentifier{{2, 5, 29, 21}, {2, 5, 29, 24}} // cRLReason, invalidityDate
)

var (
	errDelta    = errors.New("it has only what has changed since another list (delta CRL)")
	errIndirect = errors.New("it is about certificates of other CAs too (indirect CRL)")
)

func readCRLScope(extensions []pkix.Extension) (crlScope, error) {
	scope := crlScope{users: true, authorities: true}
	for i, e := range extensions {
		switch {
		case slices.ContainsFunc(extensions[:i], func(before pkix.Extension) bool { return before.Id.Equal(e.Id) }):
			return scope, fmt.Errorf("it has the extension %s twice", e.Id)
		case e.Id.Equal(deltaIndicator):
			return scope, errDelta
		case e.Critical && !slices.ContainsFunc(listExtensions, e.Id.Equal):
			return scope, fmt.Errorf("it has a critical extension that is not known here: %s", e.Id)
		case e.Id.Equal(issuingDistributionPoint):
			if err := scope.read(e.Value); err != nil {
				return scope, err
			}
		}
	}
	return scope, nil
}

// distributionPoint is the extension of a list (RFC 5280 5.2.5).
type distributionPoint struct {
	Name            pointName      `asn1:"optional,tag:0"`
	OnlyUsers       bool           `asn1:"optional,tag:1"`
	OnlyAuthorities bool           `asn1:"optional,tag:2"`
	SomeReasons     asn1.BitString `asn1:"optional,tag:3"`
	Indirect        bool           `asn1:"optional,tag:4"`
	OnlyAttributes  bool           `asn1:"optional,tag:5"`
}

type pointName struct {
	Full     []asn1.RawValue `asn1:"optional,tag:0"`
	Relative asn1.RawValue   `asn1:"optional,tag:1"`
}

// uriName is the tag of a URI among GeneralNames.
const uriName = 6

func (s *crlScope) read(der []byte) error {
	var point distributionPoint
	rest, err := asn1.Unmarshal(der, &point)
	switch {
	case err != nil:
		return fmt.Errorf("its issuingDistributionPoint cannot be read: %w", err)
	case len(rest) > 0:
		return errors.New("its issuingDistributionPoint cannot be read")
	case point.Indirect:
		return errIndirect
	case point.SomeReasons.BitLength > 0:
		return errors.New("it has only certificates that were revoked for some reasons")
	case point.OnlyAttributes, point.OnlyUsers && point.OnlyAuthorities:
		return errors.New("it has no certificates of clients, nor of CAs")
	}
	s.raw, s.users, s.authorities = der, !point.OnlyAuthorities, !point.OnlyUsers
	s.named = len(point.Name.Full) > 0 || len(point.Name.Relative.FullBytes) > 0
	for _, name := range point.Name.Full {
		if name.Class == asn1.ClassContextSpecific && name.Tag == uriName {
			s.uris = append(s.uris, string(name.Bytes))
		}
	}
	return nil
}

// Covers tells whether a certificate of the list's CA would be on it if it were revoked
// (RFC 5280 6.3.3 b 2).
func (l *CRL) Covers(c *x509.Certificate) bool {
	if c.IsCA && !l.scope.authorities || !c.IsCA && !l.scope.users {
		return false
	}
	return !l.scope.named || slices.ContainsFunc(l.scope.uris, func(uri string) bool { return slices.Contains(c.CRLDistributionPoints, uri) })
}
