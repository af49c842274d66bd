package dn

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// DCR 3.4 has a pattern for tls_client_auth_subject_dn: CN first, no blank after a comma,
// no comma in a value, at most 512 characters.

const MaxPatternLength = 512

var dnPattern = regexp.MustCompile(`^[Cc][Nn]=[^,]+(?:,[^,\s\p{Z}]+=[^,]+)*$`)

const CommonName = "2.5.4.3"

func FollowsPattern(text string) bool {
	return utf8.RuneCountInString(text) <= MaxPatternLength && dnPattern.MatchString(text)
}

// FitsPattern is FollowsPattern for what a TPP sends: a comma in a value may be escaped
// as most software does (RFC 4514 2.4), which the pattern has forgotten.
func FitsPattern(text string) bool {
	return FollowsPattern(escapedComma.ReplaceAllStringFunc(text, func(pair string) string {
		if pair == `\,` {
			return `\2C`
		}
		return pair
	}))
}

// escapedComma finds every pair that a backslash begins, so that the second of `\\,` is
// not taken for a first.
var escapedComma = regexp.MustCompile(`\\.`)

// PatternText is RFC 4514 text that follows the pattern: it has the RDN of the CN first,
// wherever that is in the certificate. A name without CN, or a longer one, cannot follow it.
func (d Name) PatternText() string { return d.CommonNameFirst().text(patternValue) }

func patternValue(b *strings.Builder, v string) {
	if v == "" { // the pattern wants a character
		hexValue(b, v)
		return
	}
	var escaped strings.Builder
	escapeValue(&escaped, v)
	b.WriteString(strings.ReplaceAll(escaped.String(), `\,`, `\2C`))
}

// CommonNameFirst is the name so that its text begins with the CN: as it is, reversed, or
// else with that RDN moved.
func (d Name) CommonNameFirst() Name {
	isCN := func(a Attribute) bool { return a.OID == CommonName }
	has := func(rdn RDN) bool { return slices.ContainsFunc(rdn, isCN) }
	if !slices.ContainsFunc(d, has) {
		return d
	}
	d = slices.Clone(d) // text writes the last RDN first
	last := len(d) - 1
	switch {
	case has(d[last]):
	case has(d[0]):
		slices.Reverse(d)
	default:
		i := slices.IndexFunc(d, has)
		rdn := d[i]
		d = append(slices.Delete(d, i, i+1), rdn)
	}
	rdn := slices.Clone(d[last])
	i := slices.IndexFunc(rdn, isCN)
	rdn[0], rdn[i] = rdn[i], rdn[0]
	d[last] = rdn
	return d
}
