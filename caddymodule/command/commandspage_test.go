package command

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "write docs/commands.md")

const commandsPage = "../../docs/commands.md"

// TestCommandsPage: docs/commands.md says what the commands say. To write it again:
// go test ./caddymodule/command -run TestCommandsPage -update
func TestCommandsPage(t *testing.T) {
	got := page(dcrRoot())
	want, err := os.ReadFile(commandsPage)
	if *update {
		err = os.WriteFile(commandsPage, []byte(got), 0o644)
		want = []byte(got)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("docs/commands.md differs from what the commands say; write it again with -update. Got\n%s", got)
	}
}

// page is docs/commands.md.
func page(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString(`# Commands

This page is what ` + "`--help`" + ` prints. A test writes it, and compares it with the commands:
` + "`go test ./caddymodule/command -run TestCommandsPage -update`" + ` in the source folder.

`)
	commands := leaves(root)
	for _, c := range commands {
		fmt.Fprintf(&b, "- [%s](#%s): %s\n", c.CommandPath(), strings.ReplaceAll(c.CommandPath(), " ", "-"), strings.ToLower(c.Short[:1])+c.Short[1:])
	}
	fmt.Fprintf(&b, "\n%s\n\n## Which gateway\n\nEvery command that asks a running gateway has these flags:\n%s", paragraphs(root.Commands()[0].Long), flagTable(gatewayFlags(), nil))
	for _, c := range commands {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n%s", c.CommandPath(), paragraphs(c.Long), indented(c.UseLine()+"\n\n"+strings.ReplaceAll("\n"+c.Example, "\n  ", "\n")[1:]))
		left := map[string]bool{"help": true}
		if asks := c.Flags().Lookup("admin-ca") != nil; asks {
			b.WriteString("\nIt asks a running gateway: [which one](#which-gateway).\n")
			gatewayFlags().VisitAll(func(f *pflag.Flag) { left[f.Name] = f.Usage == c.Flags().Lookup(f.Name).Usage })
		}
		b.WriteString(flagTable(c.LocalFlags(), left))
	}
	return b.String()
}

// gatewayFlags are those of every command that asks a gateway.
func gatewayFlags() *pflag.FlagSet {
	c := &cobra.Command{}
	(&runningGateway{}).flags(c)
	return c.Flags()
}

// TestExamplesOfCommands: each command has two examples or more, and takes their flags and
// arguments.
func TestExamplesOfCommands(t *testing.T) {
	for _, c := range leaves(dcrRoot()) {
		t.Run(c.CommandPath(), func(t *testing.T) {
			found := 0
			for line := range strings.Lines(strings.ReplaceAll(c.Example, "\\\n", " ")) {
				of, err := takes(line)
				if err == nil && of != c.CommandPath() {
					err = fmt.Errorf("it is of %s", of)
				}
				if err != nil {
					t.Errorf("%s: %v", line, err)
				}
				found++
			}
			if found < 2 || c.Long == "" || strings.HasSuffix(c.Short, ".") {
				t.Errorf("got %d examples, want 2; and a long and a short description", found)
			}
		})
	}
}

// TestDocumentedCommands: the commands on all pages are commands that there are, with flags and
// arguments that they take.
func TestDocumentedCommands(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("../../docs/*/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, page := range append(pages, more...) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		if page == filepath.Clean(commandsPage) {
			continue // from the commands
		}
		for _, line := range documented.FindAllString(strings.ReplaceAll(string(text), "\\\n", " "), -1) {
			found++
			if _, err := takes(line); err != nil {
				t.Errorf("%s: %s: %v", page, line, err)
			}
		}
	}
	if found < 10 {
		t.Errorf("found %d commands, want 10 or more", found)
	}
}

// documented is a command in a block.
var documented = regexp.MustCompile(`(?m)^ *(?:sudo .*)?(?:\./)?caddy dcr .*$`)

// takes tells which command an example is of, and whether it takes its flags and arguments.
func takes(line string) (path string, err error) {
	_, words, ok := strings.Cut(strings.TrimSpace(line), "caddy dcr ")
	if !ok {
		return "", errors.New("it is no command of caddy dcr")
	}
	words, _, _ = strings.Cut(words, " > ")
	words, _, _ = strings.Cut(words, " | ")
	of, args, err := dcrRoot().Find(append([]string{"dcr"}, shellWords(substitution.ReplaceAllString(words, "x"))...))
	if err == nil {
		err = of.ParseFlags(args)
	}
	if err == nil {
		err = of.ValidateArgs(of.Flags().Args())
	}
	return of.CommandPath(), err
}

// dcrRoot is caddy with nothing but dcr.
func dcrRoot() *cobra.Command {
	root := &cobra.Command{Use: "caddy", SilenceErrors: true, SilenceUsage: true}
	c := &cobra.Command{Use: "dcr", Long: long}
	assemble(c)
	root.AddCommand(c)
	return root
}

// leaves are the commands that do something.
func leaves(c *cobra.Command) (found []*cobra.Command) {
	if len(c.Commands()) == 0 || c.Example != "" {
		found = append(found, c)
	}
	for _, one := range c.Commands() {
		if one.Name() != "help" {
			found = append(found, leaves(one)...)
		}
	}
	return found
}

// substitution is a command in an argument.
var substitution = regexp.MustCompile(`\$\([^)]*\)`)

// shellWords are the words of a line as a shell parts them; it knows both quotes.
func shellWords(line string) (words []string) {
	word, begun, quote := "", false, rune(0)
	for _, r := range line + " " {
		switch {
		case r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, begun = r, true
		case quote == 0 && unicode.IsSpace(r):
			if begun {
				words = append(words, word)
			}
			word, begun = "", false
		default:
			word, begun = word+string(r), true
		}
	}
	return words
}

func indented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) == "" {
			b.WriteString("\n")
		} else {
			b.WriteString("    " + line)
		}
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// paragraphs are those of a text for a terminal. Indented lines become a block.
func paragraphs(text string) string {
	var b strings.Builder
	block := false
	for line := range strings.Lines(text) {
		code := strings.HasPrefix(line, "  ")
		if code != block && strings.TrimSpace(line) != "" {
			if block = code; code {
				b.WriteString("\n")
			}
		}
		if block && strings.TrimSpace(line) != "" {
			b.WriteString("  " + line)
		} else {
			b.WriteString(strings.ReplaceAll(line, "<", `\<`))
		}
	}
	return b.String()
}

func flagTable(flags *pflag.FlagSet, without map[string]bool) string {
	b := &strings.Builder{}
	flags.VisitAll(func(f *pflag.Flag) {
		if without[f.Name] {
			return
		}
		if b.Len() == 0 {
			b.WriteString("\n| flag | meaning |\n|---|---|\n")
		}
		kind, meaning := pflag.UnquoteUsage(f)
		name := "--" + f.Name
		if kind != "" {
			name += " <" + kind + ">"
		}
		name = "`" + name + "`"
		if f.Shorthand != "" {
			name = "`-" + f.Shorthand + "`, " + name
		}
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" && f.DefValue != "0s" {
			meaning += ". Default: " + f.DefValue
		}
		fmt.Fprintf(b, "| %s | %s |\n", name, strings.NewReplacer("|", `\|`, "<", `\<`).Replace(meaning))
	})
	return b.String()
}
