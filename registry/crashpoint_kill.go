//go:build crashpoints

package registry

import (
	"os"
	"syscall"
	"time"
)

// The times of crashpoint.go, a tenth of each, so that a test need not wait a minute
// for what a crash has left.
const (
	Deadline       = 2 * time.Second
	concludeWithin = time.Second / 2
	lease          = 6 * time.Second
	outboxIdle     = 3 * time.Second
)

// crashFile, in the working directory, names the point at which this process ends, as
// kill -9 does. A test writes it before the start, or while the process runs.
const crashFile = "dcr-crash-at"

// Crashpoint is crashpoint for the stores.
func Crashpoint(name string) { crashpoint(name) }

func crashpoint(name string) {
	if at, err := os.ReadFile(crashFile); err != nil || string(at) != name {
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // until it comes
}
