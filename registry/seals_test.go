package registry

import (
	"fmt"
	"testing"
	"time"
)

// TestSealsAreBounded: eight keys of a keyset that is rotated are remembered, the newest.
func TestSealsAreBounded(t *testing.T) {
	b := &binding{}
	for i := range 10 {
		b = b.with([]byte(fmt.Sprintf("key%02d", i)), time.Unix(int64(i), 0))
		if got, want := len(b.Seals), min(i+1, 8); got != want || string(b.Seals[0].Sealed) != fmt.Sprintf("key%02d", i) {
			t.Errorf("after %d keys: %d seals, the first %s, want %d, the first of the newest", i+1, got, b.Seals[0].Sealed, want)
		}
	}
}
