package caddymodule

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// logMessage is one of level warn or error, of a package.
type logMessage struct{ pkg, level, text string }

func (m logMessage) String() string { return fmt.Sprintf("%s: %s %q", m.pkg, m.level, m.text) }

// loggingMethods are those of slog, zap and Badger's logger, by the level that they log at.
var loggingMethods = map[string]string{
	"Warn": "warn", "WarnContext": "warn", "Warnf": "warn", "Warningf": "warn", "Warnw": "warn",
	"Error": "error", "ErrorContext": "error", "Errorf": "error", "Errorw": "error",
	"Log": "", "LogAttrs": "", // an argument is the level
}

// noLoggers are the receivers of methods of these names that log nothing: packages, a
// decision of a policy, and an error of the net package.
var noLoggers = []string{"fmt", "http", "d", "decision", "net"}

// passedOn are the functions whose parameter is the message that they log, by its place among
// the arguments, with the level: their callers are read instead.
var passedOn = map[string]struct {
	message int
	level   string // empty: the argument before the message
}{
	"doubt":        {1, "warn"},
	"logCondition": {4, ""},
}

// passingOn are the functions that log a message which is not theirs: those of passedOn, one
// that logs the field problem of a probe, and those that pass on what Badger writes.
var passingOn = []string{"caddymodule.doubt", "authserver.Server.logCondition", "caddymodule.prober.tell",
	"caddymodule.printf.Errorf", "caddymodule.printf.Warnf", "registry/badger.filter.Errorf", "registry/badger.filter.Warningf"}

// verbs are what Printf replaces: the table has an ellipsis for each.
var verbs = regexp.MustCompile(`%[0-9]*[a-z]`)

// sources are the messages of one package's files.
type sources struct {
	t     *testing.T
	files *token.FileSet
	pkg   string
	found map[logMessage]bool
	// constants are the string constants of the package, local ones too, by their names.
	constants map[string]ast.Expr
}

