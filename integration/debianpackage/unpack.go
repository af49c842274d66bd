// Package debianpackage runs programs of the Debian archive that nobody
// installed: it unpacks packages, and the libraries that they need and the
// system lacks, into a folder. The archive is the machine's own. Nothing needs
// root, and the system stays as it is.
package debianpackage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ErrNoApt is the error on systems that are not like Debian.
var ErrNoApt = errors.New("apt-get and dpkg-deb are needed: this is not a Debian system")

// Unpack unpacks packages into root, which other processes may do at the same
// time. A root that is there is taken to be whole and is left as it is.
func Unpack(ctx context.Context, root string, packages ...string) error {
	if _, err := os.Stat(root); err == nil {
		return nil
	}
	for _, program := range []string{"apt-get", "dpkg-deb"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%w: %w", ErrNoApt, err)
		}
	}
	if err := os.MkdirAll(filepath.Dir(root), 0o755); err != nil {
		return err
	}
	temporary, err := os.MkdirTemp(filepath.Dir(root), "unpack-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)

	archives, err := download(ctx, temporary, packages)
	if err != nil {
		return fmt.Errorf("download %s: %w", strings.Join(packages, ", "), err)
	}
	unpacked := filepath.Join(temporary, "root")
	for _, archive := range archives {
		if _, err := run(ctx, temporary, "dpkg-deb", "--extract", archive, unpacked); err != nil {
			return err
		}
	}
	if err := checkLibraries(ctx, unpacked); err != nil {
		return err
	}
	if err := os.Rename(unpacked, root); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// LibraryPath is the LD_LIBRARY_PATH for the programs in root.
func LibraryPath(root string) string {
	var folders []string
	for _, pattern := range []string{"usr/lib/*-linux-*", "lib/*-linux-*"} { // Debian's multiarch names
		matches, _ := filepath.Glob(filepath.Join(root, pattern))
		folders = append(folders, matches...)
	}
	return strings.Join(folders, string(os.PathListSeparator))
}

// checkLibraries looks whether each program and library finds all that it is
// linked with, because download leaves out what looks needless.
func checkLibraries(ctx context.Context, root string) error {
	missing := map[string]bool{}
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || !strings.Contains(file, "/bin/") && !strings.Contains(entry.Name(), ".so") {
			return err
		}
		command := exec.CommandContext(ctx, "ldd", file)
		command.Env = append(os.Environ(), "LC_ALL=C", "LD_LIBRARY_PATH="+LibraryPath(root))
		out, _ := command.Output() // a script is an error
		for line := range strings.Lines(string(out)) {
			if name, _, ok := strings.Cut(line, " => not found"); ok {
				missing[strings.TrimSpace(name)] = true
			}
		}
		return nil
	})
	if err == nil && len(missing) > 0 {
		err = fmt.Errorf("libraries that no package brought: %v", missing)
	}
	return err
}

// run returns what a program wrote to stdout; its error holds the rest.
func run(ctx context.Context, dir, program string, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, program, arguments...)
	command.Dir = dir
	command.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	out, err := command.Output()
	if err == nil {
		return string(out), nil
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("%w\n%s", err, exit.Stderr)
	}
	return "", fmt.Errorf("%s: %w", command, err)
}
