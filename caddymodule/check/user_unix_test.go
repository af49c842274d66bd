//go:build unix

package check

import (
	"os"
	"syscall"
	"testing"
)

// asUser has the rest of a test run as somebody who is not root.
func asUser(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	const nobody = 65534
	if err := syscall.Setreuid(-1, nobody); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Setreuid(-1, 0); err != nil {
			panic(err) // all other tests would run as nobody
		}
	})
}

// TestRightsOfAUser: what the user that runs this may not read or write is found.
func TestRightsOfAUser(t *testing.T) {
	asUser(t)
	w := newWorld(t)
	t.Setenv("XDG_DATA_HOME", w.dir)
	own := []string{"keyset {env.CHECK_KEYSET}", ""}
	w.write("caddy/openbanking_dcr/keyset.json", os.Getenv("CHECK_KEYSET"))
	if report := w.check(Options{}, own...); len(report.of("store-not-writable"))+len(report.of("keyset-not-readable")) > 0 {
		t.Errorf("got %+v where nothing is wrong", report.Findings)
	}
	chmod("store", 0o500)(w)
	chmod("caddy/openbanking_dcr/keyset.json", 0)(w)
	report := w.check(Options{}, own...)
	for _, name := range []string{"store-not-writable", "keyset-not-readable"} {
		if found := report.of(name); len(found) != 1 || found[0].Why == "" {
			t.Errorf("%s: got %+v, want one finding", name, found)
		}
	}
	chmod("store", 0o700)(w) // so that it can be removed
}
