package badger

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// recorder is a Logger that keeps what it is told, with the level in front.
type recorder struct {
	mu    sync.Mutex
	lines []string
}

func (r *recorder) Errorf(format string, args ...any) { r.add("error", format, args) }
func (r *recorder) Warnf(format string, args ...any)  { r.add("warn", format, args) }
func (r *recorder) Debugf(format string, args ...any) { r.add("debug", format, args) }

func (r *recorder) add(level, format string, args []any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, level+": "+fmt.Sprintf(format, args...))
}

func (r *recorder) has(level string) (found []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, line := range r.lines {
		if strings.HasPrefix(line, level+": ") {
			found = append(found, line)
		}
	}
	return found
}

func TestLogger(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	var log recorder
	s, err := Open(Options{Dir: dir, Logger: &log})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Update(t.Context(), func(w registry.Writer) error { return w.Put("a", nil) }); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if found := log.has("debug"); len(found) == 0 {
		t.Error("badger's own messages are lost")
	}
	if found := log.has("error"); len(found) > 0 {
		t.Errorf("errors: %q", found)
	}
	if found := log.has("warn"); len(found) != 1 || !strings.Contains(found[0], "0755") {
		t.Errorf("warnings: %q, want the one about the directory's mode", found)
	}
}

// TestUnsyncedValueLog: Badger reports such a commit as done.
func TestUnsyncedValueLog(t *testing.T) {
	t.Parallel()
	var log recorder
	failure := &failure{}
	f := &filter{Logger: &log, failure: failure}
	f.Errorf("error flushing memtable to disk: %v, retrying", errDisk)
	if err := failure.err(); err != nil {
		t.Errorf("stopped by %v", err)
	}
	f.Errorf("Error while curlf sync: %v\n", errDisk)
	if err := failure.err(); !errors.Is(err, ErrFailed) || !strings.Contains(err.Error(), errDisk.Error()) {
		t.Errorf("got %v, want ErrFailed with its cause", err)
	}
	if found := log.has("error"); len(found) != 2 || strings.Contains(found[1], "\n") {
		t.Errorf("logged %q", found)
	}
}
