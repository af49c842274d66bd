package verify

import (
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// readParameters reads the parameters of a request in its query and its form. inQuery are
// those of the query alone. The error says what a server could read otherwise.
func readParameters(query, form string) (all, inQuery url.Values, err error) {
	if inQuery, err = parseParameters(query); err != nil {
		return nil, nil, err
	}
	if all, err = parseParameters(form); err != nil || len(inQuery) == 0 {
		return all, inQuery, err
	}
	inForm := all
	all = maps.Clone(inQuery)
	for name, v := range inForm {
		all[name] = append(slices.Clip(all[name]), v...)
	}
	return all, inQuery, nil
}

func parseParameters(text string) (url.Values, error) {
	if text == "" {
		return nil, nil
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) { // characters of another set begin so
		return nil, errors.New("the parameters have control characters")
	}
	values, err := url.ParseQuery(text)
	if err != nil {
		return nil, errors.New("the parameters are not application/x-www-form-urlencoded")
	}
	return values, nil
}

// isSpelling tells whether a parameter's name is one of some names to a server that minds
// neither case nor punctuation, takes it for a list, or drops what it does not see: a
// byte order mark, a blank without a width. With an over-long form, which some decode, it
// may be any of them.
func isSpelling(name string, of []string) bool {
	if !utf8.ValidString(name) && overlong(name) {
		return true
	}
	name, _, _ = strings.Cut(name, "[")
	folded := strings.Map(func(r rune) rune {
		switch {
		case r == '.' || r == ' ' || r == '-' || r == '_':
			return '_'
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		}
		return -1
	}, Fold(strings.ReplaceAll(strings.TrimSpace(name), " ", "_")))
	return slices.Contains(of, folded)
}

// overlong tells whether a text has the beginning of a character in more bytes than it
// needs (RFC 3629 3).
func overlong(text string) bool {
	for i := range len(text) {
		next := byte(0xff)
		if i+1 < len(text) {
			next = text[i+1]
		}
		switch b := text[i]; {
		case b == 0xc0, b == 0xc1, b == 0xe0 && next < 0xa0, b == 0xf0 && next < 0x90:
			return true
		}
	}
	return false
}
