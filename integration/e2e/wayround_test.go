package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// TestWayRoundDoesNotLoad: caddy validate and a reload refuse a configuration with a way
// round the directive; the running gateway and the store stay as they are. Which ways there
// are is in a table of caddymodule.
func TestWayRoundDoesNotLoad(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	beside := edited(t, p.Caddyfile, gateway.At("openbanking_dcr default/obuk").Wrap("handle", "/default/*"))
	file := filepath.Join(p.Dir, "Caddyfile.beside-a-handle")
	if err := os.WriteFile(file, []byte(beside), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"validate", "reload"} {
		_, err := p.Gateway.Command(t.Context(), word, "--config", file, "--adapter", "caddyfile")
		if err == nil || !strings.Contains(err.Error(), "requests for localhost go round this directive to reverse_proxy to ") || !strings.Contains(err.Error(), "put openbanking_dcr at the top of the site block") {
			t.Errorf("%s: %v, want it to say which way and what to do", word, err)
		}
	}
	if _, err := p.RegisterAnother(t.Context()); err != nil {
		t.Error("the gateway that runs: ", err)
	}
}

// TestLoadingSaysWhatIsWrong: caddy validate and a reload say what of a
// site's client_auth and proxy is of no use, and nothing of one where all is well. All that
// they say is in tables of caddymodule.
func TestLoadingSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	const level = `"level":"warn"`
	elsewhere := "https://elsewhere." + strings.TrimPrefix(strings.TrimSuffix(p.AS.URL(), story.Prefix), "https://")
	for name, c := range map[string]struct {
		edits []gateway.Edit
		want  string
	}{
		"good":           {nil, ""},
		"mode request":   {[]gateway.Edit{gateway.At("client_auth", "mode").Set("request")}, "the site verifies no client certificate"},
		"another server": {[]gateway.Edit{gateway.At("reverse_proxy").Set(elsewhere)}, "found a reverse_proxy that sends requests to another server than authorization_server"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(p.Dir, "Caddyfile.said-"+strings.ReplaceAll(name, " ", "-"))
			if err := os.WriteFile(file, []byte(edited(t, p.Caddyfile, c.edits...)), 0o600); err != nil {
				t.Fatal(err)
			}
			validated, err := p.Gateway.Command(t.Context(), "validate", "--config", file, "--adapter", "caddyfile")
			if err != nil {
				t.Fatal(err)
			}
			const loaded = "load complete"
			before, loads := len(p.Gateway.Log()), strings.Count(p.Gateway.Log(), loaded)
			if _, err := p.Gateway.Command(t.Context(), "reload", "--force", "--config", file, "--adapter", "caddyfile"); err != nil {
				t.Fatal(err)
			}
			saysTimes(t, p.Gateway, loads+1, loaded)
			for when, said := range map[string]string{"validate": validated, "reload": p.Gateway.Log()[before:]} {
				var ours []string
				for line := range strings.Lines(said) {
					if strings.Contains(line, level) && strings.Contains(line, "http.handlers.openbanking_dcr") {
						ours = append(ours, line)
					}
				}
				switch {
				case c.want == "" && len(ours) > 0:
					t.Errorf("%s: got %s, want nothing", when, ours)
				case c.want != "" && !strings.Contains(strings.Join(ours, ""), c.want):
					t.Errorf("%s does not say %q:\n%s", when, c.want, said)
				}
			}
		})
	}
}
