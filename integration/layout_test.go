package integration_test

import (
	"bytes"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

const (
	module   = "github.com/caddy-dcr/caddy-dcr"
	maxLines = 300 // of a file that is not a test
)

// importTable says which packages of ours a package may import: imports go one
// way. The longest folder that a package is in counts. "x/..." is x and all
// below; "." is the plugin in the root. A folder that is not here is a decision
// not yet made.
var importTable = map[string][]string{
	"internal/targettest": {}, // internal is for tests alone
	"internal/tlstest":    {},
	"internal/wait":       {},
	".":                   {"caddymodule", "caddymodule/admin", "caddymodule/cel", "caddymodule/command"},
	"verify":              {"verify/dn", "verify/refusal", "verify/strictjson", "verify/trace"},
	"verify/refusal":      {},
	"verify/dn":           {"verify/refusal"},
	"verify/dn/dntest":    {},
	"verify/strictjson":   {"verify/refusal"},
	"verify/trace":        {"verify/refusal"},
	"verify/jwks":         verification(),
	"verify/crl":          verification("verify/jwks"),
	"verify/crl/crltest":  {},
	"docs":                {},
	"registry":            verification("registry/backup", "registry/clientfile"),
	"registry/backup":     {},                       // a file format, of records that it knows nothing of
	"registry/clientfile": verification(),           // a file format too
	"registry/engine":     verification("registry"), // what engines share
	"registry/badger":     verification("registry", "registry/engine"),
	"registry/memory":     verification("registry", "registry/engine"),
	"registry/storetest":  verification("registry", "internal/wait"),
	"authserver/...":      verification("authserver/...", "verify/jwks", "registry"),
	"gateway":             verification("authserver", "registry", "verify/jwks", "verify/crl"),
	"caddymodule/...":     verification("caddymodule/...", "gateway", "authserver/...", "registry/...", "verify/jwks", "verify/crl", "docs"),
	"caddymodule/rego":    verification(), // a module of its own
	"integration/...":     verification("integration/...", "caddymodule/...", "authserver/...", "registry/...", "verify/jwks", "."),
}

// verification is what all above verify may import of it, and more.
func verification(more ...string) []string {
	return append(more, "verify", "verify/dn", "verify/refusal", "verify/strictjson", "verify/trace")
}

// testImports is what tests in a folder may import beside.
var testImports = map[string][]string{
	"verify":           {"verify/crl/crltest", "verify/dn/dntest"},
	"verify/dn":        {"verify/dn/dntest"},
	"verify/crl":       {"verify/crl/crltest", "internal/wait"},
	"verify/jwks":      {"internal/..."},
	"gateway":          {"registry/memory", "verify/crl/crltest", "internal/..."},
	"caddymodule/...":  {"verify/crl/crltest", "internal/wait"},
	"registry":         {"registry/...", "internal/wait"},
	"registry/engine":  {"registry/..."},
	"registry/badger":  {"registry/...", "internal/wait"},
	"registry/memory":  {"registry/..."},
	"authserver/...":   {"registry/...", "internal/..."},
	"caddymodule/rego": {"caddymodule/policycases"},
	"integration/...":  {"internal/targettest"},
}

// onlyIn confines dependencies that must be replaceable, or must not leak.
var onlyIn = map[string][]string{
	"github.com/caddyserver/caddy":  {".", "caddymodule/...", "integration/..."},
	"github.com/dgraph-io/badger":   {"registry/badger"},
	"github.com/lestrrat-go/jwx":    {"verify"},
	"github.com/caddyserver/xcaddy": {"integration/..."},
	"github.com/open-policy-agent":  {"caddymodule/rego"},
}

// emptyNames say nothing about what is in a file or package.
var emptyNames = []string{"util", "utils", "common", "helper", "helpers", "types", "misc", "model", "models"}

func TestLayout(t *testing.T) {
	for _, violation := range layoutViolations(os.DirFS("..")) {
		t.Error(violation)
	}
}

// layoutViolations reads every Go file of the repository, in the order of names.
func layoutViolations(repository fs.FS) []string {
	var out, jwx []string
	err := fs.WalkDir(repository, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			base := path.Base(name)
			if name != "." && (strings.HasPrefix(base, ".") || base == "node_modules" || base == "testdata") {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		raw, err := fs.ReadFile(repository, name)
		if err != nil {
			return err
		}
		file := sourceFile{name: name, folder: path.Dir(name), test: strings.HasSuffix(name, "_test.go")}
		out = append(out, file.check(raw)...)
		if file.jwx && !file.test {
			jwx = append(jwx, name)
		}
		return nil
	})
	if err != nil {
		out = append(out, err.Error())
	}
	if len(jwx) != 1 {
		out = append(out, fmt.Sprintf("jwx is imported by %d files, want one: %v", len(jwx), jwx))
	}
	return out
}

type sourceFile struct {
	name, folder string
	test, jwx    bool
}

func (f *sourceFile) check(raw []byte) []string {
	var out []string
	report := func(format string, args ...any) {
		out = append(out, f.name+": "+fmt.Sprintf(format, args...))
	}
	if _, ok := rowOf(f.folder); !ok {
		report("%s is not in the import table", f.folder)
	}
	stem := strings.TrimSuffix(strings.TrimSuffix(path.Base(f.name), ".go"), "_test")
	for _, name := range append(strings.Split(f.folder, "/"), stem) {
		if slices.Contains(emptyNames, name) {
			report("%s is not a name of anything", name)
		}
	}
	if lines := bytes.Count(raw, []byte("\n")); !f.test && lines > maxLines {
		report("%d lines, at most %d", lines, maxLines)
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), f.name, raw, parser.ImportsOnly)
	if err != nil {
		return append(out, err.Error())
	}
	if slices.Contains(emptyNames, strings.TrimSuffix(parsed.Name.Name, "_test")) {
		report("package %s is not a name of anything", parsed.Name.Name)
	}
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			report("%v", err)
			continue
		}
		if problem := f.checkImport(imported); problem != "" {
			report("%s", problem)
		}
	}
	return out
}

