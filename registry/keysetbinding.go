package registry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// A store is bound to its keyset by a known value that is sealed: with another keyset
// it does not open. Without it a lost keyset would be found when a client's credentials
// are needed, weeks later, and other secrets be sealed with the wrong one until then.

// ErrForeignKeyset is Open's with a keyset that opens nothing of the store.
var ErrForeignKeyset = errors.New("the keyset is not the one with which the store was sealed")

const (
	bindingKey = "store/keyset"
	// keyName is the length of what Tink writes before a ciphertext: a byte for the kind
	// of it, and the key's id.
	keyName = 5
	// maxSeals is how many keys of a keyset that is rotated are remembered.
	maxSeals = 8
)

// binding is the known value, sealed once with each key that was the keyset's primary
// one, the newest first: that the oldest was taken out of the keyset, the store survives.
type binding struct {
	Schema int    `json:"v"`
	Seals  []seal `json:"seals"`
	// Restoring is when a restore began that has not ended; the store is not whole then,
	// and the schema one that no version opens.
	Restoring string `json:"restoring,omitempty"`
}

// readBinding returns the zero value where the store is not bound.
//
// Errors: ErrRestoring.
func readBinding(r getter) (b binding, err error) {
	err = readOwn(r, bindingKey, &b, &b.Schema)
	if b.Restoring != "" {
		return binding{}, fmt.Errorf("%w (begun %s)", ErrRestoring, b.Restoring)
	}
	return b, err
}

type seal struct {
	Sealed []byte `json:"sealed"`
	// Since is when the key was first used, seconds since 1970.
	Since int64 `json:"since"`
}

var known = []byte("openbanking_dcr")

// Empty tells whether a store holds nothing at all.
func Empty(ctx context.Context, s Store) (empty bool, err error) {
	err = s.View(ctx, func(v Reader) error {
		entries, err := v.Scan("", "", 1)
		empty = len(entries) == 0
		return err
	})
	return empty, err
}

// checkKeyset finds out whether the store is sealed with the keyset, and is the binding
// that is to be written. lost is the id of a binding whose keyset is lost for good.
func (r *Registry) checkKeyset(ctx context.Context, lost string) (*binding, error) {
	var b binding
	err := r.store.View(ctx, func(v Reader) (err error) {
		b, err = readBinding(v)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(b.Seals) == 0 {
		err = r.proveKeyset(ctx)
	} else {
		err = r.checkSeals(b.Seals)
	}
	if errors.Is(err, ErrForeignKeyset) && lost != "" {
		id, idErr := b.id(ctx, r.store)
		switch {
		case idErr != nil:
			return nil, idErr
		case id == lost:
			r.log.Warn("binds the store to another keyset, as keyset_lost says; the clients' credentials at the authorization server are lost", slog.String("keyset_lost", id))
			b, err = binding{}, nil
		}
	}
	if err != nil {
		return nil, err
	}
	fresh, err := r.sealer.Seal(known, bindingKey)
	if err != nil {
		return nil, fmt.Errorf("registry: sealing with the keyset: %w", err)
	}
	return b.with(fresh, r.now()), nil
}

// id names the binding as it is now. Each start makes another one of it, so that an id
// that was accepted once is none of the next loss. A store that is not bound is named by
// the first sealed value in it, and where there is none by the first entry: it is bound as
// soon as the id is accepted.
func (b *binding) id(ctx context.Context, s Store) (string, error) {
	var named []byte
	if len(b.Seals) > 0 {
		named = b.Seals[0].Sealed
	} else if err := eachSealed(ctx, s, func(c *Client) bool { named = c.Sealed; return false }); err != nil {
		return "", err
	}
	if named == nil {
		err := s.View(ctx, func(v Reader) error {
			entries, err := v.Scan("", "", 1)
			for _, e := range entries {
				named = fmt.Appendf(nil, "%q %q", e.Key, e.Value)
			}
			return err
		})
		if err != nil {
			return "", err
		}
	}
	sum := sha256.Sum256(named)
	return hex.EncodeToString(sum[:6]), nil
}

// BindingID names what binds a store to its keyset, or what is to be bound, for
// Options.KeysetLost.
func BindingID(ctx context.Context, s Store) (string, error) {
	var b binding
	err := s.View(ctx, func(v Reader) (err error) {
		b, err = readBinding(v)
		return err
	})
	if err != nil {
		return "", err
	}
	return b.id(ctx, s)
}

// with is the binding with a fresh seal of the primary key in front.
func (b *binding) with(fresh []byte, now time.Time) *binding {
	first := seal{fresh, now.Unix()}
	name := fresh[:min(keyName, len(fresh))]
	rest := make([]seal, 0, len(b.Seals))
	for _, s := range b.Seals {
		if bytes.HasPrefix(s.Sealed, name) {
			first.Since = s.Since
			continue
		}
		rest = append(rest, s)
	}
	return &binding{Schema: schema, Seals: append([]seal{first}, rest[:min(len(rest), maxSeals-1)]...)}
}

// checkSeals opens what is there: one that opens shows that it is the store's keyset,
// one that does not that a key of it is missing.
func (r *Registry) checkSeals(seals []seal) error {
	missing := 0
	for _, s := range seals {
		if text, err := r.sealer.Open(s.Sealed, bindingKey); err != nil || !bytes.Equal(text, known) {
			missing++
		}
	}
	switch missing {
	case 0:
		return nil
	case len(seals):
		return ErrForeignKeyset
	}
	r.log.Warn("cannot decrypt credentials in the store that were encrypted with keys which the keyset lacks", slog.Int("keys", missing))
	return nil
}

// proofPage is how many clients one view looks at.
const proofPage = 256

// eachSealed calls f for every client that has sealed credentials, until it returns false.
func eachSealed(ctx context.Context, s Store, f func(*Client) bool) error {
	for e, err := range walk(ctx, s, clientPrefix, proofPage) {
		if err != nil {
			return err
		}
		c, err := readClient(e.Value)
		if err != nil {
			return err
		}
		if len(c.Sealed) > 0 && !f(c) {
			return nil
		}
	}
	return nil
}

// proveKeyset looks for a sealed value in a store of a version that did not bind it. It
// reads no more of the store than it needs to find one that opens.
func (r *Registry) proveKeyset(ctx context.Context) error {
	sealed, opened := 0, false
	err := eachSealed(ctx, r.store, func(c *Client) bool {
		sealed++
		_, err := r.sealer.Open(c.Sealed, clientKey(c))
		opened = err == nil
		return !opened
	})
	switch {
	case err != nil:
		return err
	case opened && sealed > 1:
		r.log.Warn("cannot decrypt the credentials of some clients with the keyset; cannot update or delete these clients at the authorization server", slog.Int("unreadable", sealed-1))
	case opened:
	case sealed > 0:
		return ErrForeignKeyset
	default:
		empty, err := Empty(ctx, r.store)
		if err != nil || empty {
			return err
		}
		r.log.Warn("cannot verify the keyset, because the store holds no credentials; binds the store to this keyset")
	}
	return nil
}
