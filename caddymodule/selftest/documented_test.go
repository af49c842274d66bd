package selftest

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var caddyfileBlock = regexp.MustCompile("(?s)```caddyfile\n(.*?)```")

// documented are the Caddyfiles of the documentation that have the directive.
func documented(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, pattern := range []string{"../../docs/*.md", "../../docs/*/*.md", "../../README.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for i, block := range caddyfileBlock.FindAllStringSubmatch(string(text), -1) {
				all[fmt.Sprintf("%s, Caddyfile %d", file, i+1)] = block[1]
			}
		}
	}
	return all
}

// fileNamed are files that a run reads: policies, and client_ids that are known.
var fileNamed = regexp.MustCompile(`\b(cel file|known) ([\w./-]+)`)

// certificates is what a site needs whose excerpt in the documentation is about something else.
const certificates = "auth.bank.example {\n\ttls {\n\t\tclient_auth {\n\t\t\tmode verify_if_given\n\t\t\ttrust_pool file roots.pem\n\t\t}\n\t}\n"

// whole are those that are run: behind a load balancer, with all rules, and with an AS that keeps
// introspection apart. TestVariants has the bridge, and what conformance tools need.
var whole = []string{
	"docs/authorization-server.md, Caddyfile 4", "docs/configuration.md, Caddyfile 2", "docs/ory-hydra.md, Caddyfile 1",
}

// TestDocumentedCaddyfiles: each of the documentation that has a site can be run, and passes
// once it verifies client certificates and has a proxy.
func TestDocumentedCaddyfiles(t *testing.T) {
	all := documented(t)
	t.Chdir(t.TempDir())
	for _, name := range slices.Sorted(maps.Keys(all)) {
		text := all[name]
		if !strings.Contains(text, "authorization_server ") {
			continue // global options alone
		}
		if !strings.Contains(text, "client_auth {") && !strings.Contains(text, "client_certificate header") {
			text = strings.Replace(text, "auth.bank.example {\n", certificates, 1)
		}
		if !strings.Contains(text, "reverse_proxy") {
			text = strings.Replace(text, "auth.bank.example {\n", "auth.bank.example {\n\treverse_proxy https://as.internal:9443\n", 1)
		}
		for _, m := range fileNamed.FindAllStringSubmatch(text, -1) {
			content := map[string]string{"cel file": "true", "known": "bank-app\n"}[m[1]]
			if err := errors.Join(os.MkdirAll(filepath.Dir(m[2]), 0o700), os.WriteFile(m[2], []byte(content), 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Contains(whole, strings.TrimPrefix(name, "../../")) {
			rewritten(t, adapted(t, text))
			continue
		}
		t.Run(name, func(t *testing.T) {
			report, err := tried(t, text, Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range report.Rows {
				if !row.OK {
					t.Errorf("%s: got %s, want %s\n%q", row.Name, row.Got, row.Expected, row.Details)
				}
			}
			t.Logf("%d rows, %d left out", len(report.Rows), len(report.LeftOut))
		})
	}
}
