package gateway

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

// Root is the repository's folder.
func Root() string {
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		return "."
	}
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

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
// DCR_CRASH_AT names, and whose leases are a tenth (registry/crashpoint_kill.go).
var BuildCrashing = sync.OnceValues(func() (string, error) {
	return build("gateway-crashing", "-race=false", "-tags=crashpoints")
})

func build(name string, flags ...string) (string, error) {
	args := append([]string{"build"}, flags...)
	binary := filepath.Join(Root(), ".cache", name)
	args = append(args, "-o", binary, "./cmd/gateway")
	cmd := exec.Command("go", args...)
	cmd.Dir = filepath.Join(Root(), "integration")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("go %v: %w\n%s", args, err, out.Bytes())
	}
	return binary, nil
}
