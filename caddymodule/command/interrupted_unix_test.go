//go:build unix

package command

import (
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
)

// TestInterrupted: Ctrl-C ends a call that waits, and says what may be.
func TestInterrupted(t *testing.T) {
	s := newStandIn(t, map[string]http.HandlerFunc{"GET clients": func(w http.ResponseWriter, r *http.Request) {
		if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
			t.Error(err)
		}
		<-r.Context().Done() // the command has gone
	}})
	if out, stderr, status := dcr(t, "clients", "list", "--address", s.address); status != 1 || out != "" || !strings.HasPrefix(stderr, "Error: interrupted") {
		t.Errorf("got status %d, %q, %q; want that it was interrupted", status, out, stderr)
	}
}
