//go:build unix

package command

import (
	"io"
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

// TestInterruptedCalls say what is not there, or was not done.
func TestInterruptedCalls(t *testing.T) {
	interrupted := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // so that the server notices who goes
		if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
			t.Error(err)
		}
		<-r.Context().Done()
	}
	s := newStandIn(t, map[string]http.HandlerFunc{"POST backup": interrupted, "POST export": interrupted, "POST import": interrupted})
	file := filepath.Join(t.TempDir(), "clients.jsonl")
	if err := os.WriteFile(file, []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"backup " + file + "2": "there is no backup", "export " + file + "2": "there is no export", "export -": "there is no export",
		"import " + file: "nothing was imported", "import --write --reason x " + file: "nothing was imported",
	} {
		out, stderr, status := dcr(t, append(strings.Fields(args), "--address", s.address)...)
		if status != 1 || out != "" || stderr != "Error: interrupted: "+want+"\n" {
			t.Errorf("%s: got status %d, %q, %q; want %q", args, status, out, stderr, want)
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
