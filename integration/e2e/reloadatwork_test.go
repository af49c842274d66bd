package e2e_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/registry"
)

// TestReloadAtWork changes a workspace while a registration, an update and a deletion
// wait for the AS: they go on as they began, and whoever comes later meets the new
// setting.
func TestReloadAtWork(t *testing.T) {
	once(t, story.Options{Binary: raceDetecting(t)}, func(t *testing.T, p *story.Play) {
		h := holdsThree(t, p, false)
		reload(t, p, gateway.Workspace("registration off"))
		r := registers(t, p, p.Client(p.Acme), nil)
		answered(t, r, nil, 403, "access_denied")
		if err := p.AS.ResetFaults(t.Context()); err != nil {
			t.Fatal(err)
		}
		made := h.areAnswered(t, p)
		h.areKnown(t, p, made)
		reload(t, p)
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
	address := "https://" + taken.Addr().String()
	withTaken := gateway.At(siteOf(p)).Before(address+" {", "\ttls "+filepath.Join(p.Dir, "server.pem")+" "+filepath.Join(p.Dir, "server.key"), "}")
	for _, c := range []struct {
		name, says string
		edits      []gateway.Edit
	}{
		{"an unknown word", "nonsense", []gateway.Edit{gateway.Workspace("nonsense")}},
		{"an unset secret", "NOT_SET", []gateway.Edit{gateway.At("client gateway").Set("gateway", "{env.NOT_SET}")}},
		{"another keyset", "the keyset changed while the store is open, and lacks keys that have sealed what the store holds", []gateway.Edit{store.After("keyset {file." + keysetFile + "}")}},
		{"a store that does not open", "not a directory", []gateway.Edit{store.Set("badger", filepath.Join(p.Dir, "Caddyfile", "store"))}},
		{"a port that is taken", "address already in use", []gateway.Edit{withTaken}},
		{"another store, and a port that is taken", "address already in use", []gateway.Edit{
			store.Set("badger", filepath.Join(p.Dir, "another")), withTaken,
		}},
		{"two ports for one site", "workspace default/obuk is configured twice (a site with several addresses on different ports counts several times)", []gateway.Edit{gateway.At(siteOf(p)).Rename(address+",", siteOf(p))}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, answer := holdsRegistration(t, p, true)
			if err := p.Reload(t.Context(), edited(t, p.Caddyfile, c.edits...)); err == nil || !strings.Contains(err.Error(), c.says) {
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
