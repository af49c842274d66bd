package registry

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Keyset is the Sealer of Tink: AES-256-GCM with keys that can be rotated. Its
// JSON form is what Tink's own tool (tinkey) reads and writes; it is a secret.
type Keyset struct {
	aead tink.AEAD
	ids  []uint32
}

// NewKeyset generates a keyset and its JSON form.
func NewKeyset() (*Keyset, []byte, error) {
	h, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, nil, fmt.Errorf("generating a keyset: %w", err)
	}
	var b bytes.Buffer
	if err := insecurecleartextkeyset.Write(h, keyset.NewJSONWriter(&b)); err != nil {
		return nil, nil, fmt.Errorf("writing a keyset: %w", err)
	}
	k, err := newKeyset(h)
	return k, b.Bytes(), err
}

// ReadKeyset reads the JSON form.
func ReadKeyset(text []byte) (*Keyset, error) {
	h, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(text)))
	if err != nil {
		return nil, fmt.Errorf("the keyset is not a Tink keyset in JSON: %w", err)
	}
	return newKeyset(h)
}

func newKeyset(h *keyset.Handle) (*Keyset, error) {
	a, err := aead.New(h)
	if err != nil {
		return nil, fmt.Errorf("the keyset is not for AEAD: %w", err)
	}
	k := &Keyset{aead: a}
	for i := range h.Len() {
		entry, err := h.Entry(i)
		if err != nil {
			return nil, fmt.Errorf("the keyset's key %d: %w", i, err)
		}
		if entry.IsPrimary() {
			k.ids = slices.Insert(k.ids, 0, entry.KeyID())
		} else {
			k.ids = append(k.ids, entry.KeyID())
		}
	}
	return k, nil
}

// KeyIDs names the keys, as tinkey does, that which seals first.
func (k *Keyset) KeyIDs() []uint32 { return slices.Clone(k.ids) }

// Seal encrypts secret.
func (k *Keyset) Seal(secret []byte, context string) ([]byte, error) {
	return k.aead.Encrypt(secret, []byte(context))
}

// Open decrypts what Seal made for the same context.
func (k *Keyset) Open(sealed []byte, context string) ([]byte, error) {
	return k.aead.Decrypt(sealed, []byte(context))
}
