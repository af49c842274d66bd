package verify

import (
	"bytes"
	"slices"
	"strings"
)

// A directory may write what it has nothing for: null, "", [] or {}. Such a claim of a
// statement says nothing, so that it binds nothing (RFC 7591 2.3). Dates are no such claims.

// stated are the claims of a statement that say something.
func (s *SoftwareStatement) stated() Object {
	return s.Claims.filter(func(m Member) bool { return !saysNothing(m.Value) })
}

// saysNothing tells whether a value is empty, or an array of such values.
func saysNothing(raw []byte) bool {
	switch raw[0] {
	case 'n':
		return true
	case '"':
		return strings.TrimSpace(Text(raw)) == ""
	case '[':
		return !slices.ContainsFunc(Items(raw), func(item []byte) bool { return !saysNothing(item) })
	case '{':
		return len(bytes.TrimSpace(raw[1:len(raw)-1])) == 0
	}
	return false
}
