package registry_test

import (
	"errors"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// TestImportOnAFullDisk: an import that the disk ends leaves whole clients, and a record that says
// so; the same file goes on with it when there is room again, or an undo takes all of it back.
// So it is with an undo that the disk ends.
func TestImportOnAFullDisk(t *testing.T) {
	t.Parallel()
	const clients = 600
	for _, undo := range []bool{false, true} {
		onDisk(t, false, func(x *fixture, a *filling) {
			before := x.everything()
			o := x.importOf(&crowdFile{n: clients})
			o.Progress = func(_, written int) {
				if written > 0 {
					a.disk.full.Store(true)
				}
			}
			report, err := x.Import(x.t.Context(), o)
			if !errors.Is(err, errFull) || report.State != registry.ImportWriting || report.Written == 0 || report.Written >= clients {
				x.t.Fatalf("%+v, %v; want an import that the disk has ended", report, err)
			}
			written := len(x.keys("imported/"))
			if m, _, err := x.ImportRecord(x.t.Context(), report.ID); err != nil || m.State != registry.ImportWriting || written != report.Written || len(x.keys("client/")) != written {
				x.t.Errorf("%+v, %v, %d of them listed; want it unfinished", m, err, written)
			}
			if _, err := x.Import(x.t.Context(), x.importOf(&crowdFile{n: clients})); !errors.Is(err, errFull) {
				x.t.Errorf("again: %v, want %v", err, errFull)
			}
			if _, err := x.UndoImport(x.t.Context(), report.ID, importer); !errors.Is(err, errFull) {
				x.t.Errorf("undo: %v, want %v", err, errFull)
			}
			a.disk.full.Store(false)
			if !undo {
				if again := x.imports(&crowdFile{n: clients}); again.Written != clients-written || again.State != registry.ImportDone {
					x.t.Errorf("%+v after %d, want the rest", again, written)
				}
				return
			}
			if m, err := x.UndoImport(x.t.Context(), report.ID, importer); err != nil || m.Undone != written || m.Kept != 0 {
				x.t.Errorf("%+v, %v; want %d undone", m, err, written)
			}
			if after := x.everything(); len(after) != len(before) {
				x.t.Errorf("%d records after %d", len(after), len(before))
			}
		})
	}
}
