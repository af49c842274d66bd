package directory_test

import (
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/directory"
)

// TestKeysAreNotShared: two directories that run at once have no key in common, also
// when there are keys of one that has stopped.
func TestKeysAreNotShared(t *testing.T) {
	before, err := directory.Start(t.Context(), directory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	enrol(t, before, directory.Enrolment{})
	if err := before.Stop(); err != nil {
		t.Fatal(err)
	}
	first, second := start(t), start(t)
	seen := map[string]bool{}
	var kids int
	for _, d := range []*directory.Directory{first, second} {
		set := d.JWKS()
		for range 2 {
			set.Keys = append(set.Keys, enrol(t, d, directory.Enrolment{}).JWKS().Keys...)
		}
		for _, key := range set.Keys {
			kids++
			if seen[key.KeyID] {
				t.Errorf("key %s is in use twice", key.KeyID)
			}
			seen[key.KeyID] = true
		}
	}
	if kids != 10 {
		t.Errorf("got %d keys, want 10: two of the directories, and two of each software", kids)
	}
}
