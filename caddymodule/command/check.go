package command

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-dcr/caddy-dcr/caddymodule/check"
)

// checking are the flags of caddy dcr check.
type checking struct {
	check.Options
	json, strict bool
}

func checkConfiguration() *cobra.Command {
	var o checking
	c := &cobra.Command{
		Use:   "check",
		Short: "Says what is wrong or weak in a configuration before it goes live",
		Long: `Looks through a configuration for what does not work, for protections that are weak or
off, and for what an operator should know. Each finding has the name of its check, where
it is, why it matters and what to write. docs/check.md lists all checks.

Nothing is started. The store is neither opened nor made, and a gateway that runs beside
is not disturbed. Without --live nothing goes over the network. With --live the
authorization servers, the directories, revocation lists and the DNS are asked, with the
gateway's own credentials; nothing is registered or changed there.

Run it as Caddy's user, with its environment, because it looks at what that user may read
and write.

The exit status is 0 without a finding of severity error, 1 with one, with --strict also
with a warning, and where the configuration does not load, and 2 for a wrong use.`,
		Example: `  sudo -u caddy caddy dcr check --config /etc/caddy/Caddyfile
  caddy dcr check --config Caddyfile --live --address-outside 203.0.113.7:9443 --strict --json`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c) },
	}
	f := c.Flags()
	f.StringVarP(&o.Config, "config", "c", "", "the configuration; default: Caddyfile in this folder")
	f.StringVarP(&o.Adapter, "adapter", "a", "", "the adapter of --config")
	f.BoolVar(&o.Live, "live", false, "ask the configured servers too")
	f.StringVar(&o.Outside, "address-outside", "", "with --live, <host>[:<port>] where the authorization server would be reached from outside, past the gateway")
	f.DurationVar(&o.StopTimeout, "stop-timeout", 0, "how long the service manager waits for a stop; default: what systemd has for caddy.service")
	f.BoolVar(&o.json, "json", false, "print the findings as a JSON array")
	f.BoolVar(&o.strict, "strict", false, "exit with 1 for warnings too")
	return c
}

func (o *checking) run(c *cobra.Command) error {
	switch {
	case o.Outside != "" && !o.Live:
		return usage("--address-outside goes with --live: it is asked over the network")
	case o.StopTimeout < 0:
		return usage("--stop-timeout: must be positive")
	}
	ctx := c.Context()
	o.Progress = func(what string) { c.PrintErrln("asking " + what) }
	report, err := check.Run(ctx, o.Options)
	if ctx.Err() != nil {
		return errors.New("interrupted: nothing was changed")
	}
	if err != nil {
		return wrongUse(err)
	}
	if o.json {
		err = o.printJSON(c.OutOrStdout(), report)
	} else {
		err = printReport(c.OutOrStdout(), report)
	}
	if err != nil {
		return err
	}
	return o.outcome(report)
}

// outcome is nil where nothing is found that counts.
func (o *checking) outcome(r *check.Report) error {
	var parts []string
	if n := r.Count(check.Error); n > 0 {
		parts = append(parts, count(n, "error", "errors"))
	}
	if n := r.Count(check.Warning); n > 0 && o.strict {
		parts = append(parts, count(n, "warning", "warnings"))
	}
	if len(parts) == 0 {
		return nil
	}
	return errors.New("found " + strings.Join(parts, " and "))
}

func (o *checking) printJSON(to io.Writer, r *check.Report) error {
	findings := r.Findings
	if findings == nil {
		findings = []check.Finding{}
	}
	return printReportJSON(to, findings)
}

// headings are those of the severities, with their colour on a terminal (ECMA-48 SGR).
var headings = map[check.Severity]struct{ title, colour string }{
	check.Error: {"ERRORS", "31"}, check.Warning: {"WARNINGS", "33"}, check.Note: {"NOTES", "36"},
}

// narrowest and widest are how wide a text is at least and at most; usual is its width
// where there is no terminal.
const narrowest, usual, widest = 40, 100, 140

// printReport prints the findings in groups, and a last line that counts.
func printReport(to io.Writer, r *check.Report) error {
	width, screen := usual, screenOf(to)
	if screen.columns > 0 {
		width = min(max(screen.columns, narrowest), widest)
	}
	var text strings.Builder
	for _, severity := range check.Severities {
		n := r.Count(severity)
		if n == 0 {
			continue
		}
		heading := headings[severity].title + " (" + strconv.Itoa(n) + ")"
		text.WriteString(screen.coloured(heading, "1;"+headings[severity].colour) + "\n\n")
		for _, f := range r.Findings {
			if f.Severity == severity {
				printFinding(&text, f, width)
			}
		}
	}
	text.WriteString(counted(r) + "\n")
	_, err := io.WriteString(to, text.String())
	return err
}

// printFinding prints one as rows: what is found first.
func printFinding(to *strings.Builder, f check.Finding, width int) {
	to.WriteString(f.Check + "\n")
	row := func(name, text string) {
		for n, line := range wrapped(text, width-10) {
			fmt.Fprintf(to, "  %-7s %s\n", map[bool]string{true: name}[n == 0], line)
		}
	}
	row("found", f.Found)
	for _, one := range f.Details {
		row("", "- "+one)
	}
	var where []string
	if f.Site != "" {
		where = append(where, "site "+f.Site)
	}
	if f.Workspace != "" {
		where = append(where, "workspace "+f.Workspace)
	}
	if f.Directive != "" {
		where = append(where, f.Directive)
	}
	row("where", strings.Join(where, ", "))
	row("", f.Place)
	row("why", f.Why)
	row("write", f.Write)
	to.WriteString("\n")
}

// wrapped breaks a text between words, to lines of a width. A word that is longer has a line
// of its own.
func wrapped(text string, width int) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(printable(text)) {
		switch {
		case line == "":
			line = word
		case line == "-": // of a list
			line += " " + word
		case len(line)+1+len(word) > width:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// counted is how much was checked, and why not all.
func counted(r *check.Report) string {
	line := fmt.Sprintf("checked %d of %d checks", r.Checked, r.Total)
	for _, l := range r.LeftOut {
		line += fmt.Sprintf(", %d left out: %s", l.Count, l.Reason)
	}
	return line
}
