package e2e_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// TestChecksTellOfMisconfiguration: what is configured wrong for good is in the log once a
// configuration starts, with the URL and the cure, before any TPP has asked for anything;
// a right one is silent. caddy validate asks nobody.
func TestChecksTellOfMisconfiguration(t *testing.T) {
	t.Parallel()
	s := open(t, story.Options{Kind: authserverprocess.OIDCProvider, Checks: true, Environment: map[string]string{"WRONG_SECRET": "wrong-secret"}})
	failed := func() (n int) {
		for _, line := range strings.Split(metrics(t, &story.Play{Stage: s}), "\n") {
			if strings.HasPrefix(line, "caddy_openbanking_dcr_check_failed{") && strings.HasSuffix(line, " 1") {
				n++
			}
		}
		return n
	}
	asked := func(path string) error { // until the checks have asked there
		return story.Eventually(t.Context(), 30*time.Second, func() error {
			seen, err := s.AS.RequestsTo(t.Context(), "", path)
			if err == nil && len(seen) == 0 {
				err = fmt.Errorf("the authorization server was not asked at %s", path)
			}
			return err
		})
	}
	if err := asked("/token/introspection"); err != nil {
		t.Error(err)
	}
	if failed() != 0 || strings.Contains(s.Gateway.Log(), `"check":`) {
		t.Errorf("got %d failed checks of a right configuration, want none, and none in the log", failed())
	}
	for _, c := range []struct {
		name        string
		edit        gateway.Edit
		check, says string
	}{
		{"a wrong secret", gateway.At("client gateway").Set("gateway", "{env.WRONG_SECRET}"), "client", "compare client gateway and its secret"},
		{"the AS's CA is not trusted", gateway.At("authorization_server", "trust_pool").Remove(), "authorization_server", "write trust_pool with the CA"},
		{"the directory's keys are elsewhere", gateway.At("jwks_uri").Set(s.Directory.JWKSURL() + "-not"), "directory", "correct jwks_uri of software_statement"},
	} {
		t.Run(c.name, func(t *testing.T) {
			caddyfile := edited(t, s.Caddyfile, c.edit)
			before := strings.Count(s.Gateway.Log(), "cannot use ")
			if err := s.Reload(t.Context(), caddyfile); err != nil {
				t.Fatal(err)
			}
			err := story.Eventually(t.Context(), 30*time.Second, func() error {
				for line := range strings.Lines(s.Gateway.Log()) {
					if strings.Contains(line, `"level":"error"`) && strings.Contains(line, `"check":"`+c.check+`"`) && strings.Contains(line, c.says) && strings.Contains(line, `"url":"https://`) {
						return nil
					}
				}
				return fmt.Errorf("no error line of check %s with %q", c.check, c.says)
			})
			if err != nil {
				t.Error(err)
			}
			err = story.Eventually(t.Context(), 30*time.Second, func() error {
				if n := failed(); n != 1 {
					return fmt.Errorf("%d checks failed, want one", n)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			saysTimes(t, s.Gateway, before+1, "cannot use ")
			if strings.Contains(s.Gateway.Log(), "wrong-secret") {
				t.Error("the log has the secret")
			}
		})
	}
}
