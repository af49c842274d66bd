package dn

import (
	"encoding/hex"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cryptoasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// What a refusal names is copied and sent back. On its way into error_description it
// loses what that must not hold (RFC 6749 5.2): quotation marks, backslashes, and what
// is not ASCII. So such a name has none of them.

// PlainText is RFC 4514 text in which each value that needs an escape, or that a
// description cannot hold, is "#hex" of its UTF8String.
func (d Name) PlainText() string { return d.text(plainValue) }

func plainValue(b *strings.Builder, v string) {
	if v != "" && v[0] != ' ' && v[0] != '#' && v[len(v)-1] != ' ' && !strings.ContainsFunc(v, needsHex) {
		b.WriteString(v)
		return
	}
	hexValue(b, v)
}

// needsHex tells of the apostrophe too: a description quotes with it.
func needsHex(r rune) bool {
	return r < 0x20 || r > 0x7e || strings.ContainsRune(`"+,;<>\'`, r)
}

func hexValue(b *strings.Builder, v string) {
	var der cryptobyte.Builder
	der.AddASN1(cryptoasn1.UTF8String, func(c *cryptobyte.Builder) { c.AddBytes([]byte(v)) })
	b.WriteByte('#')
	b.WriteString(hex.EncodeToString(der.BytesOrPanic()))
}

// nameless tells whether no value of the name is anything: it would name whoever has
// another such certificate.
func (d Name) HasNoValue() bool {
	return !slices.ContainsFunc(d, func(rdn RDN) bool {
		return slices.ContainsFunc(rdn, func(a Attribute) bool { return a.Binary || prepare(a.Value) != "" })
	})
}
