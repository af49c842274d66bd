package authserverprocess

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/checkout"
)

// bundleWithin bounds what takes esbuild a second.
const bundleWithin = 2 * time.Minute

// bundleOIDCProvider puts server.mjs and the packages that it imports into one file, once
// per process. To import hundreds of modules one by one takes twice the CPU time.
var bundleOIDCProvider = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(checkout.Root(), "integration", "oidcprovider")
	modules := filepath.Join(dir, "node_modules")
	for _, name := range []string{"oidc-provider", "esbuild"} {
		if _, err := os.Stat(filepath.Join(modules, name)); err != nil {
			return "", fmt.Errorf("the package %s is not installed in %s: run 'npm ci' there", name, dir)
		}
	}
	banner, err := bundleBanner(dir)
	if err != nil {
		return "", err
	}
	bundle := filepath.Join(checkout.Root(), ".cache", "authserver", "oidcprovider.cjs")
	if old, err := os.ReadFile(bundle); err == nil && bytes.HasPrefix(old, []byte(banner+"\n")) {
		return bundle, nil
	}
	return bundle, writeBundle(dir, banner, bundle)
})

// bundleBanner is the first line of a bundle: a digest of what it is made of. The lock file
// that npm leaves among the packages stands for their files.
func bundleBanner(dir string) (string, error) {
	sources, err := filepath.Glob(filepath.Join(dir, "*.mjs"))
	if err != nil {
		return "", err
	}
	digest := sha256.New()
	for _, source := range append(sources, filepath.Join(dir, "node_modules", ".package-lock.json")) {
		content, err := os.ReadFile(source)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(digest, "%s %d\n%s", filepath.Base(source), len(content), content)
	}
	return fmt.Sprintf("// sources: %x", digest.Sum(nil)), nil
}

// writeBundle replaces the bundle at once: other processes may be starting it, or writing it too.
func writeBundle(dir, banner, bundle string) error {
	if err := os.MkdirAll(filepath.Dir(bundle), 0o755); err != nil {
		return err
	}
	scratch, err := os.MkdirTemp(filepath.Dir(bundle), "bundle-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	ctx, cancel := context.WithTimeoutCause(context.Background(), bundleWithin, fmt.Errorf("esbuild is not done after %s", bundleWithin))
	defer cancel()
	out := filepath.Join(scratch, "server.cjs")
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "node_modules", ".bin", "esbuild"), "server.mjs", "--bundle",
		"--platform=node", "--target=node20", "--format=cjs", "--banner:js="+banner, "--outfile="+out, "--log-level=warning")
	cmd.Dir = dir
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("esbuild server.mjs in %s: %w\n%s", dir, errors.Join(err, context.Cause(ctx)), output)
	}
	return os.Rename(out, bundle)
}
