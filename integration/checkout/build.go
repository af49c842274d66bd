package checkout

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"
)

// buildWithin bounds a build. The first one compiles a thousand packages, beside others.
const buildWithin = time.Hour

// Build compiles a command of the integration module, with further flags of go build, and
// returns its binary: name in the ignored folder .cache. Go leaves one alone that is up to
// date. Without -race among the flags it is built without the race detector.
func Build(ctx context.Context, name, source string, flags ...string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, buildWithin, fmt.Errorf("go build %s is not done after %s", source, buildWithin))
	defer cancel()
	binary := filepath.Join(Root(), ".cache", name)
	args := append([]string{"build", "-trimpath", "-race=false", "-ldflags=-s -w", "-o", binary}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, source)...)
	cmd.Dir = filepath.Join(Root(), "integration")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w\n%s", source, errors.Join(err, context.Cause(ctx)), out)
	}
	return binary, nil
}
