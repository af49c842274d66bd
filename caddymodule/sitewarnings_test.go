package caddymodule

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// said is what loading a Caddyfile logs.
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
	return string(text)
}

// TestSiteWarnings: what can be meant, and goes round the directive, is said at each load.
func TestSiteWarnings(t *testing.T) {
	const beside = "another site sends to the authorization server without this directive"
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
		{"an exception for the AS", "http://a {\nhandle /healthy {\nAS\n}\nhandle {\nGUARD_AS\nAS\n}\n}", "go round this directive to the authorization server, as unguarded allows", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if log := said(t, withGuards(c.sites)); strings.Contains(log, c.want) == c.not {
				t.Errorf("%q, found %t, in\n%s", c.want, !c.not, log)
			}
		})
	}
}
