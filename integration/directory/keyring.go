package directory

import (
	"crypto"
	"sync"
)

// spareKeys are the RSA keys of directories that have stopped, the one that stopped
// first at the front. To make a key costs 0.1 s of CPU, under the race detector 0.3 s,
// and a test needs eight.
var spareKeys struct {
	sync.Mutex
	keys []crypto.Signer
}

// keyring holds the RSA keys that a directory and its software have. A key is in one
// keyring at a time: no two directories that run at once share one.
type keyring struct {
	mu   sync.Mutex
	keys []crypto.Signer
}

// key takes a spare RSA key, or makes one if there is none. Other keys cost little:
// they are made each time.
func (k *keyring) key(keyType KeyType) (crypto.Signer, error) {
	if keyType != RSA2048 {
		return keyType.generate()
	}
	key := takeSpareKey()
	if key == nil {
		var err error
		if key, err = keyType.generate(); err != nil {
			return nil, err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys = append(k.keys, key)
	return key, nil
}

func takeSpareKey() crypto.Signer {
	spareKeys.Lock()
	defer spareKeys.Unlock()
	if len(spareKeys.keys) == 0 {
		return nil
	}
	key := spareKeys.keys[0]
	spareKeys.keys = spareKeys.keys[1:]
	return key
}

// release makes the keys spare. Their owners must not be used any more.
func (k *keyring) release() {
	k.mu.Lock()
	keys := k.keys
	k.keys = nil
	k.mu.Unlock()
	spareKeys.Lock()
	defer spareKeys.Unlock()
	spareKeys.keys = append(spareKeys.keys, keys...)
}
