package caddymodule

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// TestStoresOfEarlierVersions: a store that an earlier version has written, and closed or
// was killed over, opens again and again and has lost nothing: five clients, one of them
// suspended, and the jti of their requests. Those of testdata/stores/before-head-* are of the
// last version without HEAD, whose store was not bound to its keyset either.
func TestStoresOfEarlierVersions(t *testing.T) {
	archives, err := filepath.Glob("testdata/stores/*.tar.gz")
	if err != nil || len(archives) == 0 {
		t.Fatalf("got %q, %v, want an archive or more", archives, err)
	}
	for _, archive := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(archive), ".tar.gz"), func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv("XDG_DATA_HOME", dir) // where its keyset is
			unpack(t, archive, dir)
			for range 2 {
				engine := &BadgerStore{absolute: filepath.Join(dir, "store")}
				a := configuration(t, engine, "")
				if err := a.Start(); err != nil {
					t.Fatal(err)
				}
				hasFiveClients(t, a.registry, a.workspaces[0].Workspace)
				if err := a.Cleanup(); err != nil {
					t.Fatal(err)
				}
				stores.settled(t, engine)
			}
		})
	}
}

// uncalled is an AS that nobody asks.
type uncalled struct{ registry.Provisioner }

func (uncalled) ChoosesClientID() bool { return false }

func hasFiveClients(t *testing.T, store *registry.Registry, workspace string) {
	t.Helper()
	ws := registry.Workspace{Name: workspace, Provisioner: uncalled{}}
	for n := range 5 {
		id, jti := fmt.Sprintf("c%d", n), fmt.Sprintf("0000000%d-0000-4000-8000-000000000000", n)
		c, err := store.Client(t.Context(), workspace, id)
		if err != nil || c.Status != registry.Active || c.Suspended != (n == 2) || c.SoftwareID != jti {
			t.Errorf("%s: got %+v, %v, want it active, suspended %t, with the software %s", id, c, err, n == 2, jti)
		}
		_, err = store.Register(t.Context(), ws, registry.Registration{
			Request: &verify.Request{Raw: []byte("x"), Issuer: "x", JTI: jti, Expires: time.Now().Add(time.Hour), Statement: &verify.SoftwareStatement{SoftwareID: jti, OrgID: "org", Issuer: &verify.Issuer{Name: "OpenBanking Ltd"}}},
			Checked: &verify.Checked{Metadata: verify.Metadata{TokenEndpointAuthMethod: "tls_client_auth"}},
		})
		if e := refusal.From(err); e == nil || e.RuleName() != "jti" {
			t.Errorf("the request of %s once more: %v", id, err)
		}
	}
}

// unpack unpacks an archive of regular files into a folder.
func unpack(t *testing.T, archive, dir string) {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for files := tar.NewReader(z); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		data, err := io.ReadAll(files)
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		if err := errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, data, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
}
