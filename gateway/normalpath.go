package gateway

import (
	"errors"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// plain tells whether a path is its own normal form: the common case, without an allocation.
func plain(path string) bool {
	if path == "" || path[0] != '/' {
		return false
	}
	for i := range len(path) {
		c := path[i]
		switch {
		case c == '/':
			if i+1 == len(path) {
				return len(path) == 1
			}
			if next := path[i+1]; next == '/' || next == '.' {
				return false
			}
		case c >= 'A' && c <= 'Z', c == '%', c == ';', c == '\\', c == '?', c == '#', c <= ' ', c >= 0x7f:
			return false
		}
	}
	return true
}

var errPath = errors.New("a path that means different things to different servers")

// maxDecodings is how often a path is decoded: servers in a chain may each do it.
const maxDecodings = 4

// NormalPath is the normal form: decoded, without dot and empty segments,
// parameters, and what verify.Fold takes away, with slashes for what looks like one and
// none at the end.
// It goes further than any one server, so that no server goes further than it.
func NormalPath(path string) (string, error) {
	text, err := url.PathUnescape(path)
	if err != nil {
		return "", errPath
	}
	if text, err = fold(text); err != nil {
		return "", err
	}
	for range maxDecodings {
		// Folding may have made an escape of what was none: %0 0.
		again, err := url.PathUnescape(text)
		if err != nil || again == text {
			return text, nil
		}
		if text, err = fold(again); err != nil {
			return "", err
		}
	}
	return "", errPath
}

// endsPath tells the characters at which a server that decodes once more would
// see the path end.
func endsPath(r rune) bool { return r == '?' || r == '#' || r < ' ' || r == 0x7f }

// fold normalizes a decoded path.
func fold(text string) (string, error) {
	if !utf8.ValidString(text) || strings.ContainsFunc(text, endsPath) {
		return "", errPath
	}
	text = slashes.Replace(verify.Fold(text))
	if strings.ContainsFunc(text, endsPath) { // of a full-width question mark
		return "", errPath
	}
	out := make([]string, 0, 16)
	for segment := range strings.SplitSeq(text, "/") {
		segment, _, _ = strings.Cut(segment, ";")
		switch segment {
		case "", ".":
		case "..":
			if len(out) > 0 {
				out = out[:len(out)-1]
			}
		default:
			out = append(out, segment)
		}
	}
	return "/" + strings.Join(out, "/"), nil
}

// slashes are the characters that a server may write as a slash in a smaller character set.
var slashes = strings.NewReplacer(`\`, "/", "\u2044", "/", "\u2215", "/", "\u2216", "/", "\u29f5", "/", "\u29f8", "/", "\u29f9", "/")
