package authserver

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"
)

// TestRememberedHoldersAreBounded: the holders of 65,536 tokens are remembered, and for some
// seconds those of 4096 that the AS has not confirmed. Above that the oldest are forgotten.
func TestRememberedHoldersAreBounded(t *testing.T) {
	now := time.Now()
	token := func(i int) (k tokenHash) {
		binary.BigEndian.PutUint32(k[:], uint32(i))
		return k
	}
	for name, c := range map[string]struct {
		confirmed bool
		most      int
	}{"confirmed": {true, 65_536}, "doubtful": {false, 4096}} {
		h, err := newHolders()
		if err != nil {
			t.Fatal(err)
		}
		for i := range c.most + 1 {
			h.remember(token(i), TokenHolder{JTI: "j"}, c.confirmed, now)
		}
		for i, want := range map[int]bool{0: false, 1: true, c.most: true} {
			if _, got := h.remembered(token(i), now); got != want {
				t.Errorf("%s: token %d of %d is remembered: %v, want %v", name, i, c.most+1, got, want)
			}
		}
	}
}

// TestRememberedHolderLength: of a token 256 bytes are remembered, its jti and its clients.
func TestRememberedHolderLength(t *testing.T) {
	h, err := newHolders()
	if err != nil {
		t.Fatal(err)
	}
	for size, want := range map[int]bool{256: true, 257: false} {
		k := tokenHash{byte(size)}
		h.remember(k, TokenHolder{JTI: "jti", ClientIDs: []string{"a", strings.Repeat("x", size-4)}}, true, time.Now())
		if _, got := h.remembered(k, time.Now()); got != want {
			t.Errorf("a holder of %d bytes is remembered: %v, want %v", size, got, want)
		}
	}
}
