package e2e_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/directory"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// TestDirectoryDown: while the directory is down, TPPs register and get tokens with the
// keys that were fetched before, also after a reload, a restart and a power failure. Keys
// that were withdrawn before do not count, and nor do those of another configuration.
func TestDirectoryDown(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC, Edits: []gateway.Edit{bridge}}))
	client := p.Client(p.Acme)
	id := answered(t, registers(t, p, client, assertions), nil, http.StatusCreated, "").Text("client_id")
	works := func(status int) {
		t.Helper()
		code := ""
		if status != 201 {
			code = "temporarily_unavailable"
		}
		answered(t, registers(t, p, client, nil), nil, status, code)
		assertion, err := p.Acme.Assertion(id, p.Issuer, nil)
		if err != nil {
			t.Fatal(err)
		}
		form := "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=" + assertion + "&grant_type=client_credentials"
		r, err := client.Do(t.Context(), http.MethodPost, p.Endpoint("token_endpoint"), http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, []byte(form))
		if status == 201 {
			answered(t, r, err, 200, "")
		} else {
			answered(t, r, err, status, code)
		}
	}
	works(201)
	down := func() { p.Directory.AddFault(directory.Fault{Status: 503, Times: -1}) }
	down()
	works(201)
	t.Run("after a reload", func(t *testing.T) {
		if _, err := p.Gateway.Command(t.Context(), "reload", "--config", "Caddyfile", "--force"); err != nil {
			t.Fatal(err)
		}
		p.CloseIdle()
		works(201)
	})
	t.Run("after a restart", func(t *testing.T) {
		if err := p.Gateway.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := p.Gateway.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		works(201)
	})
	t.Run("after kill -9", func(t *testing.T) {
		if err := p.Gateway.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := p.Gateway.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		works(201)
	})
	t.Run("with another trust pool", func(t *testing.T) {
		roots := filepath.Join(p.Dir, "ca.pem")
		reload(t, p, gateway.At("software_statement", "trust_pool").Set("file", roots, roots))
		works(503)
	})
	t.Run("back", func(t *testing.T) {
		p.Directory.ResetFaults()
		err := story.Eventually(t.Context(), 8*time.Second, func() error {
			if r := registers(t, p, client, nil); r.Status != http.StatusCreated {
				return fmt.Errorf("got %v, want 201", r)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}
