package authserverprocess

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
)

// command returns the program of a server and its arguments before -config.
func command(kind Kind) ([]string, error) {
	dir, err := moduleDir()
	if err != nil {
		return nil, err
	}
	switch kind {
	case GoOIDC:
		binary, err := buildGoOIDC()
		return []string{binary}, err
	case OIDCProvider:
		dir = filepath.Join(dir, "oidcprovider")
		if _, err := os.Stat(filepath.Join(dir, "node_modules", "oidc-provider")); err != nil {
			return nil, fmt.Errorf("the packages of %s are not installed: run 'npm ci' there", dir)
		}
		node, err := exec.LookPath("node")
		return []string{node, filepath.Join(dir, "server.mjs")}, err
	default:
		return nil, fmt.Errorf("unknown authorization server %q", kind)
	}
}

// moduleDir is the directory of the integration module.
func moduleDir() (string, error) {
	_, file, _, ok := runtime.Caller(0)
	dir := filepath.Dir(filepath.Dir(file))
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); !ok || err != nil {
		return "", errors.New("the sources of the integration module are not where they were compiled")
	}
	return dir, nil
}

// buildGoOIDC builds integration/gooidc once per process. The binary lives in
// the repository's ignored .cache, because nothing removes a temporary directory
// that all tests of a process share; the rename lets packages build at once.
var buildGoOIDC = sync.OnceValues(func() (string, error) {
	dir, err := moduleDir()
	if err != nil {
		return "", err
	}
	cache := filepath.Join(filepath.Dir(dir), ".cache", "authserver")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	temporary, err := os.MkdirTemp(cache, "build-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temporary)

	built, binary := filepath.Join(temporary, "gooidc"), filepath.Join(cache, "gooidc")
	build := exec.CommandContext(context.Background(), "go", "build", "-o", built, "./gooidc")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build gooidc: %w\n%s", err, out)
	}
	return binary, os.Rename(built, binary)
})
