package registry_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// TestKeysetIsRotatedInTwoSteps: a key that was added opens, and seals after it was promoted.
func TestKeysetIsRotatedInTwoSteps(t *testing.T) {
	t.Parallel()
	first, text, err := registry.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := registry.PromoteKey(text); err == nil || !strings.Contains(err.Error(), "add a key first") {
		t.Errorf("promoting the only key: got %v", err)
	}
	added, id, err := registry.AddKey(text)
	if err != nil {
		t.Fatal(err)
	}
	both, err := registry.ReadKeyset(added)
	if err != nil || !slices.Equal(both.KeyIDs(), []uint32{first.KeyIDs()[0], id}) {
		t.Fatalf("got %v, %v, want the first key in front of %d", both.KeyIDs(), err, id)
	}
	if _, _, err := registry.AddKey(added); err == nil || !strings.Contains(err.Error(), "promote it first") {
		t.Errorf("adding another: got %v", err)
	}
	promoted, again, err := registry.PromoteKey(added)
	if err != nil || again != id {
		t.Fatalf("got %d, %v, want %d", again, err, id)
	}
	next, err := registry.ReadKeyset(promoted)
	if err != nil || !slices.Equal(next.KeyIDs(), []uint32{id, first.KeyIDs()[0]}) {
		t.Fatalf("got %v, %v, want %d in front", next.KeyIDs(), err, id)
	}
	sealed, err := next.Seal([]byte("x"), "c")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := both.Open(sealed, "c"); err != nil {
		t.Errorf("a gateway that has the key and does not seal with it: %v", err)
	}
	if _, err := first.Open(sealed, "c"); err == nil {
		t.Error("the first key opens what the second has sealed")
	}
	if _, _, err := registry.AddKey([]byte("{}")); err == nil {
		t.Error("a key was added to nothing")
	}
}
