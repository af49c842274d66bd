package registry_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/badger"
)

// importKilledIn names the folder of TestKilledImport to the process that is killed.
const importKilledIn = "REGISTRY_IMPORT_KILLED_IN"

// killedCrowd is how many clients are in the file.
const killedCrowd = 1100

// TestKilledImport kills a process that imports, at several moments. The same file goes on with
// what it leaves, or it is undone: then the store has nothing of it.
func TestKilledImport(t *testing.T) {
	if dir := os.Getenv(importKilledIn); dir != "" {
		importAndTell(t, dir)
		return
	}
	if testing.Short() {
		t.Skip("it starts processes")
	}
	t.Parallel()
	halves := 0
	for n, lines := range []int{1, 3} {
		dir := filepath.Join(t.TempDir(), fmt.Sprint(n))
		killImport(t, dir, lines)
		s, err := badger.Open(badger.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		r, err := registry.Open(t.Context(), registry.Options{Store: s, Sealer: plain{}})
		if err != nil {
			t.Fatal(err)
		}
		x := &fixture{Registry: r, t: t, store: s, ws: registry.Workspace{Name: "default/obuk"}}
		report := x.checks(&crowdFile{n: killedCrowd})
		if report.Imported > 0 && report.New > 0 {
			halves++
		}
		if n%2 == 0 {
			if again := x.imports(&crowdFile{n: killedCrowd}); again.Written != report.New || again.Conflicts != 0 || len(x.keys("imported/")) != 1000 {
				t.Errorf("killed after %d lines, and imported again: %+v, want the other %d", lines, again, report.New)
			}
			if counts := fmt.Sprint(x.counts()); counts != fmt.Sprintf("map[OpenBanking Ltd/software1:%d]", killedCrowd) {
				t.Errorf("%s, want all counted", counts)
			}
		}
		if m, err := x.UndoImport(t.Context(), report.ID, importer); !errors.Is(err, registry.ErrNotFound) && (err != nil || m.Kept != 0) {
			t.Errorf("killed after %d lines, and undone: %+v, %v", lines, m, err)
		}
		x.nothingLeft()
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if halves == 0 {
		t.Errorf("got %d imports that were killed half way, want one or more, or the test proves little", halves)
	}
}

// killImport lets a process import until it has told of its progress so often.
func killImport(t *testing.T, dir string, lines int) {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledImport$")
	c.Env = append(os.Environ(), importKilledIn+"="+dir)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	told := bufio.NewScanner(out)
	for n := 0; n < lines && told.Scan(); n++ {
	}
	_ = c.Process.Kill()
	_, _ = io.Copy(io.Discard, out)
	_ = c.Wait()
}

// importAndTell writes a line for every 256 clients once some are written.
func importAndTell(t *testing.T, dir string) {
	s, err := badger.Open(badger.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	r, err := registry.Open(t.Context(), registry.Options{Store: s, Sealer: plain{}})
	if err != nil {
		t.Fatal(err)
	}
	x := &fixture{Registry: r, t: t, ws: registry.Workspace{Name: "default/obuk"}}
	o := x.importOf(&crowdFile{n: killedCrowd})
	o.Progress = func(_, written int) {
		if written > 0 {
			fmt.Println(written)
		}
	}
	if _, err := r.Import(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}
