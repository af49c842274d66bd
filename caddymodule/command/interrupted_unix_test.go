//go:build unix

package command

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestInterrupted: Ctrl-C, and the end that a service manager asks for, end a call that waits.
func TestInterrupted(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		s := newStandIn(t, map[string]http.HandlerFunc{"GET clients": func(w http.ResponseWriter, r *http.Request) {
			if err := syscall.Kill(os.Getpid(), signal); err != nil {
				t.Error(err)
			}
			<-r.Context().Done() // the command has gone
		}})
		if out, stderr, status := dcr(t, "clients", "list", "--address", s.address); status != 1 || out != "" || stderr != "Error: interrupted\n" {
			t.Errorf("%v: got status %d, %q, %q; want that it was interrupted", signal, status, out, stderr)
		}
	}
}

// TestInterruptedBackup leaves no file, whole or in part.
func TestInterruptedBackup(t *testing.T) {
	s := newStandIn(t, map[string]http.HandlerFunc{"POST backup": func(w http.ResponseWriter, r *http.Request) {
		if _, err := w.Write([]byte("the begin")); err != nil {
			t.Error(err)
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		<-r.Context().Done()
	}})
	folder := t.TempDir()
	out, stderr, status := dcr(t, "backup", filepath.Join(folder, "dcr.backup"), "--address", s.address)
	files, err := os.ReadDir(folder)
	if status != 1 || out != "" || !strings.HasPrefix(stderr, "Error: interrupted") || err != nil || len(files) > 0 {
		t.Errorf("got status %d, %q, %q, and files %v, %v", status, out, stderr, files, err)
	}
}
