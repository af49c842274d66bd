package command

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSizeOfAFile: a file that is explained has 1 MiB at most.
func TestSizeOfAFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "request")
	for size, want := range map[int]string{1 << 20: "", 1<<20 + 1: "longer than 1048576 bytes"} {
		text := bytes.Repeat([]byte("x"), size)
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := read(name)
		if want == "" && (err != nil || !bytes.Equal(got, text)) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%d bytes: got %d, %v, want %q", size, len(got), err, want)
		}
	}
}
