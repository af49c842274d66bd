package registry

import (
	"encoding/binary"
	"slices"
)

// keyed is what a Sealer says whose keys have ids, that which seals first.
type keyed interface{ KeyIDs() []uint32 }

// tinkKind begins what a key of Tink with an id has sealed; the id follows.
const tinkKind = 1

// sealingKeys are the ids of the keys with which anything in a store is sealed, as far as
// the Sealer has them: of its first key, and of those that were it before. A key that was
// added and never sealed is none of them, so that a keyset of before will do.
func sealingKeys(b *binding, s Sealer) []uint32 {
	k, ok := s.(keyed)
	if !ok {
		return []uint32{}
	}
	known := k.KeyIDs()
	ids := append([]uint32{}, known[:min(1, len(known))]...)
	for _, seal := range b.Seals {
		if len(seal.Sealed) < keyName || seal.Sealed[0] != tinkKind {
			continue
		}
		if id := binary.BigEndian.Uint32(seal.Sealed[1:]); slices.Contains(known, id) && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// missingKeys are those of ids that a Sealer lacks; nil where it tells none.
func missingKeys(ids []uint32, s Sealer) (missing []uint32) {
	k, ok := s.(keyed)
	if !ok {
		return nil
	}
	known := k.KeyIDs()
	for _, id := range ids {
		if !slices.Contains(known, id) {
			missing = append(missing, id)
		}
	}
	return missing
}