func (f *sourceFile) checkImport(imported string) string {
	if ours, ok := inModule(imported); ok {
		return f.checkOwn(ours)
	}
	for prefix, folders := range onlyIn {
		if imported != prefix && !strings.HasPrefix(imported, prefix+"/") {
			continue
		}
		f.jwx = f.jwx || strings.HasSuffix(prefix, "/jwx")
		if !contains(folders, f.folder) {
			return fmt.Sprintf("imports %s, which belongs into %s", imported, strings.Join(folders, ", "))
		}
	}
	return ""
}

func (f *sourceFile) checkOwn(imported string) string {
	row, ok := rowOf(f.folder)
	if !ok {
		return "" // check has said so
	}
	allowed := importTable[row]
	if f.test {
		allowed = append(slices.Clone(allowed), testImports[row]...)
		allowed = append(allowed, f.folder) // from its external test package
	}
	if !contains(allowed, imported) {
		return fmt.Sprintf("%s may not import %s", f.folder, imported)
	}
	return ""
}

// inModule returns the folder of a package of ours, "." for the root.
func inModule(imported string) (string, bool) {
	if imported == module {
		return ".", true
	}
	return strings.CutPrefix(imported, module+"/")
}

// rowOf finds the row of importTable for a folder.
func rowOf(folder string) (string, bool) {
	if _, ok := importTable[folder]; ok {
		return folder, true
	}
	for at := folder; at != "."; at = path.Dir(at) {
		if _, ok := importTable[at+"/..."]; ok {
			return at + "/...", true
		}
	}
	return "", false
}

func contains(patterns []string, folder string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		tree, whole := strings.CutSuffix(pattern, "/...")
		return folder == tree || whole && strings.HasPrefix(folder, tree+"/")
	})
}

