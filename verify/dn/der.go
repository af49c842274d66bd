package dn

import (
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cryptoasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// The string types of X.520 that encoding/asn1 has no name for.
const (
	tagTeletex   = 20
	tagVisible   = 26
	tagUniversal = 28
)

// maxRDNs bounds a name from a certificate. Real ones have four to ten.
const maxRDNs = 32

// SubjectText is a DER Name as text, and where it cannot be read why, in parentheses.
func SubjectText(der []byte) string {
	dn, err := ParseSubject(der)
	if err != nil {
		return "(" + err.Error() + ")"
	}
	return dn.String()
}

// ParseSubject reads a DER Name: a certificate's RawSubject. Order and every
// attribute are kept, unlike in Go's pkix.Name, which drops, re-tags and reorders.
func ParseSubject(der []byte) (Name, error) {
	in := cryptobyte.String(der)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, cryptoasn1.SEQUENCE) || !in.Empty() {
		return nil, errors.New("subject is not a DER name")
	}
	var name Name
	for !seq.Empty() {
		var set cryptobyte.String
		if !seq.ReadASN1(&set, cryptoasn1.SET) || set.Empty() {
			return nil, errors.New("subject has a malformed RDN")
		}
		var rdn RDN
		for !set.Empty() {
			a, err := readAttribute(&set)
			if err != nil {
				return nil, err
			}
			rdn = append(rdn, a)
		}
		if len(rdn) > maxRDNs || len(name) == maxRDNs {
			return nil, fmt.Errorf("subject has more than %d parts", maxRDNs)
		}
		name = append(name, rdn)
	}
	return name, nil
}

func readAttribute(set *cryptobyte.String) (Attribute, error) {
	var seq, value cryptobyte.String
	var oid asn1.ObjectIdentifier
	var tag cryptoasn1.Tag
	if !set.ReadASN1(&seq, cryptoasn1.SEQUENCE) || !seq.ReadASN1ObjectIdentifier(&oid) ||
		!seq.ReadAnyASN1Element(&value, &tag) || !seq.Empty() {
		return Attribute{}, errors.New("subject has a malformed attribute")
	}
	a := Attribute{OID: oid.String()}
	s, err := decodeString(value)
	switch {
	case errors.Is(err, errNoString):
		a.Value, a.Binary = "#"+hex.EncodeToString(value), true
	case err != nil:
		return Attribute{}, fmt.Errorf("subject attribute %s: %w", a.OID, err)
	default:
		a.Value = s
	}
	return a, nil
}

var errNoString = errors.New("not a string type")

// decodeString decodes any of the ASN.1 string types that a DirectoryString or
// an IA5String attribute may have.
func decodeString(element cryptobyte.String) (string, error) {
	var value cryptobyte.String
	var tag cryptoasn1.Tag
	if !element.ReadAnyASN1(&value, &tag) || !element.Empty() {
		return "", errors.New("malformed value")
	}
	switch uint8(tag) {
	case asn1.TagUTF8String:
		if !utf8.Valid(value) {
			return "", errors.New("UTF8String is not UTF-8")
		}
		return string(value), nil
	case asn1.TagPrintableString, asn1.TagIA5String, asn1.TagNumericString, tagVisible:
		for _, c := range value {
			if c >= 0x80 {
				return "", errors.New("not ASCII where ASCII is due")
			}
		}
		return string(value), nil
	case tagTeletex: // issued as Latin-1 by everybody who still issues it
		runes := make([]rune, len(value))
		for i, c := range value {
			runes[i] = rune(c)
		}
		return string(runes), nil
	case asn1.TagBMPString:
		if len(value)%2 != 0 {
			return "", errors.New("BMPString of odd length")
		}
		units := make([]uint16, len(value)/2)
		for i := range units {
			units[i] = uint16(value[2*i])<<8 | uint16(value[2*i+1])
		}
		return onlyRunes(utf16.Decode(units))
	case tagUniversal:
		if len(value)%4 != 0 {
			return "", errors.New("UniversalString of odd length")
		}
		runes := make([]rune, len(value)/4)
		for i := range runes {
			runes[i] = rune(uint32(value[4*i])<<24 | uint32(value[4*i+1])<<16 | uint32(value[4*i+2])<<8 | uint32(value[4*i+3]))
		}
		return onlyRunes(runes)
	}
	return "", errNoString
}

// onlyRunes refuses what is no character, and the mark that a decoder leaves in
// its place: all of them would become the same text, so different names Equal.
func onlyRunes(runes []rune) (string, error) {
	for _, r := range runes {
		if !utf8.ValidRune(r) || r == utf8.RuneError {
			return "", errors.New("holds what is no character")
		}
	}
	return string(runes), nil
}
