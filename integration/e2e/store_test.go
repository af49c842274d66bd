package e2e_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// elsewhere is the Caddyfile with another address of the admin API and another port.
func elsewhere(t *testing.T, p *story.Play) (site, caddyfile string) {
	t.Helper()
	var ports [2]string
	for i := range ports {
		port, err := gateway.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		ports[i] = strconv.Itoa(port)
	}
	site = "https://localhost:" + ports[0]
	return site, edited(t, p.Caddyfile, gateway.At(siteOf(p)).Rename(site), gateway.At(gateway.Global, "admin").Set("127.0.0.1:"+ports[1]))
}

// TestSecondProcess: a store belongs to one process. Another one does not start, says
// why, and does no harm. When the first was killed, the second takes its place; the
// name that it left in the directory keeps nobody out.
func TestSecondProcess(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	id, own := registered(t, p)
	site, caddyfile := elsewhere(t, p)
	binary, err := gateway.Build()
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"AS_SECRET=" + p.AS.Config.GatewaySecret, "AS_IAT=" + p.AS.Config.InitialAccessToken, "REGISTRAR_SECRET=" + p.AS.Config.RegistrarSecret}
	holder := func() string {
		return "the directory is in use: " + filepath.Join(p.Dir, "store") + " is held by process " + strconv.Itoa(p.Gateway.Pid())
	}
	dir := t.TempDir()
	second, err := gateway.Start(t.Context(), binary, dir, caddyfile, env)
	if err == nil {
		t.Fatal(second.Stop())
	}
	if !strings.Contains(err.Error(), holder()) {
		t.Errorf("the error does not say what is wrong: %v", err)
	}
	// The first one goes on: it reads, writes, and may be killed and started.
	if _, err := p.RegisterAnother(t.Context()); err != nil {
		t.Fatal(err)
	}
	restart(t, p, p.Gateway.Kill)
	if err := reads(t.Context(), p, id); err != nil {
		t.Error(err)
	}
	if err := second.Restart(t.Context()); err == nil || !strings.Contains(err.Error(), holder()) {
		t.Errorf("started beside the first, or without saying why not: %v", err)
	}

	pid := p.Gateway.Pid()
	if err := p.Gateway.Kill(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadFile(filepath.Join(p.Dir, "store", "LOCK")); err != nil || strings.TrimSpace(string(left)) != strconv.Itoa(pid) {
		t.Errorf("the killed process left %q, %v: the test proves nothing", left, err)
	}
	// The store is no use without its keyset, and none is made for it.
	if err := second.Restart(t.Context()); err == nil || !strings.Contains(err.Error(), "keyset.json is missing, and the store is not empty") {
		t.Errorf("started without the store's keyset, or without saying why not: %v", err)
	}
	const keysets = "data/caddy/openbanking_dcr"
	if err := os.CopyFS(filepath.Join(dir, keysets), os.DirFS(filepath.Join(p.Dir, keysets))); err != nil {
		t.Fatal(err)
	}
	if err := second.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := second.Kill(); err != nil {
			t.Error(err)
		}
	})
	r, err := p.Client(p.Acme).Read(t.Context(), strings.Replace(p.Register, siteOf(p), site, 1), id, own)
	answered(t, r, err, 200, "")
	if err := p.Gateway.Restart(t.Context()); err == nil || !strings.Contains(err.Error(), "is held by process "+strconv.Itoa(second.Pid())) {
		t.Errorf("the first one started beside the second: %v", err)
	}
	if err := errors.Join(second.Stop(), p.Gateway.Restart(t.Context())); err != nil {
		t.Fatal(err)
	}
	p.CloseIdle()
	if err := reads(t.Context(), p, id); err != nil {
		t.Error(err)
	}
}
