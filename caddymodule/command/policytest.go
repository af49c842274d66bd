package command

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/caddy-dcr/caddy-dcr/caddymodule/policycases"
)

func policy() *cobra.Command {
	c := &cobra.Command{Use: "policy", Short: "Tries registration policies"}
	refuseUnknown(c)
	var a against
	test := &cobra.Command{
		Use:   "test <folder> | --policy <file> --against registry --workspace <name>",
		Short: "Holds policies to their cases, or to what is registered",
		Long: `Runs the tests of all policies below a folder. A policy is a file whose ending is a
policy language, like policy.cel; several in one folder share its cases, the files
cases/*.json. What differs is printed, and a last line that counts. Policies that
cannot be asked, and files there that nothing reads, are errors.

Cases ask the policy alone, without the words of its block in the Caddyfile: a text,
code, cost_limit or package of the block is not there, costs have their default limit,
and a case may take 10 seconds.

With --policy and --against registry, asks a policy that is not in service about every
registration of a workspace of the running gateway, and prints those that it would
refuse. Nothing is changed.

The exit status is 0 when all policies decide as their cases say, or when every
registration would pass, and 1 when not.`,
		Example: `  caddy dcr policy test docs/policies
  caddy dcr policy test --policy new.cel --against registry --workspace default/obuk`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			used, err := a.used(args)
			switch {
			case err != nil:
				return err
			case used:
				return a.run(c)
			case len(args) == 0:
				return usage("give a folder with cases, or --policy and --against registry")
			}
			return testCases(c, args[0])
		},
	}
	a.flags(test)
	c.AddCommand(test)
	return c
}

// testCases runs the cases below a folder.
func testCases(c *cobra.Command, folder string) error {
	if _, err := os.Stat(folder); err != nil {
		return usage("%w", err)
	}
	report, err := policycases.Run(c.Context(), folder)
	if err != nil {
		return err
	}
	t := tally{faults: len(report.Faults), untested: report.Untested}
	for _, r := range report.Results {
		if t.add(r); r.Err == nil {
			continue
		}
		what := r.Policy
		if r.Case != "" {
			what += ", " + r.Case
		}
		if _, err := fmt.Fprintf(c.OutOrStdout(), "%s:\n    %s\n", visible(what), visibleLines(r.Err.Error())); err != nil {
			return err
		}
	}
	for _, fault := range report.Faults {
		if _, err := fmt.Fprintln(c.OutOrStdout(), visible(fmt.Sprint(fault))); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintln(c.OutOrStdout(), t.summary()); err != nil {
		return err
	}
	return t.err()
}
