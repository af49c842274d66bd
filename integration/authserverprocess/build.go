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
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/debianpackage"
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
	case Glewlwyd:
		root, err := unpackGlewlwyd()
		if err != nil {
			return nil, err
		}
		binary, err := buildGlewlwyd()
		return []string{binary, "-root", root}, err
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

// cacheDir is the repository's .cache, beside the module.
func cacheDir(module string) string { return filepath.Join(filepath.Dir(module), ".cache") }

// The programs in Go are built once per process.
var (
	buildGoOIDC   = sync.OnceValues(func() (string, error) { return build("gooidc") })
	buildGlewlwyd = sync.OnceValues(func() (string, error) { return build("glewlwyd") })
)

// build builds a command of the integration module. The binary lives in the
// repository's ignored .cache, because nothing removes a temporary directory
// that all tests of a process share; the rename lets packages build at once.
func build(name string) (string, error) {
	dir, err := moduleDir()
	if err != nil {
		return "", err
	}
	cache := filepath.Join(cacheDir(dir), "authserver")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	temporary, err := os.MkdirTemp(cache, "build-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temporary)

	built, binary := filepath.Join(temporary, name), filepath.Join(cache, name)
	command := exec.CommandContext(context.Background(), "go", "build", "-o", built, "./"+name)
	command.Dir = dir
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return binary, os.Rename(built, binary)
}

// unpackGlewlwyd fetches Debian's packages the first time, and leaves them in
// .cache. sqlite3 makes the database.
var unpackGlewlwyd = sync.OnceValues(func() (string, error) {
	dir, err := moduleDir()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	root := filepath.Join(cacheDir(dir), "glewlwyd")
	return root, debianpackage.Unpack(ctx, root, "glewlwyd", "sqlite3")
})
