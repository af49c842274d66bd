package verify

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// Placeholder is how the first placeholder of Caddy's in a text of a policy begins;
// empty if there is none. Nothing replaces them there.
func Placeholder(text string) string {
	for _, begin := range []string{"{env.", "{file.", "{$"} {
		if strings.Contains(text, begin) {
			return begin
		}
	}
	return ""
}

// CheckPolicyText checks a text that a policy has for TPPs: what it lets pass reaches
// them as it is written. Other texts are cut and cleaned, which may leave nonsense.
func CheckPolicyText(text string) error {
	if text == "" {
		return errors.New("the text is empty; write what the TPP can do")
	}
	for _, r := range text {
		if r < 0x20 || r > 0x7e || r == '"' || r == '\\' {
			return fmt.Errorf("the text has %q, which does not reach a TPP; write printable ASCII, without quotation marks and backslashes (RFC 6749 5.2)", r)
		}
	}
	if begin := Placeholder(text); begin != "" {
		return fmt.Errorf("the text has a placeholder, %sX}, which is not replaced; write the value itself", begin)
	}
	if len(text) > refusal.MaxDescription {
		return fmt.Errorf("the text has %d characters, of which %d reach a TPP; make it shorter", len(text), refusal.MaxDescription)
	}
	return nil
}

// CheckPolicyFile refuses a policy's or a case's file that is no plain text in UTF-8, and
// tells at which byte: a compiler would tell of characters that nobody sees.
func CheckPolicyFile(text []byte) (at int, err error) {
	switch {
	case bytes.HasPrefix(text, []byte("\xEF\xBB\xBF")):
		return 0, errors.New("begins with a byte order mark (BOM); save it as UTF-8 without one")
	case bytes.HasPrefix(text, []byte("\xFF\xFE")), bytes.HasPrefix(text, []byte("\xFE\xFF")):
		return 0, errors.New("is UTF-16; save it as UTF-8")
	}
	for at < len(text) {
		switch r, size := utf8.DecodeRune(text[at:]); {
		case r == utf8.RuneError && size == 1:
			return at, errors.New("is not UTF-8; save it as UTF-8")
		case r == 0:
			return at, errors.New("has a NUL character; take it out, or save the file as UTF-8")
		default:
			at += size
		}
	}
	return 0, nil
}
