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

// crashAt names the point at which this process ends, as kill -9 does.
var crashAt = os.Getenv("DCR_CRASH_AT")

func crashpoint(name string) {
	if name != crashAt {
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // until it comes
}
