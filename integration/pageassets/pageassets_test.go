// Package pageassets compares what the Applications page has of others with the packages that
// package-lock.json names, with their checksums.
package pageassets

import (
	"bytes"
	"os"
	"testing"
)

// TestVendored: every file is that of the package, and its licence is beside it.
func TestVendored(t *testing.T) {
	for ours, theirs := range map[string]string{
		"htmx.min.js": "htmx.org/dist/htmx.min.js", "htmx.LICENSE": "htmx.org/LICENSE",
		"simple.min.css": "simpledotcss/simple.min.css", "simple.LICENSE": "simpledotcss/LICENSE",
	} {
		want, err := os.ReadFile("node_modules/" + theirs)
		if err != nil {
			t.Fatalf("%v: make node installs it", err)
		}
		if got, err := os.ReadFile("../../caddymodule/page/assets/" + ours); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not %s: %v", ours, theirs, err)
		}
	}
}
