package strictjson

import (
	"bytes"
	"fmt"
	"unicode"
	"unicode/utf16"
)

// Printable is the same JSON, in which what is not printable is escaped: control characters,
// those that change the direction of a line and those that nobody sees. A terminal then shows
// what is there, whoever has chosen it. It may share the memory of text.
func Printable(text []byte) []byte {
	if !bytes.ContainsFunc(text, hidden) {
		return text
	}
	var b bytes.Buffer
	for _, r := range string(text) {
		switch {
		case !hidden(r):
			b.WriteRune(r)
		case r < 0x10000:
			fmt.Fprintf(&b, "\\u%04x", r)
		default:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, "\\u%04x\\u%04x", high, low)
		}
	}
	return b.Bytes()
}

// hidden: between the members of JSON text, of the unprintable there are only ends of lines.
func hidden(r rune) bool { return !unicode.IsPrint(r) && r != '\n' }
