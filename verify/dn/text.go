package dn

import (
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"golang.org/x/crypto/cryptobyte"
)

// Parse reads a distinguished name as TPP software writes it: RFC 4514, with
// the short names and dotted OIDs of attributeNames, an "OID." prefix, blanks
// around separators, \, and \2C escapes, quoted values, '+', "#hex" values, and
// the slash form of OpenSSL's oneline, with its \xC3. A value may be empty, as in
// some certificates. At most MaxLength bytes.
//
// No library does it all (the LDAP one knows neither quotes nor slashes nor
// BMPString), and what is read here is compared with a certificate: a trust decision.
func Parse(text string) (Name, error) {
	switch {
	case len(text) > MaxLength:
		return nil, fmt.Errorf("longer than %d bytes", MaxLength)
	case !utf8.ValidString(text):
		return nil, errors.New("not UTF-8")
	case strings.HasPrefix(text, "/"):
		return parseSlashes(text)
	}
	s := dnScanner{rest: text}
	var name Name
	for {
		rdn, err := s.rdn()
		if err != nil {
			return nil, err
		}
		name = append(name, rdn)
		if s.rest == "" {
			return name, nil
		}
		s.rest = s.rest[1:] // , or ;
	}
}

type dnScanner struct{ rest string }

// rdn reads attributes up to a ',' or ';' or the end.
func (s *dnScanner) rdn() (RDN, error) {
	var rdn RDN
	for {
		a, err := s.attribute()
		if err != nil {
			return nil, err
		}
		rdn = append(rdn, a)
		if !strings.HasPrefix(s.rest, "+") {
			return rdn, nil
		}
		s.rest = s.rest[1:]
	}
}

func (s *dnScanner) attribute() (Attribute, error) {
	name, rest, ok := strings.Cut(s.rest, "=")
	if !ok {
		return Attribute{}, fmt.Errorf("%s has no '='", refusal.Quote(s.rest))
	}
	oid, err := attributeOID(name)
	if err != nil {
		return Attribute{}, err
	}
	s.rest = strings.TrimLeft(rest, " ")
	a := Attribute{OID: oid}
	switch {
	case strings.HasPrefix(s.rest, "#"):
		a.Value, a.Binary, err = s.hexValue()
	case strings.HasPrefix(s.rest, `"`):
		a.Value, err = s.quoted()
	default:
		a.Value, err = s.plain()
	}
	if err != nil {
		return Attribute{}, fmt.Errorf("%s: %w", refusal.Quote(name), err)
	}
	return a, nil
}

// attributeOID is the dotted OID of an attribute's name.
func attributeOID(name string) (string, error) {
	name = strings.ToLower(strings.TrimSpace(name))
	if oid, ok := attributeNames[name]; ok {
		return oid, nil
	}
	oid := strings.TrimPrefix(name, "oid.")
	if parsed, err := x509.ParseOID(oid); err != nil || parsed.String() != oid { // leading zeros would be a second spelling
		return "", fmt.Errorf("%s is no attribute type that is known; write its dotted OID", refusal.Quote(name))
	}
	return oid, nil
}

// hexValue reads "#" and the DER of a value.
func (s *dnScanner) hexValue() (value string, binary bool, err error) {
	end := strings.IndexAny(s.rest, ",;+ ")
	if end < 0 {
		end = len(s.rest)
	}
	text := s.rest[1:end]
	s.rest = strings.TrimLeft(s.rest[end:], " ")
	if s.rest != "" && strings.IndexByte(",;+", s.rest[0]) < 0 {
		return "", false, errors.New("text after a '#' value")
	}
	if text == "" { // as OpenSSL writes the value "#"; RFC 4514 2.4 has no hexadecimal value without digits
		return "#", false, nil
	}
	der, err := hex.DecodeString(text)
	if err != nil {
		return "", false, errors.New("a '#' value is not hexadecimal")
	}
	value, err = decodeString(cryptobyte.String(der))
	if errors.Is(err, errNoString) {
		return "#" + hex.EncodeToString(der), true, nil
	}
	return value, false, err
}

