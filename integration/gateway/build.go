package gateway

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"sync"

	"github.com/caddy-dcr/caddy-dcr/integration/checkout"
)

// Build builds cmd/gateway once per process, into the ignored .cache, and returns
// the binary. A process that runs under the race detector gets one that does too.
var Build = sync.OnceValues(func() (string, error) {
	if raceEnabled {
		return BuildRace()
	}
	return build("gateway")
})

// BuildRace builds it with the race detector, or without where there is no C compiler,
// which the race detector needs on most systems.
var BuildRace = sync.OnceValues(func() (string, error) {
	cgo, err := exec.Command("go", "env", "CGO_ENABLED").Output()
	if err != nil {
		return "", fmt.Errorf("go env: %w", err)
	}
	if strings.TrimSpace(string(cgo)) != "1" {
		return build("gateway")
	}
	return build("gateway-race", "-race")
})

// BuildCrashing builds the gateway that ends at the point that the variable
// DCR_CRASH_AT names, or a file later, and whose leases are a tenth
// (registry/crashpoint_kill.go).
var BuildCrashing = sync.OnceValues(func() (string, error) {
	return build("gateway-crashing", "-tags=crashpoints")
})

func build(name string, flags ...string) (string, error) {
	return checkout.Build(context.Background(), name, "./cmd/gateway", flags...)
}
