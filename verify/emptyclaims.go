package verify

import (
	"bytes"
	"slices"

	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// A directory may write what it has nothing for: null, "", [] or {}. Such a claim of a
// statement says nothing, so that it binds nothing (RFC 7591 2.3). Dates are no such claims.

// stated are the claims of a statement that say something.
func (s *SoftwareStatement) stated() strictjson.Object {
	if !slices.ContainsFunc(s.Claims.Members(), saysNothing) { // as nearly always
		return s.Claims
	}
	return s.Claims.Filter(func(m strictjson.Member) bool { return !saysNothing(m) })
}

func saysNothing(m strictjson.Member) bool { return isEmpty(m.Value) }

// isEmpty tells whether a value is empty, or an array of such values.
func isEmpty(raw []byte) bool {
	switch raw[0] {
	case 'n':
		return true
	case '"', '{':
		return len(bytes.TrimSpace(raw[1:len(raw)-1])) == 0
	case '[':
		for item := range strictjson.EachItem(raw) {
			if !isEmpty(item) {
				return false
			}
		}
		return true
	}
	return false
}
