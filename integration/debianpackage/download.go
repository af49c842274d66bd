package debianpackage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// download fetches the archives of the packages, and of what they depend on,
// into dir. The system's lists may be empty or older than the archive; then it
// asks for lists of its own, which take no root.
func download(ctx context.Context, dir string, packages []string) ([]string, error) {
	archives, err := downloadBy(ctx, dir, nil, packages)
	if err == nil {
		return archives, nil
	}
	lists, cache := filepath.Join(dir, "lists"), filepath.Join(dir, "cache")
	for _, folder := range []string{filepath.Join(lists, "partial"), filepath.Join(cache, "archives", "partial")} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return nil, err
		}
	}
	own := []string{"-o", "Dir::State::Lists=" + lists, "-o", "Dir::Cache=" + cache, "-o", "Acquire::Languages=none"}
	if _, updateErr := run(ctx, dir, "apt-get", append(slices.Clone(own), "-o", "APT::Sandbox::User=root", "update")...); updateErr != nil {
		err = errors.Join(err, updateErr) // one of several sources, perhaps not ours
	}
	archives, again := downloadBy(ctx, dir, own, packages)
	if again != nil {
		return nil, errors.Join(err, again)
	}
	return archives, nil
}

// downloadBy has apt-get work out what an installation would bring, and fetches
// of it the packages themselves and the libraries: the rest are the clients and
// the fonts that a package wants for other uses than ours.
func downloadBy(ctx context.Context, dir string, options, packages []string) ([]string, error) {
	install := append(slices.Clone(options), "install", "--print-uris", "--yes", "--reinstall", "--no-install-recommends")
	out, err := run(ctx, dir, "apt-get", append(install, packages...)...)
	if err != nil {
		return nil, err
	}
	var names []string
	for line := range strings.Lines(out) { // 'uri' name_version_architecture.deb size hash
		fields := strings.Fields(line)
		if len(fields) < 3 || !strings.HasPrefix(line, "'") {
			continue
		}
		name, _, _ := strings.Cut(fields[1], "_")
		if slices.Contains(packages, name) || strings.HasPrefix(name, "lib") {
			names = append(names, name)
		}
	}
	for _, name := range packages {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("apt-get would not fetch %s:\n%s", name, out)
		}
	}
	fetch := append(slices.Clone(options), "-o", "APT::Sandbox::User=root", "download")
	if _, err := run(ctx, dir, "apt-get", append(fetch, names...)...); err != nil {
		return nil, err
	}
	return filepath.Glob(filepath.Join(dir, "*.deb"))
}
