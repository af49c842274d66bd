package registry

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-dcr/caddy-dcr/verify/dn"
)

// Act is what an operator says who changes something.
type Act struct {
	// Operator is who.
	Operator Operator `json:"operator,omitzero"`
	// Reason is why, for operators only. Default: none.
	Reason string `json:"reason,omitempty"`
	// Match is the entity tag (RFC 9110 8.8.3) of what the operator has seen. The change of
	// anything else is ErrChanged. Default: whatever is there is changed.
	Match string `json:"-"`
	// Proposed is the operator who has proposed the change, where it needs two (Propose); nil
	// otherwise.
	Proposed *Proposed `json:"proposed,omitempty"`

	// confirms is the proposal that the change ends; nil for none.
	confirms *Proposal
}

// Operator is who works with the admin API.
type Operator struct {
	// Name is the subject of the certificate, the name that was declared, or that of the
	// local user of the command.
	Name string `json:"name"`
	// Known is how the name is known, one of those below.
	Known string `json:"known"`
}

// How the name of an Operator is known. A certificate or a login proves it.
const (
	ByOperatorCertificate = "certificate"
	ByDeclaration         = "declared"
	ByLocalUser           = "local_user"
	// ByLogin is a user whom Caddy has authenticated before the Applications page (basic_auth,
	// forward_auth).
	ByLogin = "login"
	// ByRule is the gateway itself, by a rule of its configuration.
	ByRule = "rule"
)

// Authenticated tells whether the name is more than the operator's word.
func (o Operator) Authenticated() bool { return o.Known == ByOperatorCertificate || o.Known == ByLogin }

// sameAs tells whether two operators who are Authenticated may be one. Names of certificates are
// their subjects, and a certificate that was issued anew may have the same one in another spelling
// (RFC 4517 4.2.15). Whoever has a login and a certificate may have different names in them.
func (o Operator) sameAs(other Operator) bool {
	switch {
	case o.Known != other.Known:
		return true
	case o.Known == ByLogin:
		return strings.EqualFold(o.Name, other.Name)
	}
	a, err := dn.Parse(o.Name)
	b, otherErr := dn.Parse(other.Name)
	return err != nil || otherErr != nil || a.Equal(b)
}

// Bounds of what an operator may write, in bytes.
const (
	maxReason   = 500
	maxOperator = 256
)

// ErrChanged is the error of a change whose Match is not the entity tag of what is there.
var ErrChanged = errors.New("this has changed since you read it; read it again, and decide again")

// Check tells what is wrong with it. A reason and a name are required.
func (a *Act) Check() error {
	for _, text := range []struct {
		name, value string
		max         int
	}{{"reason", a.Reason, maxReason}, {"operator", a.Operator.Name, maxOperator}} {
		switch {
		case text.value == "" || len(text.value) > text.max:
			return fmt.Errorf("%s: a text of 1 to %d bytes is required", text.name, text.max)
		case !utf8.ValidString(text.value) || strings.ContainsFunc(text.value, deceives) || strings.TrimSpace(text.value) != text.value:
			return fmt.Errorf("%s: must be UTF-8 without control characters, characters that nobody sees, and space at the ends", text.name)
		}
	}
	return nil
}

// deceives tells whether somebody who reads a text would not see this in it, or sees it in
// another place.
func deceives(c rune) bool {
	return unicode.IsControl(c) || unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp)
}

// matches refuses a change of something of which the operator has seen another state.
func (a *Act) matches(r getter, keys ...string) error {
	if a.Match == "" {
		return nil
	}
	tag, err := entityTag(r, keys...)
	if err == nil && tag != a.Match {
		err = ErrChanged
	}
	return err
}

// entityTag names the state of what is under the keys. It is a strong one: there are no two
// states with one tag.
func entityTag(r getter, keys ...string) (string, error) {
	h := sha256.New()
	for _, k := range keys {
		value, err := get(r, k)
		if err != nil {
			return "", err
		}
		length := int64(-1)
		if value != nil {
			length = int64(len(value))
		}
		h.Write([]byte(k))
		_ = binary.Write(h, binary.BigEndian, length) // a hash takes everything
		h.Write(value)
	}
	return `"` + base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16]) + `"`, nil
}
