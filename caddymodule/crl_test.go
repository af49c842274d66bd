package caddymodule

import (
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/crl"
	"github.com/caddy-dcr/caddy-dcr/verify/crl/crltest"
)

// TestCRLMetrics: what an operator is woken by.
func TestCRLMetrics(t *testing.T) {
	ca, lists := crltest.New(t, time.Now(), "CA", nil, nil), crl.NewSet(crl.Options{Log: slog.New(slog.DiscardHandler)})
	use := lists.AddFile("issuing.crl")
	a := &App{workspaces: []*Handler{{Workspace: "default/obuk", Revocation: Revocation{crls: lists}}}, log: slog.New(slog.DiscardHandler)}
	if got := gauges(t, a); got["crl_current"] != 0 {
		t.Errorf("got %v, want crl_current 0", got)
	}
	next := time.Now().Add(time.Hour)
	if err := use(ca.List(func(l *x509.RevocationList) { l.NextUpdate = next })); err != nil {
		t.Fatal(err)
	}
	got := gauges(t, a)
	if got["crl_current"] != 1 || got["crl_age_seconds"] < 3600 || got["crl_age_seconds"] > 4000 || got["crl_next_update_timestamp_seconds"] != float64(next.Unix()) {
		t.Errorf("got %v, want crl_current 1, an age of about an hour, and the next update at %d", got, next.Unix())
	}
}

// TestCRLOfAConfiguration: files are read, and read again; addresses are asked when the
// configuration starts and not before, and what they say outlives it.
func TestCRLOfAConfiguration(t *testing.T) {
	t.Setenv("DCR_TEST_SECRET", "x")
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	ca := crltest.New(t, time.Now(), "CA", nil, nil)
	dir := t.TempDir()
	file := filepath.Join(dir, "file.crl")
	write(t, file, string(ca.List(nil, 1)))
	var asked atomic.Int32
	var down atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		if down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write(ca.List(ca.Numbered(8, time.Minute), 1, 2))
	}))
	defer server.Close()
	config := func(words string) string {
		return site(append([]string{"DIRECTORY", filepath.Join(dir, "store")}, workspaceWord(words)...)...)
	}
	both := config("crl " + file + " " + server.URL + "/list.crl {\n\t\t\tprivate_addresses\n\t\t}")
	if _, err := load(t, both); err != nil || asked.Load() != 0 {
		t.Fatalf("got %d requests, %v, want none", asked.Load(), err)
	}
	for text, want := range map[string]string{
		config("crl " + filepath.Join(dir, "nothing.crl")): "nothing.crl", config("crl " + filepath.Join(dir, "bad.crl")): "bad.crl", config("crl_mode soft"): "there is no crl",
	} {
		write(t, filepath.Join(dir, "bad.crl"), "x")
		if _, err := load(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}

	run := func(what string, serial int64, want bool) {
		t.Helper()
		app := provisioned(t, both)
		app.Checks = "off"
		if err := app.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := app.Cleanup(); err != nil {
				t.Error(err)
			}
		}()
		cert, err := verify.CaptureCertificate(ca.Chain(ca.Client(serial)), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		app.workspaces[0].crls.Ready(t.Context())
		_, err = cert.CheckRevocation(app.workspaces[0].crls, time.Now())
		if (err != nil) != want {
			t.Errorf("%s: got %v, want an error %t", what, err, want)
		}
		app.keeping.wait()
	}
	run("revoked by the list of the address", 2, true)
	if asked.Load() == 0 {
		t.Error("the address was not asked")
	}
	down.Store(true)
	run("revoked, while the server is down", 2, true)
	run("another one, while the server is down", 3, false)

	app := provisioned(t, config("crl "+file))
	write(t, file, string(ca.List(ca.Numbered(9, time.Second), 3)))
	app.files.look(time.Now())
	cert, err := verify.CaptureCertificate(ca.Chain(ca.Client(3)), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cert.CheckRevocation(app.workspaces[0].crls, time.Now()); err == nil {
		t.Error("the file was not read again")
	}
}

// TestCRLSourcesHaveNoPassword: an address with one is refused without showing it.
func TestCRLSourcesHaveNoPassword(t *testing.T) {
	for _, from := range []string{"http://user:secret@crl.example/a", "ldap://user:secret@crl.example/a", "http://user:secret@crl.example/%zz"} {
		if err := checkCRLSource(from); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v, want an error without the secret", from, err)
		}
	}
}

// TestLifetimeOfKeptCRL: a list without an end is kept by its beginning, and one that ends in the year
// 9999 for ten years.
func TestLifetimeOfKeptCRL(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct{ begins, ends, want time.Time }{
		{now, now.Add(time.Hour), now.Add(time.Hour + keepCRLFor)},
		{now, time.Time{}, now.Add(keepCRLFor)},
		{now, time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), now.Add(keepCRLAtMost)},
	} {
		if got := keepUntil(crl.Kept{ThisUpdate: c.begins, NextUpdate: c.ends}, now); !got.Equal(c.want) || got.UnixNano() < 0 {
			t.Errorf("%s to %s: %s, want %s", c.begins, c.ends, got, c.want)
		}
	}
}