// quoted reads a value in quotes (RFC 2253 4 and .NET; a doubled quote is one).
func (s *dnScanner) quoted() (string, error) {
	var b strings.Builder
	for i := 1; i < len(s.rest); i++ {
		c := s.rest[i]
		switch {
		case c == '\\':
			n, err := unescape(&b, s.rest[i:])
			if err != nil {
				return "", err
			}
			i += n - 1
		case c == '"' && strings.HasPrefix(s.rest[i+1:], `"`):
			b.WriteByte('"')
			i++
		case c == '"':
			s.rest = strings.TrimLeft(s.rest[i+1:], " ")
			if s.rest != "" && strings.IndexByte(",;+", s.rest[0]) < 0 {
				return "", errors.New("text after the closing quote")
			}
			return valid(b.String())
		default:
			b.WriteByte(c)
		}
	}
	return "", errors.New("the closing quote is missing")
}

// plain reads a value up to an unescaped separator; blanks before it are cut,
// escaped ones stay.
func (s *dnScanner) plain() (string, error) {
	var b strings.Builder
	keep := 0 // length up to the last character that is no unescaped blank
	i := 0
	for i < len(s.rest) && strings.IndexByte(",;+", s.rest[i]) < 0 {
		switch c := s.rest[i]; c {
		case '\\':
			n, err := unescape(&b, s.rest[i:])
			if err != nil {
				return "", err
			}
			i += n
			keep = b.Len()
		case '"':
			return "", errors.New("a quote inside a value is not escaped")
		default:
			b.WriteByte(c)
			i++
			if c != ' ' {
				keep = b.Len()
			}
		}
	}
	s.rest = s.rest[i:]
	return valid(b.String()[:keep])
}

func valid(v string) (string, error) {
	if !utf8.ValidString(v) {
		return "", errors.New("not UTF-8 after decoding its escapes")
	}
	return v, nil
}

// unescape decodes the escape that text begins with and tells its length.
func unescape(b *strings.Builder, text string) (int, error) {
	if len(text) >= 3 {
		if v, err := hex.DecodeString(text[1:3]); err == nil {
			b.Write(v)
			return 3, nil
		}
	}
	if len(text) >= 2 && strings.IndexByte(` "#+,;<=>\/`, text[1]) >= 0 {
		b.WriteByte(text[1])
		return 2, nil
	}
	return 0, errors.New("a backslash that escapes nothing")
}

// parseSlashes reads /C=GB/O=Bank/CN=x+serialNumber=1.
func parseSlashes(text string) (Name, error) {
	var name Name
	for rest := text; rest != ""; {
		a, n, err := slashAttribute(rest[1:])
		if err != nil {
			return nil, err
		}
		if rest[0] == '+' {
			name[len(name)-1] = append(name[len(name)-1], a)
		} else {
			name = append(name, RDN{a})
		}
		rest = rest[1+n:]
	}
	return name, nil
}

// slashAttribute reads an attribute and tells its length. A slash or plus that no
// "type=" follows belongs to the value, because older versions do not escape it.
// They do not escape a backslash either: alone it is itself.
func slashAttribute(text string) (Attribute, int, error) {
	oid, i, err := slashType(text)
	if err != nil {
		return Attribute{}, 0, err
	}
	var b strings.Builder
	for i++; i < len(text); i++ {
		c := text[i]
		if c == '/' || c == '+' {
			if _, _, err := slashType(text[i+1:]); err == nil {
				break
			}
		}
		if c == '\\' && i+1 < len(text) {
			if next := text[i+1]; next == '/' || next == '+' {
				c = next
				i++
			} else if next == 'x' && i+3 < len(text) {
				if v, err := hex.DecodeString(text[i+2 : i+4]); err == nil {
					c = v[0]
					i += 3
				}
			}
		}
		b.WriteByte(c)
	}
	v, err := valid(b.String())
	return Attribute{OID: oid, Value: v}, i, err
}

// slashType reads the type that text begins with, up to its '='.
func slashType(text string) (oid string, length int, err error) {
	i := strings.IndexAny(text, "=/+")
	if i < 0 || text[i] != '=' {
		return "", 0, fmt.Errorf("%s is no attribute", refusal.Quote(text))
	}
	oid, err = attributeOID(text[:i])
	return oid, i, err
}
