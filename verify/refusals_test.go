package verify

import (
	"flag"
	"fmt"
	"go/ast"
	goparser "go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

var update = flag.Bool("update", false, "write testdata/refusals.golden")

const refusalsFile = "testdata/refusals.golden"

// refusals are all that the tests of one run have seen: what a TPP is told, with
// its code and rule.
var refusals = struct {
	sync.Mutex
	seen map[string]bool
}{seen: map[string]bool{}}

func record(e *refusal.Error) {
	refusals.Lock()
	defer refusals.Unlock()
	if e.Rule == "x" { // a text that a test made up
		return
	}
	refusals.seen[fmt.Sprintf("%d %-29s %-28s %s", e.Status(), e.Code(), e.RuleName(), e.Description)] = true
}

// TestMain compares what a TPP is told with the golden file, after the tests. A text that
// is not in the file is reported after any run. A text that is in the file and was not seen
// is reported after a whole run that passed: part of the tests sees part of the refusals.
func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if isSet("fuzz") || isSet("fuzzworker") { // a fuzzer makes up texts
		os.Exit(code)
	}
	whole := !isSet("run") && !isSet("skip") && !isSet("list") && flag.Lookup("test.count").Value.String() == "1"
	switch {
	case *update && !whole:
		fmt.Println("-update has written nothing: it needs all tests of the package, without -run, -skip, -list and -count")
		code = 1
	case *update:
		code = max(code, writeRefusals())
	default:
		code = max(code, compareRefusals(whole && code == 0))
	}
	os.Exit(code)
}

// isSet reports whether a flag of the test binary has another value than its default.
func isSet(name string) bool {
	f := flag.Lookup("test." + name)
	return f.Value.String() != f.DefValue
}

