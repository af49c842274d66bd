package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/caddy-dcr/caddy-dcr/caddymodule/selftest"
)

// selftesting are the flags of caddy dcr selftest.
type selftesting struct {
	selftest.Options
	claims string
	json   bool
}

func selftestConfiguration() *cobra.Command {
	var o selftesting
	c := &cobra.Command{
		Use:   "selftest",
		Short: "Runs a configuration on this machine, and tries good and hostile requests on it",
		Long: `Runs your own configuration on this machine's loopback, beside a throw-away store, directory
and authorization server, and sends what TPPs send, and more than 200 hostile requests. It
prints each with what must come of it and what came. docs/selftest.md explains the output.

A gateway that runs beside is not disturbed. The store, the servers, proxies, logs and
listeners of the configuration are replaced: nothing of your network is connected to, and
nothing is written but in a temporary folder, which is removed. The output lists what was
replaced, and what a selftest therefore cannot show. Secrets need not be there.

The exit status is 0 if everything was as it must be, 1 if not, or if the configuration
does not load, and 2 for a wrong use.`,
		Example: `  caddy dcr selftest --config Caddyfile
  caddy dcr selftest --config /etc/caddy/Caddyfile --workspace default/obuk --claims claims.json --json`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c) },
	}
	f := c.Flags()
	f.StringVarP(&o.Config, "config", "c", "", "the configuration; default: Caddyfile in this folder")
	f.StringVarP(&o.Adapter, "adapter", "a", "", "the adapter of --config")
	f.StringVar(&o.Workspace, "workspace", "", "the workspace that is tried; default: all of them")
	f.StringVar(&o.claims, "claims", "", "a file with claims, a JSON object, that the software statements are to have: what your policies demand of a TPP")
	f.BoolVar(&o.json, "json", false, "print everything as one JSON object")
	return c
}

func (o *selftesting) run(c *cobra.Command) error {
	if o.claims != "" {
		text, err := read(o.claims)
		if err == nil {
			err = json.Unmarshal(text, &o.Claims)
		}
		if err == nil && o.Claims == nil {
			err = errors.New("must be a JSON object")
		}
		if err != nil {
			return usage("--claims: %w", err)
		}
	}
	ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGTERM)
	defer stop()
	going := startProgress(c.ErrOrStderr(), progressAfter, "starting the configuration")
	o.Progress = func(what string) { going.say("trying %s", what) }
	report, err := selftest.Run(ctx, o.Options)
	going.stop()
	if err != nil {
		return selftestError(ctx, err)
	}
	if o.json {
		err = printReportJSON(c.OutOrStdout(), report)
	} else {
		err = printSelftest(c.OutOrStdout(), report)
	}
	if err == nil && report.Failed() > 0 {
		err = fmt.Errorf("%s not as it must be", count(report.Failed(), "row is", "rows are"))
	}
	return err
}

// selftestError is a run that did not come to its end.
func selftestError(ctx context.Context, err error) error {
	var load *selftest.LoadError
	var unknown *selftest.NotKnownError
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted: nothing is left of it")
	case errors.As(err, &load), errors.As(err, &unknown):
		return err
	case errors.Is(err, selftest.ErrInside):
		return err
	}
	return wrongUse(err)
}

// printSelftest prints the rows of each workspace, what is wrong with some of them, and what
// was not tried.
func printSelftest(to io.Writer, r *selftest.Report) error {
	workspace := ""
	var rows [][]string
	flush := func() error {
		list := newTable(to, column{title: "OK", whole: true, colours: map[string]string{"no": "31"}}, column{title: "WHAT", atLeast: 44}, column{title: "EXPECTED"}, column{title: "GOT"})
		err := list.print(rows)
		rows = nil
		return err
	}
	for _, row := range r.Rows {
		if row.Workspace != workspace {
			if err := flush(); err != nil {
				return err
			}
			workspace = row.Workspace
			fmt.Fprintf(to, "%s\n", screenOf(to).coloured("workspace "+visible(workspace), "1"))
		}
		rows = append(rows, []string{map[bool]string{true: "yes", false: "no"}[row.OK], row.Name, row.Expected, firstLine(row.Got)})
	}
	if err := flush(); err != nil {
		return err
	}
	var b strings.Builder
	printFailed(&b, r)
	printLeftOut(&b, r)
	b.WriteString("\nReplaced for this run:\n")
	for _, one := range r.Replaced {
		fmt.Fprintf(&b, "  %s: %s -> %s\n", visible(one.Place), visible(one.What), visible(one.With))
	}
	b.WriteString("\nA selftest cannot show:\n")
	for _, one := range r.Unproven {
		fmt.Fprintf(&b, "  - %s\n", one)
	}
	fmt.Fprintf(&b, "\n%d of %d rows are as they must be, %d left out\n", len(r.Rows)-r.Failed(), len(r.Rows), len(r.LeftOut))
	_, err := io.WriteString(to, b.String())
	return err
}

// firstLine is that of a text.
func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// printFailed says more of the rows that are not as they must be.
func printFailed(to *strings.Builder, r *selftest.Report) {
	if r.Failed() == 0 {
		return
	}
	to.WriteString("\nNot as it must be:\n")
	for _, row := range r.Rows {
		if row.OK {
			continue
		}
		fmt.Fprintf(to, "  %s\n    expected %s (%s), got %s\n", visible(row.Name), row.Expected, row.Clause, visible(row.Got))
		for _, one := range row.Details {
			fmt.Fprintf(to, "    - %s\n", visible(one))
		}
	}
}

// printLeftOut counts the rows that the configuration switches off, by reason.
func printLeftOut(to *strings.Builder, r *selftest.Report) {
	if len(r.LeftOut) == 0 {
		return
	}
	to.WriteString("\nLeft out, and so not tested:\n")
	var reasons []string
	names := map[string][]string{}
	for _, one := range r.LeftOut {
		if names[one.Reason] == nil {
			reasons = append(reasons, one.Reason)
		}
		if !slices.Contains(names[one.Reason], one.Name) {
			names[one.Reason] = append(names[one.Reason], one.Name)
		}
	}
	for _, reason := range reasons {
		fmt.Fprintf(to, "  %s:\n", visible(reason))
		for _, name := range names[reason] {
			fmt.Fprintf(to, "    - %s\n", name)
		}
	}
}
