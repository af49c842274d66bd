//go:build !race

package verify

import (
	"context"
	"testing"
)

// TestAllocations bounds what the whole front entryPoint allocates for a request with a
// large statement. The race detector allocates on its own.
func TestAllocations(t *testing.T) {
	raw, rules := registration(t, requestClaims, fullStatement()), rules(t)
	got := testing.AllocsPerRun(50, func() {
		r, err := VerifyRequest(context.Background(), raw, rules, noon)
		if err == nil {
			_, err = CheckMetadata(context.Background(), MetadataInput{Request: r, Supported: DefaultSupportedMetadata()})
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	if got > 250 {
		t.Errorf("%v allocations, at most 250 are due", got)
	}
}
