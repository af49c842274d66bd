//go:build unix

package caddymodule

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// TestStoreDirectoryPermissions: what owner and mode of a store's directory, and of what is in it,
// mean for the user that runs the gateway.
func TestStoreDirectoryPermissions(t *testing.T) {
	info, err := os.Stat(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	o, known := ownerOf(info)
	if !known {
		t.Fatal("the owner is not known")
	}
	owns, root := identity{user: o.user}, identity{}
	group, other := identity{user: 54321, groups: []int{o.group}}, identity{user: 54321}
	if o.user == 0 {
		owns = root // which may do everything
	}
	for _, c := range []struct {
		name string
		mode fs.FileMode
		me   identity
		want string // "" is nothing
	}{
		{"its owner", 0o700, owns, ""},
		{"its owner, open to a group", 0o750, owns, ""},
		{"its owner, open to look into", 0o755, owns, "has mode 0755: everybody on this machine can look into it"},
		{"its owner, open to all", 0o777, owns, "has mode 0777: others than user"},
		{"its owner, open to a group to write", 0o770, owns, "others than user"},
		{"root", 0o700, root, ""},
		{"somebody else", 0o700, other, "has mode 0700, so that user 54321 cannot write into it"},
		{"somebody else who may look", 0o755, other, "cannot write into it"},
		{"somebody else of the group", 0o770, group, "others than user"},
		{"somebody else of the group who may look", 0o750, group, "cannot write into it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "store")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(dir, c.mode); err != nil {
				t.Fatal(err)
			}
			doubts, err := judgeDirectory(dir, c.me)
			if err != nil {
				t.Fatal(err)
			}
			if c.want == "" && len(doubts) > 0 || !strings.Contains(problems(doubts), c.want) {
				t.Errorf("%q, want %q", doubts, c.want)
			}
		})
	}
}

func problems(doubts []directoryDoubt) (text string) {
	for _, one := range doubts {
		text += one.problem + "; "
	}
	return text
}

func TestMissingStoreDirectory(t *testing.T) {
	dir := t.TempDir()
	other := identity{user: 54321}
	missing := filepath.Join(dir, "a", "b")
	if doubts, err := judgeDirectory(missing, thisUser()); err != nil || len(doubts) > 0 {
		t.Errorf("got %v, %v, want no doubts", doubts, err)
	}
	if doubts, err := judgeDirectory(missing, other); err != nil || len(doubts) != 1 || !strings.HasSuffix(doubts[0].problem, "cannot write into it, and cannot make "+missing) {
		t.Errorf("got %v, %v, want one doubt, that it cannot make %s", doubts, err, missing)
	}
	file := filepath.Join(dir, "000001.vlog")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, filepath.Join(file, "store")} {
		if _, err := judgeDirectory(path, thisUser()); err == nil || !strings.Contains(err.Error(), "is no") && !strings.Contains(err.Error(), "not a directory") {
			t.Errorf("%s: got %v, want an error that says it is no directory", path, err)
		}
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if doubts, err := judgeDirectory(dir, other); err != nil || len(doubts) != 2 || !strings.Contains(doubts[1].problem, file+" belongs to") {
		t.Errorf("got %v, %v, want two doubts, the second about %s", doubts, err, file)
	}
	t.Setenv("DCR_TEST_SECRET", "x")
	if _, err := load(t, site("DIRECTORY", file)); err == nil || !strings.Contains(err.Error(), "000001.vlog is no directory") {
		t.Error(err)
	}
}

// TestValidateKeyset: a keyset that is none is found before the store is opened.
func TestValidateKeyset(t *testing.T) {
	t.Setenv("DCR_TEST_SECRET", "x")
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	_, good, err := registry.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	configured := site("DIRECTORY", filepath.Join(t.TempDir(), "store"), "openbanking_dcr {\n\t\tstore", "openbanking_dcr {\n\t\tkeyset {env.DCR_TEST_KEYSET}\n\t\tstore")
	generated := site("DIRECTORY", filepath.Join(t.TempDir(), "store"))
	file := filepath.Join(dataDirectory(), "keyset.json")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, text, want string }{
		{"good", string(good), ""},
		{"another secret", "hunter2", "is not a Tink keyset in JSON"},
		{"cut off", string(good[:len(good)/2]), "is not a Tink keyset in JSON"},
		{"without a key", "{}", "is not a Tink keyset in JSON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("DCR_TEST_KEYSET", c.text)
			if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			for where, caddyfile := range map[string]string{"keyset {env.DCR_TEST_KEYSET}: ": configured, "keyset: " + file + " is damaged: ": generated} {
				_, err := load(t, caddyfile)
				if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), where) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2")) {
					t.Errorf("%s: got %v, want %q, without the secret", where, err, c.want)
				}
			}
		})
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := load(t, generated); err == nil || !strings.Contains(err.Error(), "put back the one that was backed up with the store") {
		t.Errorf("an empty file: %v", err)
	}
	for size, want := range map[int]string{1 << 20: "", 1<<20 + 1: "larger than 1048576 bytes"} {
		if err := os.WriteFile(file, append(bytes.Repeat([]byte{' '}, size-len(good)), good...), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := load(t, generated); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("a file of %d bytes: got %v, want %q", size, err, want)
		}
	}
	if err := os.WriteFile(file, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if log := said(t, generated); !strings.Contains(log, "found a keyset that others than its owner can access") {
		t.Errorf("got %s, want a warning of a keyset that others can access", log)
	}
}
