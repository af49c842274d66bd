package rego

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// files writes a folder.
func files(t testing.TB, files map[string]string) string {
	t.Helper()
	directory := t.TempDir()
	for name, text := range files {
		name = filepath.Join(directory, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return directory
}

// bundled writes a bundle.
func bundled(t testing.TB, files map[string]string) string {
	t.Helper()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	w := tar.NewWriter(z)
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: "/" + name, Mode: 0o600, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	z.Close()
	name := filepath.Join(t.TempDir(), "bundle.tar.gz")
	if err := os.WriteFile(name, packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

var several = map[string]string{
	"dcr.rego": "package openbanking_dcr\n\nimport data.banks\n\n" +
		`deny contains "not in the list" if not input.ssa.org_id in banks.known` + "\n" + `deny contains "wrong mode" if not data.rules.live(input.ssa.software_mode)`,
	"more/rules.rego":     "package rules\n\nlive(m) if m == data.more.settings.mode",
	"banks/data.json":     `{"known": ["org"]}`,
	"more/data.yaml":      "settings:\n  mode: Live\n",
	"dcr_test.rego":       "package openbanking_dcr_test\n\nimport data.openbanking_dcr\n\ntest_it if count(openbanking_dcr.deny) == 0 with input as {}",
	".hidden/broken.rego": "nonsense",
}

func TestSources(t *testing.T) {
	packed := map[string]string{".manifest": `{"revision": "1"}`}
	for name, text := range several {
		if !strings.HasPrefix(name, ".") {
			packed[name] = text
		}
	}
	t.Setenv("REGO_TEST_FOLDER", files(t, several))
	// As Kubernetes mounts a ConfigMap: the files are links into a hidden folder.
	mounted := t.TempDir()
	for _, link := range [][2]string{{files(t, several), "..data"}, {"..data/dcr.rego", "dcr.rego"}, {"..data/more/rules.rego", "rules.rego"}} {
		if err := os.Symlink(link[0], filepath.Join(mounted, link[1])); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"banks/data.json", "more/data.yaml"} {
		if err := os.MkdirAll(filepath.Join(mounted, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("../..data/"+name, filepath.Join(mounted, name)); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(mounted, link); err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]*Policy{
		"directory": {Directory: "{env.REGO_TEST_FOLDER}"},
		"links":     {Directory: link},
		"bundle":    {Bundle: bundled(t, packed)},
		"package":   {File: filepath.Join(files(t, map[string]string{"x.rego": "package a.b\n\nallow if input.ssa.org_id == \"org\""}), "x.rego"), Package: "a.b"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := p.Provision(caddy.Context{}); err != nil {
				t.Fatal(err)
			}
			if d := ask(t, p, input(t)); !d.Allowed {
				t.Errorf("got %+v, want it allowed", d)
			}
			in := input(t)
			in.SSA = in.SSA.With("org_id", []byte(`"other"`))
			if d := ask(t, p, in); d.Allowed || d.Fault != nil {
				t.Errorf("got %+v, want it denied without a fault", d)
			}
		})
	}
}

func TestSourceErrors(t *testing.T) {
	rego := func(text string) map[string]string { return map[string]string{"x.rego": text} }
	with := func(name, text string) map[string]string {
		return map[string]string{"x.rego": "package openbanking_dcr\n\ndeny contains \"x\" if false", name: text}
	}
	many := map[string]string{}
	for i := range 1001 {
		many[strings.Repeat("a", i%100+1)+"/"+strings.Repeat("b", i/100+1)+".json"] = "{}"
	}
	file := filepath.Join(files(t, rego("package openbanking_dcr")), "x.rego")
	for name, test := range map[string]struct {
		policy Policy
		want   string
	}{
		"nothing":           {Policy{}, "must have one of"},
		"two":               {Policy{File: "a", Directory: "b"}, "must have one of"},
		"placeholder":       {Policy{File: "{env.REGO_TEST_UNSET}"}, "REGO_TEST_UNSET"},
		"no file":           {Policy{File: filepath.Join(t.TempDir(), "x.rego")}, "no such file"},
		"no directory":      {Policy{Directory: filepath.Join(t.TempDir(), "x")}, "no such file"},
		"a file":            {Policy{Directory: file}, "is no directory"},
		"no bundle":         {Policy{Bundle: file}, "gzip"},
		"bad package":       {Policy{File: file, Package: "a b"}, "must be the name of a package"},
		"no rules":          {Policy{File: file}, "has neither deny nor allow nor require_approval; there is nothing"},
		"other rules":       {Policy{Directory: files(t, rego("package openbanking_dcr\n\nalow := true\n\ndenied := 1"))}, "there is alow, denied"},
		"other package":     {Policy{Directory: files(t, rego("package dcr\n\nallow := true"))}, "package openbanking_dcr has neither deny nor allow nor require_approval; there is package dcr"},
		"two faults":        {Policy{Directory: files(t, map[string]string{"a.rego": "package openbanking_dcr\n\nallow if x == 1", "b.rego": "package b\n\n\nc if y"})}, "b.rego:4"},
		"syntax":            {Policy{Directory: files(t, rego("package openbanking_dcr\n\nallow if {"))}, "x.rego:3: rego_parse_error"},
		"Rego v0":           {Policy{Directory: files(t, rego("package openbanking_dcr\n\ndeny[x] { x := 1 }"))}, "rego_parse_error"},
		"unused import":     {Policy{Directory: files(t, rego("package openbanking_dcr\n\nimport data.x\n\nallow if true"))}, "unused"},
		"unused variable":   {Policy{Directory: files(t, rego("package openbanking_dcr\n\nallow if { x := 1 }"))}, "unused"},
		"recursion":         {Policy{Directory: files(t, rego("package openbanking_dcr\n\nallow if a\n\na if allow"))}, "recursive"},
		"deny an array":     {Policy{Directory: files(t, rego("package openbanking_dcr\n\ndeny := [\"x\"] if true"))}, "deny must be a set"},
		"deny true":         {Policy{Directory: files(t, rego("package openbanking_dcr\n\ndeny if true"))}, "deny must be a set"},
		"deny a function":   {Policy{Directory: files(t, rego("package openbanking_dcr\n\ndeny(x) if x"))}, "must not be a function"},
		"deny an object":    {Policy{Directory: files(t, rego("package openbanking_dcr\n\ndeny.x contains 1"))}, "deny must be a set"},
		"allow a set":       {Policy{Directory: files(t, rego("package openbanking_dcr\n\nallow contains 1"))}, "allow must be true or false"},
		"deny from outside": {Policy{Package: "a.b", Directory: files(t, map[string]string{"a.rego": "package a.b\n\nallow := true", "b.rego": "package a\n\nb.deny := 1"})}, "deny must be a set"},
		"deny a package":    {Policy{Directory: files(t, with("a.rego", "package openbanking_dcr.deny\n\nx contains 1"))}, "deny must be a set"},
		"narrow a set":      {Policy{Directory: files(t, rego("package openbanking_dcr\n\nallow := true\n\nnarrow contains 1"))}, "narrow must be an object"},
		"a test decides":    {Policy{Directory: files(t, with("a_test.rego", "package openbanking_dcr\n\ndeny contains \"y\""))}, "is a test by its name"},
		"data conflict":     {Policy{Directory: files(t, with("openbanking_dcr/data.json", `{"deny": []}`))}, "conflict"},
		"bad data":          {Policy{Directory: files(t, with("data.json", `{`))}, "data.json"},
		"large source":      {Policy{Directory: files(t, with("y.rego", strings.Repeat("#", 1<<20)))}, "bytes of Rego"},
		"large data":        {Policy{Directory: files(t, with("y.json", strings.Repeat(" ", 8<<20+1)))}, "bytes of data"},
		"many files":        {Policy{Directory: files(t, many)}, "files"},
		"large in bundle":   {Policy{Bundle: bundled(t, with("data.json", strings.Repeat(" ", 8<<20+1)))}, "bytes of data"},
		"much in bundle":    {Policy{Bundle: bundled(t, with("x", strings.Repeat(" ", 32<<20)))}, "bytes of data"},
		"many in bundle":    {Policy{Bundle: bundled(t, many)}, "files"},
		"compiled":          {Policy{Bundle: bundled(t, with("policy.wasm", "x"))}, "holds compiled rules"},
		"delta":             {Policy{Bundle: bundled(t, map[string]string{"patch.json": `{"data": [{"op": "upsert", "path": "/a", "value": 1}]}`})}, "delta"},
	} {
		t.Run(name, func(t *testing.T) {
			err := test.policy.Provision(caddy.Context{})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %s", err, test.want)
			}
		})
	}
}

// Functions that reach out, or are not deterministic, or deprecated, are not there.
func TestBuiltins(t *testing.T) {
	for _, call := range []string{
		`http.send({"method": "GET", "url": "http://127.0.0.1"})`, `opa.runtime()`, `net.lookup_ip_addr("localhost")`, `time.now_ns()`,
		`rand.intn("x", 5)`, `uuid.rfc4122("x")`, `io.jwt.encode_sign({}, {}, {})`, `io.jwt.decode_verify("x", {})`, `net.cidr_expand("10.0.0.0/8")`,
		`bits.lsh(1, 5)`, `graph.reachable_paths({}, [])`, `json.match_schema({}, {})`, `yaml.unmarshal("x")`, `regex.globs_match("a", "b")`,
		`units.parse("1")`, `strings.render_template("x", {})`, `rego.parse_module("x", "y")`, `providers.aws.sign_req({}, {}, 1)`, `trace("x")`,
		`crypto.x509.parse_and_verify_certificates("x")`, `graphql.is_valid("a", "b")`,
	} {
		if _, err := provisioned(t, "allow if "+call+" == 1"); err == nil || !strings.Contains(err.Error(), "undefined function") {
			t.Errorf("%s: got %v, want an undefined function", call, err)
		}
	}
	known := map[string]bool{}
	for _, b := range capabilities().Builtins {
		known[b.Name] = true
		if b.Nondeterministic {
			t.Errorf("%s is not deterministic", b.Name)
		}
		if b.IsDeprecated() {
			t.Errorf("%s is deprecated", b.Name)
		}
	}
	for _, name := range builtins {
		if !known[name] {
			t.Errorf("there is no %s", name)
		}
	}
}

func TestCaddyfile(t *testing.T) {
	for text, want := range map[string]string{
		`rego file a.rego`:                        `{"file":"a.rego"}`,
		`rego directory /etc/dcr`:                 `{"directory":"/etc/dcr"}`,
		"rego bundle b.tar.gz {\n package a.b\n}": `{"bundle":"b.tar.gz","package":"a.b"}`,
		`rego`:                           "must have file, directory or bundle",
		`rego a.rego`:                    "must have file, directory or bundle",
		`rego file a b`:                  "must have file, directory or bundle",
		`rego url a`:                     `"url": must be file`,
		"rego file a {\n package\n}":     "wrong argument count",
		"rego file a {\n package x y\n}": "wrong argument count",
		"rego file a {\n package x\n package y\n}": "written twice",
		"rego file a {\n query x\n}":               `unknown word "query"`,
	} {
		p := new(Policy)
		got := ""
		if err := p.UnmarshalCaddyfile(caddyfile.NewTestDispenser(text)); err != nil {
			got = err.Error()
		} else {
			raw, _ := json.Marshal(p)
			got = string(raw)
		}
		if !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// What an editor has saved otherwise is told so, with its line.
func TestFileEncoding(t *testing.T) {
	for text, want := range map[string]string{
		"\xEF\xBB\xBFpackage openbanking_dcr\n":                   "dcr.rego:1: begins with a byte order mark",
		"package openbanking_dcr\n\n# f\xFCr alle\nallow := true": "dcr.rego:3: is not UTF-8",
	} {
		folder := files(t, map[string]string{"dcr.rego": text})
		for _, p := range []*Policy{{File: filepath.Join(folder, "dcr.rego")}, {Directory: folder}} {
			if err := p.Provision(caddy.Context{}); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: got %v, want %q", text, err, want)
			}
		}
	}
}

// TestFiles: what a policy was made of is named, so that it is made again when that changes.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"policy.rego", "data.json", ".hidden.rego", "notes.txt"} {
		text := map[string]string{"policy.rego": "package openbanking_dcr\nallow if true\n", "data.json": "{}"}[name]
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		policy Policy
		want   []string
	}{
		{Policy{File: filepath.Join(dir, "policy.rego")}, []string{filepath.Join(dir, "policy.rego")}},
		{Policy{Directory: dir}, []string{dir, filepath.Join(dir, "data.json"), filepath.Join(dir, "policy.rego")}},
	} {
		if err := c.policy.Provision(caddy.Context{}); err != nil {
			t.Fatal(err)
		}
		if names, err := c.policy.Files(); err != nil || !slices.Equal(names, c.want) {
			t.Errorf("%q, %v, want %q", names, err, c.want)
		}
	}
}
