package caddymodule

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

var (
	caddyfileBlock = regexp.MustCompile("(?s)```caddyfile\n(.*?)```")
	anyBlock       = regexp.MustCompile("(?m)^```([a-z]+)$")
	tableWord      = regexp.MustCompile("(?m)^\\| `([a-z_]+)")
)

func documentation(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, file := range append(files, "../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		out[file] = string(text)
	}
	return out
}

// TestDocumentedCaddyfiles: every Caddyfile in the documentation adapts and is
// formatted. Commands are run by integration/e2e.
func TestDocumentedCaddyfiles(t *testing.T) {
	for file, text := range documentation(t) {
		for i, block := range caddyfileBlock.FindAllStringSubmatch(text, -1) {
			got := adapt(t, []byte(block[1]))
			if !strings.HasPrefix(got, "{") || !strings.Contains(got, "openbanking_dcr") {
				t.Errorf("%s, Caddyfile %d: %s", file, i+1, got)
			}
			if formatted := caddyfile.Format([]byte(block[1])); !bytes.Equal(formatted, []byte(block[1])) {
				t.Errorf("%s, Caddyfile %d: caddy fmt would change it to\n%s", file, i+1, formatted)
			}
		}
		for _, block := range anyBlock.FindAllStringSubmatch(text, -1) {
			if block[1] != "caddyfile" && block[1] != "sh" {
				t.Errorf("%s has a block of %s, which nothing tests", file, block[1])
			}
		}
	}
}

// TestDocumentedWords: every word of the grammar is documented, and no other.
func TestDocumentedWords(t *testing.T) {
	documented := map[string]bool{}
	for _, m := range tableWord.FindAllStringSubmatch(documentation(t)["../docs/configuration.md"], -1) {
		documented[m[1]] = true
	}
	grammar := regexp.MustCompile(`case ("[a-z_]+"(?:, "[a-z_]+")*):`)
	known := map[string]bool{}
	for _, file := range []string{"caddyfile.go", "caddyfileblocks.go"} {
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
	delete(known, "policy") // an error for now
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