func writeRefusals() int {
	lines := slices.Sorted(maps.Keys(refusals.seen))
	if err := os.WriteFile(refusalsFile, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// compareRefusals reports what the tests have seen and the golden file has not, and where
// all tests have run also the other way round.
func compareRefusals(all bool) int {
	golden, err := os.ReadFile(refusalsFile)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	code := 0
	report := func(format, line string) {
		fmt.Printf("%s: "+format+": %s\n", refusalsFile, line)
		code = 1
	}
	listed := map[string]bool{}
	for line := range strings.SplitSeq(strings.TrimSuffix(string(golden), "\n"), "\n") {
		listed[line] = true
		if all && !refusals.seen[line] {
			report("no test sees this any more", line)
		}
	}
	for _, line := range slices.Sorted(maps.Keys(refusals.seen)) {
		if !strings.Contains(line, "; ") {
			report("does not say how to mend it", line)
		}
		if !listed[line] {
			report("not in it (go test ./verify -update)", line)
		}
	}
	return code
}

// Texts that no TPP reads. They become the cause of a refusal, which the log
// alone shows, or make that a key or an extension counts for nothing.
var (
	innerFiles = []string{
		"jwx.go", "weakkey.go", // a JWK that is skipped
		"crl.go", "crlscope.go", // a CRL that is not used
		"shown.go",                                     // what the AS is not told, and the log is
		"psd2.go",                                      // read for whoever asks, see Certificate.QCStatements
		"policy.go", "policyinput.go", "policytext.go", // the TPP is told the operator's text
		"certificateheader.go", "certificateheaderread.go", // of a proxy, whose operator reads the log
	}
	innerTexts = []string{
		"jwks: ", "revoked jwks: ", "keys: ", // of a key set that cannot be used
		"holds as number %d",                              // of an x5c alone: the key counts
		"is there more than once", "cnf", "a token of %s", // of the AS, whose operator reads the log
		"no CRL of ", "the CRL of ", "serial %x of ", // what the log says of a certificate and its CRL
		"subject ",                                   // of a certificate
		"another client's token", "a person's token", // NotYours says the same for all
		"malformed subject alternative name", "malformed IP address among", "has the extension %s twice", // then it has none
		"is no claim for a subject alternative name",
		"aud %s is none of ", "aud is an empty list", "aud %w; the authorization server ", // the operator's to mend
		"the site has no trust_pool",                                                           // the operator's to mend
		"not a string type",                                                                    // becomes a binary value
		"is %s, not an object", "is %s, not an array of objects", "holds %s, not only objects", // of key sets and cnf
	}
)

func isInner(text, file string) bool {
	return slices.Contains(innerFiles, file) || slices.ContainsFunc(innerTexts, func(p string) bool { return strings.HasPrefix(text, p) })
}

// TestEveryRefusalIsInTheGoldenFile reads the source: each text of a refusal, and each text
// that becomes part of one, is in the golden file, so that a rule without a test
// is a failing test.
func TestEveryRefusalIsInTheGoldenFile(t *testing.T) {
	golden, err := os.ReadFile(refusalsFile)
	if err != nil {
		t.Fatal(err)
	}
	texts := 0
	for text, where := range everyText(t) {
		if isInner(text, where.Filename) {
			continue
		}
		texts++
		if !pattern(text).Match(golden) {
			t.Errorf("%s: no test is refused with %q", where, text)
		}
	}
	if texts < 100 {
		t.Errorf("%d texts found in the source, want at least 100", texts)
	}
	for _, r := range MetadataRules { // a text may be that of several rules
		if !regexp.MustCompile(`(?m)^\d+ +\S+ +` + regexp.QuoteMeta(r.Claim) + ` `).Match(golden) {
			t.Errorf("no test is refused by the rule %s; write one, then go test ./verify -update", r.Claim)
		}
	}
}

var verb = regexp.MustCompile(`%[a-z]`)

// pattern matches what a format can become once it is cleaned for a TPP.
func pattern(format string) *regexp.Regexp {
	format = strings.NewReplacer(`"`, `'`, `\`, `/`).Replace(format)
	parts := verb.Split(format, -1)
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile(strings.Join(parts, ".*"))
}

// formats are the functions that take a text, and which argument it is.
var formats = map[string]int{"refusal.New": 2, "New": 2, "refuseRequest": 1, "refuse": 0, "fmt.Errorf": 0, "errors.New": 0}

// TestRefusalsOfOtherPackages compares their texts with a golden file: what could not be
// said about a request before its metadata, or after them.
func TestRefusalsOfOtherPackages(t *testing.T) {
	const file = "testdata/refusals_elsewhere.golden"
	var lines []string
	for _, folder := range []string{"authserver", "caddymodule", "gateway", "registry"} {
		for text := range sourceTexts(t, "../"+folder+"/*.go", map[string]int{"refusal.New": 2}) {
			if !strings.Contains(text, "; ") {
				t.Errorf("%s does not say how to mend it: %s", folder, text)
			}
			lines = append(lines, folder+": "+text)
		}
	}
	slices.Sort(lines)
	got := strings.Join(lines, "\n") + "\n"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if golden, err := os.ReadFile(file); err != nil || string(golden) != got {
		t.Errorf("%s is another (go test ./verify -update), %v:\n%s", file, err, got)
	}
}

// everyText are the texts of this package and of those that read for it.
func everyText(t *testing.T) map[string]token.Position {
	out := map[string]token.Position{}
	for _, folder := range []string{"", "dn/", "refusal/", "strictjson/"} {
		maps.Copy(out, sourceTexts(t, folder+"*.go", formats))
	}
	return out
}

// sourceTexts are the formats that functions are called with.
func sourceTexts(t *testing.T, glob string, formats map[string]int) map[string]token.Position {
	names, err := filepath.Glob(glob)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]token.Position{}
	files := token.NewFileSet()
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := goparser.ParseFile(files, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		collect(t, files, file, formats, out)
	}
	return out
}

func collect(t *testing.T, files *token.FileSet, file *ast.File, formats map[string]int, out map[string]token.Position) {
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		at, ok := formats[called(call)]
		if !ok || at >= len(call.Args) {
			return true
		}
		literal, ok := call.Args[at].(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING {
			return true
		}
		text, err := strconv.Unquote(literal.Value)
		if err != nil {
			t.Fatal(err)
		}
		if verb.ReplaceAllString(text, "") != "" {
			out[text] = files.Position(literal.Pos())
		}
		return true
	})
}

// called is the name of a function, with its package where it is another one's, and of a
// method without what it belongs to.
func called(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		if of, ok := f.X.(*ast.Ident); ok && of.Obj == nil {
			return of.Name + "." + f.Sel.Name
		}
		return f.Sel.Name
	}
	return ""
}