// messagesOfSources are those of everything that runs in the gateway.
func messagesOfSources(t *testing.T) map[logMessage]bool {
	t.Helper()
	found := map[logMessage]bool{}
	for _, root := range []string{"verify", "registry", "authserver", "gateway", "caddymodule"} {
		err := filepath.WalkDir("../"+root, func(dir string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.IsDir() || strings.HasSuffix(dir, "test") || entry.Name() == "testdata" {
				return err
			}
			s := &sources{t, token.NewFileSet(), strings.TrimPrefix(filepath.ToSlash(dir), "../"), found, map[string]ast.Expr{}}
			return s.read(dir)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

func (s *sources) read(dir string) error {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return err
	}
	var all []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(s.files, name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		all = append(all, file)
		ast.Inspect(file, s.constant)
	}
	for _, file := range all {
		for _, declaration := range file.Decls {
			if f, ok := declaration.(*ast.FuncDecl); ok {
				passes := slices.Contains(passingOn, s.pkg+"."+nameOf(f))
				ast.Inspect(f, func(n ast.Node) bool { return s.node(n, passes) })
			}
		}
	}
	return nil
}

// nameOf is a function's name, behind the type of its receiver.
func nameOf(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	of := f.Recv.List[0].Type
	if pointer, ok := of.(*ast.StarExpr); ok {
		of = pointer.X
	}
	if name, ok := of.(*ast.Ident); ok {
		return name.Name + "." + f.Name.Name
	}
	return f.Name.Name
}

func (s *sources) constant(n ast.Node) bool {
	if d, ok := n.(*ast.GenDecl); ok && d.Tok == token.CONST {
		for _, spec := range d.Specs {
			v := spec.(*ast.ValueSpec)
			for i := range v.Values {
				s.constants[v.Names[i].Name] = v.Values[i]
			}
		}
	}
	return true
}

// node finds the messages of a call, and of the field problem of a probe.
func (s *sources) node(n ast.Node, passes bool) bool {
	switch n := n.(type) {
	case *ast.KeyValueExpr:
		if key, ok := n.Key.(*ast.Ident); ok && key.Name == "problem" {
			s.add(n.Value, "error")
		}
	case *ast.CallExpr:
		switch f := n.Fun.(type) {
		case *ast.Ident:
			s.passed(f.Name, n)
		case *ast.SelectorExpr:
			s.passed(f.Sel.Name, n)
			if !passes {
				s.logged(f, n)
			}
		}
	}
	return true
}

func (s *sources) passed(name string, call *ast.CallExpr) {
	p, ok := passedOn[name]
	switch {
	case !ok:
	case p.level == "":
		s.add(call.Args[p.message], s.level(call.Args[p.message-1]))
	default:
		s.add(call.Args[p.message], p.level)
	}
}

func (s *sources) logged(f *ast.SelectorExpr, call *ast.CallExpr) {
	level, ok := loggingMethods[f.Sel.Name]
	if receiver, isName := f.X.(*ast.Ident); !ok || len(call.Args) == 0 || isName && slices.Contains(noLoggers, receiver.Name) {
		return
	}
	message := 0
	switch f.Sel.Name {
	case "Log", "LogAttrs":
		level, message = s.level(call.Args[1]), 2
	case "WarnContext", "ErrorContext":
		message = 1
	}
	s.add(call.Args[message], level)
}

// level is what slog.LevelX names.
func (s *sources) level(e ast.Expr) string {
	if x, ok := e.(*ast.SelectorExpr); ok && strings.HasPrefix(x.Sel.Name, "Level") {
		return strings.ToLower(strings.TrimPrefix(x.Sel.Name, "Level"))
	}
	s.t.Errorf("%s: the level is no constant of slog", s.files.Position(e.Pos()))
	return ""
}

func (s *sources) add(message ast.Expr, level string) {
	if level == "info" || level == "debug" {
		return
	}
	text, ok := s.value(message)
	if !ok {
		s.t.Errorf("%s: the log message is no constant, want one that %s can list; add what varies as an attribute", s.files.Position(message.Pos()), logMessagesPage)
		return
	}
	s.found[logMessage{s.pkg, level, verbs.ReplaceAllString(text, "...")}] = true
}

// value is that of a constant.
func (s *sources) value(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil
	case *ast.BinaryExpr:
		a, ok := s.value(e.X)
		b, also := s.value(e.Y)
		return a + b, ok && also && e.Op == token.ADD
	case *ast.Ident:
		if c := s.constants[e.Name]; c != nil {
			return s.value(c)
		}
	}
	return "", false
}

const logMessagesPage = "../docs/log-messages.md"

var logMessageRow = regexp.MustCompile("^\\| `([^`]+)` \\| (warn|error) \\| \\S.* \\| \\S.* \\|$")

// messagesOfPage are the rows of the documentation, in their order.
func messagesOfPage(t *testing.T) []logMessage {
	t.Helper()
	page, err := os.ReadFile(logMessagesPage)
	if err != nil {
		t.Fatal(err)
	}
	var rows []logMessage
	pkg := ""
	for line := range strings.Lines(string(page)) {
		line = strings.TrimSpace(line)
		if heading, ok := strings.CutPrefix(line, "## "); ok {
			pkg = heading
		} else if row := logMessageRow.FindStringSubmatch(line); row != nil {
			rows = append(rows, logMessage{pkg, row[2], row[1]})
		} else if strings.HasPrefix(line, "| `") {
			t.Errorf("%s: got the row %s, want | `message` | warn or error | meaning | what to do |", logMessagesPage, line)
		}
	}
	return rows
}

// TestLogMessagesAreDocumented: the table has every message of level warn and error that the
// sources have, once, and no other.
func TestLogMessagesAreDocumented(t *testing.T) {
	found := messagesOfSources(t)
	if len(found) < 50 {
		t.Errorf("found %d messages in the sources, want at least 50: they are not read", len(found))
	}
	rows := messagesOfPage(t)
	listed := map[logMessage]bool{}
	for i, row := range rows {
		if listed[row] {
			t.Errorf("%s has a row twice: %s", logMessagesPage, row)
		}
		listed[row] = true
		if !found[row] {
			t.Errorf("%s has a row that no source has: %s", logMessagesPage, row)
		}
		if i > 0 && row.pkg < rows[i-1].pkg {
			t.Errorf("%s has %s after %s, want the packages sorted", logMessagesPage, row.pkg, rows[i-1].pkg)
		}
	}
	for _, m := range slices.SortedFunc(maps.Keys(found), func(a, b logMessage) int { return strings.Compare(a.String(), b.String()) }) {
		if !listed[m] {
			t.Errorf("%s lacks %s", logMessagesPage, m)
		}
	}
}
