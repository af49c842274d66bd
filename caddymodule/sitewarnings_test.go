package caddymodule

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// said is what loading a Caddyfile logs. Each warning of this module has its place and its
// cure.
func said(t *testing.T, caddyfile string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "log")
	caddyfile = strings.Replace(caddyfile, "output discard", "output file "+file, 1)
	if _, err := load(t, caddyfile); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var entry struct{ Level, Logger, Place, Cure string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if entry.Level == "warn" && strings.Contains(entry.Logger, "openbanking_dcr") && (!strings.HasPrefix(entry.Place, "apps/") || entry.Cure == "") {
			t.Errorf("where is that, and what is to be done? %s", line)
		}
	}
	return string(text)
}

// TestSiteWarnings: what can be meant, and rarely is, is said at each load.
func TestSiteWarnings(t *testing.T) {
	const beside = "cannot check requests that another site sends to the authorization server"
	const noProxy = "cannot forward requests to the authorization server, because no handler after this directive sends them there"
	const elsewhere = "found a reverse_proxy that sends requests to another server than authorization_server"
	for _, c := range []struct {
		name, sites, want string
		not               bool
	}{
		{"another host, to the AS", "http://a {\nGUARD\nAS\n}\nhttp://internal.b {\nAS\n}", beside, false},
		{"another host, elsewhere", "http://a {\nGUARD\nAS\n}\nhttp://portal.b {\nreverse_proxy portal:80\n}", beside, true},
		{"another host with another directive, to the same AS", "http://a {\nGUARD\nAS\n}\nhttp://b {\nGUARD2\nAS\n}", beside, false},
		{"another host with another directive, to its own paths of the same AS", "http://a {\nGUARD\nreverse_proxy /default/* https://as.internal:9443\n}\nhttp://b {\nGUARD2\nreverse_proxy /other/* https://as.internal:9443\n}", beside, true},
		{"an exception that is needed", "http://a {\nhandle /portal/* {\nreverse_proxy portal:80 cdn.example:443\n}\nhandle {\nGUARD_UPSTREAM\nAS\n}\n}", "is not needed", true},
		{"an exception that is not needed", "http://a {\nGUARD_UPSTREAM\nAS\n}", "is not needed", false},
		{"an exception for the AS", "http://a {\nhandle /healthy {\nAS\n}\nhandle {\nGUARD_AS\nAS\n}\n}", "does not check some requests to the authorization server, as unguarded allows", false},
		{"no proxy", "http://a {\nGUARD\n}", noProxy + `: its endpoints do not answer","workspace":"default","place":"apps/http/servers/srv0/routes/0/handle/0/routes/0/handle/0","cure":"write in the site: reverse_proxy https://as.internal:9443"`, false},
		{"a proxy", "http://a {\nGUARD\nAS\n}", noProxy, true},
		{"nothing but what asks", "http://a {\nGUARD\nhandle {\nforward_auth auth:80 {\nuri /verify\n}\nrespond 404\n}\n}", noProxy, false},
		{"a proxy to another server", "http://a {\nGUARD\nreverse_proxy https://as2.internal:9443\n}", elsewhere + `: the gateway checks them with one server, and another answers them","workspace":"default","sends_to":["as2.internal:9443"],"authorization_server":"https://as.internal:9443/default"`, false},
		{"a proxy to another port", "http://a {\nGUARD\nreverse_proxy https://as.internal:8443\n}", elsewhere, false},
		{"a proxy to the AS, and others", "http://a {\nGUARD\nreverse_proxy /portal/* portal:80\nAS\n}", elsewhere, true},
		{"a proxy to what only a request tells", "http://a {\nGUARD\nreverse_proxy {\ndynamic a as.internal 9443\n}\n}", elsewhere, true},
		{"a proxy without TLS", "http://a {\nGUARD\nreverse_proxy as.internal:9443\n}", "found a reverse_proxy that uses HTTP without TLS to the authorization server", false},
		{"a proxy with TLS", "http://a {\nGUARD\nreverse_proxy as.internal:9443 {\ntransport http {\ntls\n}\n}\n}", "without TLS", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if log := said(t, withGuards(c.sites)); strings.Contains(log, c.want) == c.not {
				t.Errorf("%q: got it found %t, want %t, in\n%s", c.want, c.not, !c.not, log)
			}
		})
	}
}

// TestUnknownAppIsWarnedOf: a way that this module cannot follow is said.
func TestUnknownAppIsWarnedOf(t *testing.T) {
	caddy.RegisterModule(unseenApp{})
	const guard = `{"handler":"openbanking_dcr","workspace":"default","authorization_server":{"url":"https://as.internal:9443/default","provision":{"method":"rfc7591"}},"software_statements":[{"issuer":"x","jwks_uri":"https://localhost/k"}]}`
	for apps, want := range map[string]bool{``: false, `"layer4":{},`: true} {
		file := filepath.Join(t.TempDir(), "log")
		if err := validateJSON(t, `{"admin":{"disabled":true},"logging":{"logs":{"default":{"writer":{"output":"file","filename":"`+file+`"}}}},"apps":{`+apps+`"http":{"servers":{"s":{"routes":[{"handle":[`+guard+`]}]}}}}}`); err != nil {
			t.Fatal(err)
		}
		log, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(log), "what the app layer4 does") != want {
			t.Errorf("%q: got %s, want a warning of layer4 %t", apps, log, want)
		}
	}
}

// unseenApp has the name of one that proxies below HTTP.
type unseenApp struct{}

func (unseenApp) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "layer4", New: func() caddy.Module { return new(unseenApp) }}
}
func (unseenApp) Start() error { return nil }
func (unseenApp) Stop() error  { return nil }

// TestOtherBodiesAreWarnedOf: at each load, and by validate.
func TestOtherBodiesAreWarnedOf(t *testing.T) {
	t.Setenv("DCR_TEST_SECRET", "x")
	const warning = "forwards JSON bodies to endpoints where clients authenticate (other_bodies pass)"
	if text := said(t, site(workspaceWord("other_bodies pass")...)); !strings.Contains(text, warning) {
		t.Errorf("no warning: %s", text)
	}
	if text := said(t, site(workspaceWord("other_bodies refuse")...)); strings.Contains(text, warning) {
		t.Errorf("a warning without need: %s", text)
	}
}
