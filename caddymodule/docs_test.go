package caddymodule

import (
	"encoding/pem"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

var (
	caddyfileBlock = regexp.MustCompile("(?s)```caddyfile\n(.*?)```")
	anyBlock       = regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)```$")
	tableWord      = regexp.MustCompile("(?m)^\\| `([a-z_]+)")
)

func documentation(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	further, err := filepath.Glob("../docs/*/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(append(files, further...), "../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		out[file] = string(text)
	}
	return out
}

// documentedCaddyfiles are those of the documentation, and the example.
func documentedCaddyfiles(t *testing.T) map[string]string {
	t.Helper()
	example, err := os.ReadFile("../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{"Caddyfile.example": string(example)}
	for file, text := range documentation(t) {
		for i, block := range caddyfileBlock.FindAllStringSubmatch(text, -1) {
			all[fmt.Sprintf("%s, Caddyfile %d", file, i+1)] = block[1]
		}
	}
	return all
}

// TestDocumentedCaddyfiles: every Caddyfile in the documentation adapts and is
// formatted. Commands are run by integration/e2e.
func TestDocumentedCaddyfiles(t *testing.T) {
	for name, text := range documentedCaddyfiles(t) {
		got := adapt(t, []byte(policyFile.ReplaceAllString(text, "cel file ../docs/policies/organisations/policy.cel")))
		if !strings.HasPrefix(got, "{") || !strings.Contains(got, "openbanking_dcr") {
			t.Errorf("%s: got %s, want JSON with openbanking_dcr", name, got)
		}
		if formatted := caddyfile.Format([]byte(text)); string(formatted) != text {
			t.Errorf("%s: caddy fmt would change it to\n%s", name, formatted)
		}
	}
	for file, text := range documentation(t) {
		for _, block := range anyBlock.FindAllStringSubmatch(text, -1) {
			if block[1] == "caddyfile" || block[1] == "sh" {
				continue
			}
			if of := quotedFrom[block[1]]; of == "" || !quoted(t, of, block[2]) {
				t.Errorf("%s has a block of %s, which nothing tests:\n%s", file, block[1], block[2])
			}
		}
	}
}

// quotedFrom are the files whose tests run what a block of theirs says.
var quotedFrom = map[string]string{"cel": "../docs/policies/*/policy.cel", "rego": "../docs/policies/*/policy.rego", "json": "../docs/policies/*/cases/*.json", "go": "policyguest_test.go", "text": "testdata/explain/*.txt", "yaml": "../integration/e2e/testdata/*.yml"}

// quoted tells whether a text is in one of some files.
func quoted(t *testing.T, pattern, text string) bool {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		whole, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(whole), text) {
			return true
		}
	}
	return false
}

// TestOptionalLinesOfTheExample: what the example has in comments loads as it is there, once
// the # is gone.
func TestOptionalLinesOfTheExample(t *testing.T) {
	example := documentedCaddyfiles(t)["Caddyfile.example"]
	optional := regexp.MustCompile(`(?m)^(\t*)# (\t*(?:grace_period .*|log \{|output .*|reverse_proxy .* \{|header_up .*|\}))$`)
	text := optional.ReplaceAllString(strings.Replace(example, "\treverse_proxy https://as.internal:9443\n", "", 1), "$1$2")
	for _, line := range []string{"\tgrace_period 60s\n", "\tlog {\n", "\t\theader_up Host {host}\n", "\t\t\torg_status Active\n"} {
		if strings.Count(text, line) != 1 {
			t.Errorf("the example has not exactly one line %q", line)
		}
	}
	if formatted := caddyfile.Format([]byte(text)); string(formatted) != text {
		t.Errorf("caddy fmt would change it to\n%s", formatted)
	}
	got := adapt(t, []byte(text))
	for _, want := range []string{`"grace_period": 60000000000`, `"{http.request.host}"`, `"/var/log/caddy/auth.bank.example.log"`, `"org_status"`} {
		if !strings.Contains(got, want) {
			t.Errorf("adapted to %s, want %s in it", got, want)
		}
	}
}

// TestDocumentedCaddyfilesStart: beside the files and secrets that they name,
// every one of them, and the example, is what caddy validate takes.
func TestDocumentedCaddyfilesStart(t *testing.T) {
	all := documentedCaddyfiles(t)
	_, keyset, err := registry.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	roots := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for name, text := range all {
		for _, m := range fileNamed.FindAllStringSubmatch(text, -1) {
			content := roots
			if m[1] == "jwks" {
				content = []byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`) // RFC 7515 appendix A.3.1
			}
			if m[1] == "cel file" {
				content = []byte("true")
			}
			if err := errors.Join(os.MkdirAll(filepath.Dir(m[2]), 0o700), os.WriteFile(m[2], content, 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		for _, m := range variableNamed.FindAllStringSubmatch(text, -1) {
			value := "secret-of-a-document"
			if strings.HasSuffix(m[1], "KEYSET") {
				value = string(keyset)
			}
			t.Setenv(m[1], value)
		}
		if strings.Contains(text, "{file.") {
			text = secretFile.ReplaceAllString(text, "{env.FROM_FILE}")
			t.Setenv("FROM_FILE", "secret")
		}
		if _, err := load(t, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

var (
	fileNamed     = regexp.MustCompile(`(?m)\b((?:tls_)?trust_pool file|cel file|jwks) ([\w./-]+)`)
	policyFile    = regexp.MustCompile(`\bcel file [\w./-]+`)
	variableNamed = regexp.MustCompile(`\{env\.(\w+)\}`)
	secretFile    = regexp.MustCompile(`\{file\.[^}]*\}`)
)

// TestDocumentedWords: every word of the grammar is documented, and no other.
func TestDocumentedWords(t *testing.T) {
	documented := map[string]bool{}
	for _, m := range tableWord.FindAllStringSubmatch(documentation(t)["../docs/configuration.md"], -1) {
		documented[m[1]] = true
	}
	grammar := regexp.MustCompile(`case ("[a-z_]+"(?:, "[a-z_]+")*):`)
	known := map[string]bool{}
	files, err := filepath.Glob("caddyfile*.go")
	if err != nil || len(files) < 4 {
		t.Fatalf("got %v, %v, want 4 files or more", files, err)
	}
	files = append(files, "badgerstore.go")
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range grammar.FindAllStringSubmatch(string(text), -1) {
			for word := range strings.SplitSeq(m[1], ", ") {
				known[strings.Trim(word, `"`)] = true
			}
		}
	}
	for word := range known {
		// client is told of in the text too, jwks beside jwks_uri.
		if !documented[word] && !strings.Contains(documentation(t)["../docs/configuration.md"], "`"+word+" ") {
			t.Errorf("%s is not documented", word)
		}
	}
	for word := range documented {
		if !known[word] {
			t.Errorf("%s is documented and unknown", word)
		}
	}
}
