package badger

import (
	"os"
	"path/filepath"
	"testing"
)

// TestSizeCountsBlocks, not the holes of a file, and not what is in a folder.
func TestSizeCountsBlocks(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "full"), make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	hole := filepath.Join(dir, "hole")
	if err := os.WriteFile(hole, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(hole, 1<<30); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "folder", "full"), make([]byte, 8<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	bytes, known := size(dir)
	if _, can := free(dir); known != can || known && (bytes < 1<<20 || bytes > 4<<20) {
		t.Errorf("%d bytes, known %t; want about 1 MiB", bytes, known)
	}
	if _, known := size(filepath.Join(dir, "nowhere")); known {
		t.Error("the size of no directory is known")
	}
}
