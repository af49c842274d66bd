//go:build crashpoints

package registry

import (
	"os"
	"os/signal"
	"sync/atomic"
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

// crashAt names the point at which this process ends, as kill -9 does: the one of the
// variable DCR_CRASH_AT, and after SIGUSR2 the one that crashFile names. The process removes
// the file when the new point holds. Read at the point itself, the file would give the other
// goroutines time to go on.
var crashAt atomic.Value

// crashFile is in the working directory.
const crashFile = "dcr-crash-at"

func init() {
	crashAt.Store(os.Getenv("DCR_CRASH_AT"))
	arm := make(chan os.Signal, 1)
	signal.Notify(arm, syscall.SIGUSR2)
	go func() {
		for range arm {
			if name, err := os.ReadFile(crashFile); err == nil {
				crashAt.Store(string(name))
				_ = os.Remove(crashFile)
			}
		}
	}()
}

// Crashpoint is crashpoint for the stores.
func Crashpoint(name string) { crashpoint(name) }

func crashpoint(name string) {
	if name != crashAt.Load() {
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // until it comes
}
