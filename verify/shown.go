package verify

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// What the authorization server shows to people, and fetches to show it: names and
// addresses that a TPP has written. Nobody but the directory has looked at them, and a
// consent page that does not escape them runs in the bank's origin.

// charReference is how HTML writes a character in another way. Numbers, and the older
// names that matter, count without the semicolon too (HTML 13.2.5.72).
var charReference = regexp.MustCompile(`(?i)&(?:#x?[0-9a-f]|[0-9a-z]{1,31};|lt|gt|quot|amp)`)

// specialName are names beside innerName that are nobody's in the public DNS: RFC 6761,
// RFC 7686, RFC 9476, and those that ICANN keeps out of it for good. Of RFC 6761's,
// example is missing: documents and sandboxes write it, and it leads nowhere.
var specialName = regexp.MustCompile(`\.(?:test|invalid|onion|alt|corp|home|mail|private|arpa)$`)

// CheckShownURI tells why an address (logo_uri and the like) must not be shown or
// fetched: it must be https, of a public name in ASCII, without user information, markup
// and control characters, and at most 256 bytes long. It may have a fragment.
func CheckShownURI(uri string) error {
	address, fragment, _ := strings.Cut(uri, "#")
	host, err := publicURI(address)
	switch {
	case err != nil:
		return err
	case len(uri) > maxURI:
		return fmt.Errorf("is longer than %d characters", maxURI)
	case !strings.Contains(host, ".") || innerName.MatchString(host) || specialName.MatchString(host):
		return errors.New("has a host that is not in the public DNS")
	case strings.ContainsFunc(fragment, func(r rune) bool { return r <= 0x20 || r >= 0x7f }):
		return errors.New("has a fragment that a URI cannot have")
	case strings.ContainsAny(uri, "<>\"'`") || charReference.MatchString(uri):
		return errors.New("has markup")
	}
	return nil
}

// ShownName is a name without what is not for people to read: angle brackets, the
// ampersand of a character reference (AT&T keeps its own), control characters, and
// characters that nobody sees or that turn the direction of what follows. Blanks become
// one. It is cut at 256 bytes. A name of which no letter or digit remains is otherwise.
func ShownName(name, otherwise string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == '<' || r == '>' || r == unicode.ReplacementChar || unicode.Is(ignorable, r):
			return -1
		}
		return r
	}, name)
	name = strings.Join(strings.Fields(name), " ")
	if len(name) > maxClientName {
		name = strings.TrimSpace(strings.ToValidUTF8(name[:maxClientName], ""))
	}
	for charReference.MatchString(name) { // one may come of what another leaves
		name = charReference.ReplaceAllStringFunc(name, func(s string) string { return s[1:] })
	}
	if !strings.ContainsFunc(name, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
		return otherwise
	}
	return name
}