// TestLayoutCheck feeds the check what it must report, and what it must not.
func TestLayoutCheck(t *testing.T) {
	source := func(pkg string, imports ...string) string {
		text := "package " + pkg + "\n"
		for _, i := range imports {
			text += "import _ " + strconv.Quote(strings.Replace(i, "ours", module, 1)) + "\n"
		}
		return text
	}
	for _, test := range []struct{ name, file, text, want string }{
		{"clean", "registry/badger/open.go", source("badger", "ours/registry", "ours/verify", "github.com/dgraph-io/badger/v4"), ""},
		{"tests use engines", "registry/client_test.go", source("registry_test", "ours/registry", "ours/registry/memory"), ""},
		{"plugin", "plugin.go", source("caddydcr", "ours/caddymodule"), ""},
		{"sub-package", "caddymodule/cel/policy.go", source("cel", "ours/caddymodule", "ours/verify", "github.com/caddyserver/caddy/v2"), ""},
		{"node_modules", "integration/oidcprovider/node_modules/x/util.go", source("util"), ""},
		{"verify imports ours", "verify/x.go", source("verify", "ours/registry"), "verify may not import registry"},
		{"verify imports the plugin", "verify/x.go", source("verify", "ours"), "verify may not import ."},
		{"in a test", "verify/x_test.go", source("verify_test", "ours/verify", "ours/registry/memory"), "verify may not import registry/memory"},
		{"upwards", "registry/x.go", source("registry", "ours/authserver"), "registry may not import authserver"},
		{"engine beside engine", "registry/memory/x.go", source("memory", "ours/registry/badger"), "registry/memory may not import registry/badger"},
		{"the suite knows no engine", "registry/storetest/x.go", source("storetest", "ours/registry/memory"), "registry/storetest may not import registry/memory"},
		{"waiting in the product", "registry/x.go", source("registry", "ours/internal/wait"), "registry may not import internal/wait"},
		{"gateway upwards", "gateway/x.go", source("gateway", "ours/caddymodule"), "gateway may not import caddymodule"},
		{"gateway to Caddy", "gateway/x.go", source("gateway", "github.com/caddyserver/caddy/v2/modules/caddyhttp"), "imports github.com/caddyserver/caddy/v2/modules/caddyhttp, which belongs"},
		{"authserver to Caddy's side", "authserver/x.go", source("authserver", "ours/caddymodule"), "authserver may not import caddymodule"},
		{"integration in the product", "caddymodule/x_test.go", source("caddymodule", "ours/integration/tpp"), "caddymodule may not import integration/tpp"},
		{"new folder", "policy/x.go", source("policy"), "policy is not in the import table"},
		{"new folder below", "verify/rules/x.go", source("rules", "ours/verify"), "verify/rules is not in the import table"},
		{"Caddy below", "authserver/x.go", source("authserver", "github.com/caddyserver/caddy/v2"), "imports github.com/caddyserver/caddy/v2, which belongs"},
		{"badger elsewhere", "caddymodule/x.go", source("caddymodule", "github.com/dgraph-io/badger/v4"), "which belongs into registry/badger"},
		{"badger in the suite", "registry/storetest/x.go", source("storetest", "github.com/dgraph-io/badger/v4"), "which belongs into registry/badger"},
		{"a second jwx", "verify/x.go", source("verify", "github.com/lestrrat-go/jwx/v2/jwk"), "jwx is imported by 2 files"},
		{"jwx elsewhere", "authserver/x_test.go", source("authserver", "github.com/lestrrat-go/jwx/v2/jwk"), "which belongs into verify"},
		{"file name", "verify/helpers_test.go", source("verify"), "helpers is not a name"},
		{"folder", "caddymodule/common/x.go", source("x"), "common is not a name"},
		{"package", "registry/x.go", source("types"), "package types is not a name"},
		{"too long", "verify/x.go", source("verify") + strings.Repeat("\n", maxLines), "301 lines, at most 300"},
		{"a long test", "verify/x_test.go", source("verify") + strings.Repeat("\n", maxLines), ""},
		{"not Go", "verify/x.go", "pakage verify", "expected 'package'"},
	} {
		t.Run(test.name, func(t *testing.T) {
			repository := fstest.MapFS{
				"verify/jwx.go": {Data: []byte(source("verify", "github.com/lestrrat-go/jwx/v2/jws"))},
				test.file:       {Data: []byte(test.text)},
			}
			got := layoutViolations(repository)
			switch {
			case test.want == "" && len(got) > 0:
				t.Errorf("got %q, want no violation", got)
			case test.want != "" && (len(got) != 1 || !strings.Contains(got[0], test.want)):
				t.Errorf("reports %q, want %q", got, test.want)
			}
		})
	}
}

// TestArchitectureNamesFiles: the page that explains the code names files that are there.
func TestArchitectureNamesFiles(t *testing.T) {
	page, err := os.ReadFile("../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile("`([a-z]+/[a-z_/]+\\.go)`").FindAllSubmatch(page, -1)
	if len(names) < 20 {
		t.Errorf("%d files are named, want 20 or more", len(names))
	}
	for _, name := range names {
		if _, err := os.Stat("../" + string(name[1])); err != nil {
			t.Errorf("%s: %v", name[1], err)
		}
	}
}
