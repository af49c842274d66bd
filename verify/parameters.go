package verify

import (
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"unicode"
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
// byte order mark, a blank without a width.
func isSpelling(name string, of []string) bool {
	name, _, _ = strings.Cut(name, "[")
	folded := strings.Map(func(r rune) rune {
		switch r = unicode.ToLower(unicode.ToUpper(r)); {
		case r == '.' || r == ' ' || r == '-' || r == '_':
			return '_'
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		}
		return -1
	}, strings.TrimSpace(name))
	return slices.Contains(of, folded)
}
