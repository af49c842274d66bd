package registry

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

// A keyset is rotated in two steps, so that several gateways can share one: no gateway seals
// with a key that another does not have yet.

// AddKey adds a key to a keyset in its JSON form, which opens and does not seal yet.
//
// Errors: a keyset whose last key waits to be promoted.
func AddKey(text []byte) (added []byte, id uint32, err error) {
	h, last, primary, err := lastKey(text)
	if err != nil {
		return nil, 0, err
	}
	if last != primary {
		return nil, 0, fmt.Errorf("the key %d was added before and is not the primary one yet: promote it first", last)
	}
	m := keyset.NewManagerFromHandle(h)
	if id, err = m.Add(aead.AES256GCMKeyTemplate()); err != nil {
		return nil, 0, fmt.Errorf("adding a key: %w", err)
	}
	added, err = keysetText(m)
	return added, id, err
}

// PromoteKey makes the last key of a keyset in its JSON form the one that seals.
//
// Errors: a keyset whose last key is that already.
func PromoteKey(text []byte) (promoted []byte, id uint32, err error) {
	h, last, primary, err := lastKey(text)
	if err != nil {
		return nil, 0, err
	}
	if last == primary {
		return nil, 0, fmt.Errorf("the last key of the keyset, %d, is the primary one already: add a key first", last)
	}
	m := keyset.NewManagerFromHandle(h)
	if err := m.SetPrimary(last); err != nil {
		return nil, 0, fmt.Errorf("promoting the key %d: %w", last, err)
	}
	promoted, err = keysetText(m)
	return promoted, last, err
}

func lastKey(text []byte) (h *keyset.Handle, last, primary uint32, err error) {
	if h, err = insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(text))); err != nil {
		return nil, 0, 0, fmt.Errorf("the keyset is not a Tink keyset in JSON: %w", err)
	}
	for i := range h.Len() {
		entry, err := h.Entry(i)
		if err != nil {
			return nil, 0, 0, err
		}
		last = entry.KeyID()
		if entry.IsPrimary() {
			primary = last
		}
	}
	if h.Len() == 0 {
		return nil, 0, 0, errors.New("the keyset has no key")
	}
	return h, last, primary, nil
}

func keysetText(m *keyset.Manager) ([]byte, error) {
	h, err := m.Handle()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := insecurecleartextkeyset.Write(h, keyset.NewJSONWriter(&b)); err != nil {
		return nil, fmt.Errorf("writing a keyset: %w", err)
	}
	return b.Bytes(), nil
}
