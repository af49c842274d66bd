package e2e_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/registry"
)

// TestReloadAtWork changes a workspace while a registration, an update and a deletion
// wait for the AS: they go on as they began, and whoever comes later meets the new
// setting.
func TestReloadAtWork(t *testing.T) {
	once(t, story.Options{Binary: raceDetecting(t)}, func(t *testing.T, p *story.Play) {
		h := holdsThree(t, p, false)
		reload(t, p, "\t\tregistration off")
		r := registers(t, p, p.Client(p.Acme), nil)
		answered(t, r, nil, 403, "access_denied")
		if err := p.AS.ResetFaults(t.Context()); err != nil {
			t.Fatal(err)
		}
		made := h.areAnswered(t, p)
		h.areKnown(t, p, made)
		reload(t, p, "")
		h.areKnown(t, p, made)
	})
}

// TestReloadThatFails: it says why, and changes nothing, not even for a registration
// that waits for the AS.
func TestReloadThatFails(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, keyset, err := registry.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	keysetFile := filepath.Join(p.Dir, "another-keyset.json")
	if err := os.WriteFile(keysetFile, keyset, 0o600); err != nil {
		t.Fatal(err)
	}
	store := "store badger " + filepath.Join(p.Dir, "store")
	site := siteOf(p) + " {"
	elsewhere := "https://" + taken.Addr().String() + ", " + site
	withTaken := "\nhttps://" + taken.Addr().String() + " {\n\t" + strings.TrimSuffix(between(t, p.Caddyfile, "tls ", " {\n"), " {\n") + "\n}\n\n" + site
	for _, c := range []struct {
		name, says string
		pairs      []string
	}{
		{"an unknown word", "nonsense", []string{"\t\taccess_token dcr_register", "\t\tnonsense\n\t\taccess_token dcr_register"}},
		{"an unset secret", "NOT_SET", []string{"{env.AS_SECRET}", "{env.NOT_SET}"}},
		{"another keyset", "the keyset changed while the store is open: restart Caddy instead of reloading it", []string{store, store + "\n\t\tkeyset {file." + keysetFile + "}"}},
		{"a store that does not open", "not a directory", []string{store, "store badger " + filepath.Join(p.Dir, "Caddyfile", "store")}},
		{"a port that is taken", "address already in use", []string{"\n" + site, withTaken}},
		{"another store, and a port that is taken", "address already in use", []string{
			store, "store badger " + filepath.Join(p.Dir, "another"), "\n" + site, withTaken,
		}},
		{"two ports for one site", "workspace default/obuk is configured twice (a site with several addresses on different ports counts several times)", []string{site, elsewhere}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, answer := holdsRegistration(t, p, true)
			caddyfile := p.Caddyfile
			for i := 0; i < len(c.pairs); i += 2 {
				if strings.Count(caddyfile, c.pairs[i]) != 1 {
					t.Fatalf("%q is in the Caddyfile %d times", c.pairs[i], strings.Count(caddyfile, c.pairs[i]))
				}
				caddyfile = strings.Replace(caddyfile, c.pairs[i], c.pairs[i+1], 1)
			}
			if err := p.Reload(t.Context(), caddyfile); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
			if err := p.AS.Release(t.Context()); err != nil {
				t.Fatal(err)
			}
			a := <-answer
			answered(t, a.Response, a.err, 201, "")
			another, err := p.RegisterAnother(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range []string{a.Text("client_id"), another} {
				if err := reads(t.Context(), p, id); err != nil {
					t.Error(err)
				}
			}
		})
	}
	// The same configuration, and the store of before.
	if err := p.Reload(t.Context(), p.Caddyfile); err != nil {
		t.Error(err)
	}
}
