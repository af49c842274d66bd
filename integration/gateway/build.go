package gateway

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
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
	name := "gateway"
	args := []string{"build"}
	if raceEnabled {
		name, args = "gateway-race", append(args, "-race")
	}
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
})
