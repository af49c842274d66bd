package authserverprocess

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/checkout"
	"github.com/caddy-dcr/caddy-dcr/integration/debianpackage"
)

// command returns the program of a server and its arguments before -config.
func command(kind Kind) ([]string, error) {
	switch kind {
	case GoOIDC:
		binary, err := buildGoOIDC()
		return []string{binary}, err
	case OIDCProvider:
		bundle, err := bundleOIDCProvider()
		if err != nil {
			return nil, err
		}
		node, err := exec.LookPath("node")
		return []string{node, bundle}, err
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

// The programs in Go are built once per process.
var (
	buildGoOIDC   = sync.OnceValues(func() (string, error) { return build("gooidc") })
	buildGlewlwyd = sync.OnceValues(func() (string, error) { return build("glewlwyd") })
)

func build(name string) (string, error) {
	return checkout.Build(context.Background(), filepath.Join("authserver", name), "./"+name)
}

// unpackGlewlwyd fetches Debian's packages the first time, and leaves them in
// .cache. sqlite3 makes the database.
var unpackGlewlwyd = sync.OnceValues(func() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	root := filepath.Join(checkout.Root(), ".cache", "glewlwyd")
	return root, debianpackage.Unpack(ctx, root, "glewlwyd", "sqlite3")
})
