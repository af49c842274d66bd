package badger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// TestValueLogsChangeNames: two files of the value log that have changed their names would
// answer with each other's values. The store is refused, and there is no word to accept that.
func TestValueLogsChangeNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var files []string
	for n := range 3 {
		s := openIn(t, dir, small) // begins a file of the value log
		for k := range 2 * checkedPlaces {
			put := func(w registry.Writer) error { return w.Put(fmt.Sprintf("%d/%d", n, k), document("value")) }
			if err := s.Update(t.Context(), put); err != nil {
				t.Fatal(err)
			}
		}
		files = append(files, newest(t, dir, "vlog"))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := openIn(t, dir, small).Close(); err != nil {
		t.Fatal(err)
	}
	aside := filepath.Join(t.TempDir(), "aside")
	if err := errors.Join(os.Rename(files[0], aside), os.Rename(files[1], files[0]), os.Rename(aside, files[1])); err != nil {
		t.Fatal(err)
	}
	for _, accept := range []string{"", "1-0123456789ab"} {
		_, err := open(Options{Dir: dir, AcceptLoss: accept}, small)
		if !errors.Is(err, ErrLoss) || !strings.Contains(err.Error(), files[0]+" is of another copy than the other files, or has the name of another file") || strings.Contains(err.Error(), "accept_loss") {
			t.Errorf("with accept_loss %q: %v", accept, err)
		}
	}
}
