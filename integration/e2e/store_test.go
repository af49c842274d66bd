package e2e_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// TestSecondProcess: a store belongs to one process. Another one does not start,
// says why, and does no harm.
func TestSecondProcess(t *testing.T) {
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	caddyfile := p.Caddyfile
	for _, listener := range []string{"admin 127.0.0.1:", "https://localhost:"} {
		before, rest, _ := strings.Cut(caddyfile, listener)
		_, after, _ := strings.Cut(rest, "\n")
		port, err := gateway.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		end := ""
		if listener == "https://localhost:" {
			end = " {"
		}
		caddyfile = before + listener + strconv.Itoa(port) + end + "\n" + after
	}
	binary, err := gateway.Build()
	if err != nil {
		t.Fatal(err)
	}
	second, err := gateway.Start(t.Context(), binary, t.TempDir(), caddyfile, []string{"AS_SECRET=x", "AS_IAT=x", "REGISTRAR_SECRET=x"})
	if err == nil {
		t.Fatal(second.Stop())
	}
	if !strings.Contains(err.Error(), "the directory is in use") || !strings.Contains(err.Error(), "held by process") {
		t.Errorf("the error does not say what is wrong: %v", err)
	}
	id, err := p.RegisterAnother(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := reads(t.Context(), p, id); err != nil {
		t.Error(err)
	}
}
