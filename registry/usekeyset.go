package registry

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
)

// currentSealer is a Sealer that another one takes the place of, when a key was added to
// the keyset or became the primary one.
type currentSealer struct{ of atomic.Pointer[Sealer] }

func newCurrentSealer(s Sealer) *currentSealer {
	c := &currentSealer{}
	c.of.Store(&s)
	return c
}

func (c *currentSealer) Seal(secret []byte, context string) ([]byte, error) {
	return (*c.of.Load()).Seal(secret, context)
}

func (c *currentSealer) Open(sealed []byte, context string) ([]byte, error) {
	return (*c.of.Load()).Open(sealed, context)
}

// KeyIDs is none where the Sealer tells none.
func (c *currentSealer) KeyIDs() []uint32 {
	if k, ok := (*c.of.Load()).(keyed); ok {
		return k.KeyIDs()
	}
	return nil
}

// keyPrefix begins what the first key of a Sealer seals; nil where that tells no id.
func keyPrefix(s Sealer) []byte {
	k, ok := s.(keyed)
	if !ok || len(k.KeyIDs()) == 0 {
		return nil
	}
	prefix := binary.BigEndian.AppendUint32([]byte{tinkKind}, k.KeyIDs()[0])
	// A key of Tink may be of a kind that writes no id.
	if sealed, err := s.Seal(known, bindingKey); err != nil || !bytes.HasPrefix(sealed, prefix) {
		return nil
	}
	return prefix
}

// UseKeyset seals with another Sealer from now on, which opens all that the present one has
// sealed: the keyset with one more key, or with another primary one. What older keys have
// sealed is sealed anew in the background. One with the same keys changes nothing.
//
// Errors: ErrForeignKeyset, those of the store.
func (r *Registry) UseKeyset(ctx context.Context, s Sealer) error {
	before := r.sealer.KeyIDs()
	if k, ok := s.(keyed); ok && len(before) > 0 && slices.Equal(k.KeyIDs(), before) {
		return nil
	}
	fresh, err := s.Seal(known, bindingKey)
	if err != nil {
		return fmt.Errorf("registry: sealing with the keyset: %w", err)
	}
	// The binding first: what is sealed with a key that it does not name, no backup asks for.
	err = r.store.Update(ctx, func(w Writer) error {
		b, err := readBinding(w)
		if err != nil {
			return err
		}
		for _, seal := range b.Seals {
			if _, err := r.sealer.Open(seal.Sealed, bindingKey); err != nil {
				continue // lost before
			}
			if text, err := s.Open(seal.Sealed, bindingKey); err != nil || !bytes.Equal(text, known) {
				return fmt.Errorf("%w: it lacks a key that has sealed something", ErrForeignKeyset)
			}
		}
		return putRecord(w, bindingKey, b.with(fresh, r.now()))
	})
	if err != nil {
		return err
	}
	r.sealer.of.Store(&s)
	r.log.Info("uses another keyset", slog.Any("key_ids", r.sealer.KeyIDs()))
	r.reseal()
	return nil
}
