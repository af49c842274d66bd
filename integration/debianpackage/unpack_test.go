package debianpackage

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tools are programs in the place of the system's. This apt-get knows packages
// once it has updated lists of its own; program brings usr/bin/program.
var tools = map[string]string{
	"apt-get": `
echo "$@" >>"$TOOLS/calls"
case " $* " in
*" update "*) ;;
*" install "*)
	case "$*" in *Dir::State::Lists=*) ;; *) echo "E: Unable to locate package" >&2; exit 100 ;; esac
	printf "%s\n" "Reading package lists..." \
		"'https://archive.example/p.deb' program_1%3a2.0_amd64.deb 100 SHA256:00" \
		"'https://archive.example/l.deb' libneeded1_2.0_amd64.deb 100 SHA256:00" \
		"'https://archive.example/f.deb' fonts-fancy_2.0_all.deb 100 SHA256:00" ;;
*" download "*)
	for name in "$@"; do case $name in program|libneeded1) echo >"${name}_2.0_amd64.deb" ;; esac; done ;;
esac`,
	"dpkg-deb": `mkdir -p "$3/usr/bin" "$3/usr/lib/x86_64-linux-gnu"; basename "$2" _2.0_amd64.deb | xargs -I@ touch "$3/usr/bin/@"`,
	"ldd":      `if test -e "$TOOLS/broken"; then echo "	libother.so.1 => not found"; fi; echo "	libc.so.6 => /lib/libc.so.6 (0x1)"`,
}

func useTools(t *testing.T) (dir string) {
	dir = t.TempDir()
	for name, script := range tools {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("TOOLS", dir)
	return dir
}

func TestUnpack(t *testing.T) {
	dir, root := useTools(t), filepath.Join(t.TempDir(), "cache", "root")
	for range 2 {
		if err := Unpack(t.Context(), root, "program"); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"program", "libneeded1"} {
		if _, err := os.Stat(filepath.Join(root, "usr/bin", name)); err != nil {
			t.Error(err)
		}
	}
	raw, err := os.ReadFile(filepath.Join(dir, "calls"))
	if err != nil {
		t.Fatal(err)
	}
	calls := strings.Split(strings.TrimSpace(string(raw)), "\n")
	if len(calls) != 4 || !strings.HasSuffix(calls[1], " update") || !strings.HasSuffix(calls[3], " download program libneeded1") {
		t.Errorf("apt-get was called with %q", calls)
	}
	if got, want := LibraryPath(root), filepath.Join(root, "usr/lib/x86_64-linux-gnu"); got != want {
		t.Errorf("library path %s, want %s", got, want)
	}
	if left, err := os.ReadDir(filepath.Dir(root)); err != nil || len(left) != 1 {
		t.Errorf("got %v, %v, want nothing left behind", left, err)
	}
}

func TestUnpackRefuses(t *testing.T) {
	dir, root := useTools(t), filepath.Join(t.TempDir(), "root")
	if err := Unpack(t.Context(), root, "unknown"); err == nil || !strings.Contains(err.Error(), "would not fetch unknown") {
		t.Errorf("unknown package: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "broken"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Unpack(t.Context(), root, "program"); err == nil || !strings.Contains(err.Error(), "libother.so.1") {
		t.Errorf("missing library: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if err := Unpack(t.Context(), root, "program"); !errors.Is(err, ErrNoApt) {
		t.Errorf("got %v, want %v", err, ErrNoApt)
	}
	if _, err := os.Stat(root); err == nil {
		t.Error("a root is there all the same")
	}
}
