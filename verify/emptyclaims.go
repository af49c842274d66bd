package verify

import (
	"bytes"
	"slices"
)

// A directory may write what it has nothing for: null, "", [] or {}. Such a claim of a
// statement says nothing, so that it binds nothing (RFC 7591 2.3). Dates are no such claims.

// stated are the claims of a statement that say something.
func (s *SoftwareStatement) stated() Object {
	if !slices.ContainsFunc(s.Claims.members, Member.saysNothing) { // as nearly always
		return s.Claims
	}
	return s.Claims.filter(func(m Member) bool { return !m.saysNothing() })
}

func (m Member) saysNothing() bool { return saysNothing(m.Value) }

// saysNothing tells whether a value is empty, or an array of such values.
func saysNothing(raw []byte) bool {
	switch raw[0] {
	case 'n':
		return true
	case '"', '{':
		return len(bytes.TrimSpace(raw[1:len(raw)-1])) == 0
	case '[':
		p := parser{data: raw, at: 1}
		for p.item() {
			start := p.at
			if p.value(1) != nil || !saysNothing(raw[start:p.at]) {
				return false
			}
		}
		return true
	}
	return false
}
