package verify

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/unicode/rangetable"
)

// Fold is the one form of all texts that some server or database takes for the same:
// without regard to case and accents, to the form of a letter (full-width, long s), to
// blanks, and to what nobody sees. Two that fold to the same are not the same here; one
// of them is refused.
func Fold(text string) string {
	if isASCII(text) {
		return strings.ToLower(strings.Map(seen, text))
	}
	text = strings.Map(seen, norm.NFKD.String(strings.ToValidUTF8(text, "")))
	// Both ways: a long s has no lower case of its own, a Kelvin sign no upper case.
	return strings.ToLower(strings.ToUpper(text))
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// seen drops what is not seen, and accents.
func seen(r rune) rune {
	if r < utf8.RuneSelf {
		if r <= ' ' || r == 0x7f {
			return -1
		}
		return r
	}
	if unicode.Is(unseen, r) {
		return -1
	}
	return r
}

// unseen are blanks, control and format characters, marks that join a letter, and what
// Unicode lets everybody ignore.
var unseen = rangetable.Merge(unicode.White_Space, unicode.M, ignorable)

// ignorable are the last two.
var ignorable = rangetable.Merge(unicode.C, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
