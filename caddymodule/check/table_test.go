package check

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

var update = flag.Bool("update", false, "write the table of docs/check.md")

const page = "../../docs/check.md"

// tablePage are the rows of the documentation.
func tablePage() string {
	text := "| check | severity | `--live` | what it finds |\n|---|---|---|---|\n"
	for _, c := range Checks {
		text += fmt.Sprintf("| `%s` | %s | %s | %s |\n", c.Name, c.Severity, map[bool]string{true: "yes", false: ""}[c.Live], c.About)
	}
	return text
}

// TestPageHasTheTable: the documentation lists the checks that there are.
func TestPageHasTheTable(t *testing.T) {
	const begin, end = "<!-- checks -->\n", "<!-- end of checks -->"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	rows, after, also := strings.Cut(rest, end)
	if !ok || !also {
		t.Fatalf("%s has no %s and %s", page, begin, end)
	}
	if rows == tablePage() {
		return
	}
	if !*update {
		t.Fatalf("%s has another table of checks; run go test ./caddymodule/check -run TestPage -update", page)
	}
	if err := os.WriteFile(page, []byte(before+begin+tablePage()+end+after), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestTable: names are kebab-case and there once, and whatever loading a configuration
// doubts, or the authorization server's document lets come to nothing, has a row.
func TestTable(t *testing.T) {
	if len(Checks) < 40 {
		t.Errorf("got %d checks, want at least 40", len(Checks))
	}
	name := regexp.MustCompile(`^[a-z]+[a-z0-9]*(-[a-z0-9]+)+$`)
	for n, c := range Checks {
		if !name.MatchString(c.Name) || c.About == "" || !slices.Contains(Severities, c.Severity) {
			t.Errorf("row %d is %+v", n, c)
		}
		if slices.ContainsFunc(Checks[:n], func(o Check) bool { return o.Name == c.Name }) {
			t.Errorf("%s is there twice", c.Name)
		}
		if (c.run == nil) != (whyDoubt[c.Name] != "") {
			t.Errorf("%s: runs %t, and has a reason for its doubt %t", c.Name, c.run != nil, whyDoubt[c.Name] != "")
		}
	}
	for pattern, calls := range map[string]*regexp.Regexp{
		"../*.go":               regexp.MustCompile(`doubt\(\S+, "(?:[^"\\]|\\.)*",\s*"([a-z0-9-]+)"|store\w+\s+= "(store-[a-z-]+)"`),
		"../../authserver/*.go": regexp.MustCompile(`logCondition\(m, "([a-z-]+)"`),
	} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range calls.FindAllStringSubmatch(string(text), -1) {
				found++
				if called := m[1] + strings.Join(m[2:], ""); !slices.ContainsFunc(Checks, func(c Check) bool { return c.Name == called }) {
					t.Errorf("%s has %q, which is in no row", file, called)
				}
			}
		}
		if found < 5 {
			t.Errorf("found %d names in %s: they are not read", found, pattern)
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

// TestLayer4: the app is told of, in a configuration in JSON too.
func TestLayer4(t *testing.T) {
	caddy.RegisterModule(unseenApp{})
	w := newWorld(t)
	if found := w.check(Options{}).of("app-layer4"); len(found) > 0 {
		t.Errorf("got %+v without the app", found)
	}
	text, _, _, err := caddycmd.LoadConfig(filepath.Join(w.dir, "Caddyfile"), "")
	if err != nil {
		t.Fatal(err)
	}
	w.write("caddy.json", strings.Replace(string(text), `"apps":{`, `"apps":{"layer4":{},`, 1))
	if found := w.check(Options{Config: filepath.Join(w.dir, "caddy.json")}).of("app-layer4"); len(found) != 1 {
		t.Errorf("got %+v, want the app", found)
	}
}

// TestNoFindingHasASecret: also of a configuration that has it in clear, and of one that
// does not load.
func TestNoFindingHasASecret(t *testing.T) {
	for name, pairs := range map[string][]string{
		"in clear":      {toAS, strings.Replace(toAS, "https://AS {", "https://AS {\n\t\theader_up Authorization \"Bearer "+theSecret+"\"", 1)},
		"does not load": {"{env.CHECK_SECRET}\n\t\t\tprovision", theSecret + "\n\t\t\tprovision"},
		"live":          private,
	} {
		report := newWorld(t).check(Options{Live: name == "live"}, pairs...)
		text, err := json.Marshal(report)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), theSecret) || len(report.Findings) == 0 {
			t.Errorf("%s: got %s", name, text)
		}
	}
}

// TestBrokenConfigurations: whatever a file has, it is a finding and no crash.
func TestBrokenConfigurations(t *testing.T) {
	w := newWorld(t)
	for name, text := range map[string]string{
		"Caddyfile": "auth {\n\topenbanking_dcr {\n", "no.json": "{", "list.json": "[]", "null.json": "null", "text.json": `"x"`,
		"odd.json":   `{"apps":{"http":{"servers":{"s":{"routes":[{"handle":[{"handler":"openbanking_dcr","software_statements":[null],"policies":[null],"crl":[null]}]}]}}}}}`,
		"types.json": `{"apps":{"openbanking_dcr":7,"http":{"servers":[]}}}`,
		"empty.json": ``,
	} {
		w.write(name, text)
		report, err := run(t.Context(), Options{Config: filepath.Join(w.dir, name)}, w.machine)
		if err != nil || len(report.of(loads)) != 1 {
			t.Errorf("%s: got %+v, %v, want a finding that it does not load", name, report, err)
		}
	}
	if _, err := run(t.Context(), Options{Config: filepath.Join(w.dir, "none")}, w.machine); err == nil {
		t.Error("a file that is not there is no error")
	}
}
