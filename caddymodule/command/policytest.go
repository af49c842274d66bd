package command

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/caddy-dcr/caddy-dcr/caddymodule/policycases"
)

func policy() *cobra.Command {
	c := &cobra.Command{Use: "policy", Short: "Tries registration policies"}
	c.AddCommand(&cobra.Command{
		Use:   "test <folder>",
		Short: "Holds policies to their cases",
		Long: `Runs the tests of all policies below a folder: each file whose ending is a policy
language, like policy.cel, is asked about every case in the folder cases beside it.
What differs is printed, and how many cases there were. The exit status is 0 when
all policies decide as their cases say, and 1 otherwise.`,
		Example:      "  caddy dcr policy test docs/policies",
		Args:         cobra.ExactArgs(1),
		SilenceUsage: true,
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := os.Stat(args[0]); err != nil {
				return err
			}
			results, err := policycases.Run(c.Context(), args[0])
			if err != nil {
				return err
			}
			failed, policies := 0, map[string]bool{}
			for _, r := range results {
				policies[r.Policy] = true
				if r.Err == nil {
					continue
				}
				failed++
				if _, err := fmt.Fprintf(c.OutOrStdout(), "%s, %s:\n    %v\n", r.Policy, r.Case, r.Err); err != nil {
					return err
				}
			}
			if _, err := fmt.Fprintf(c.OutOrStdout(), "%d cases of %d policies, %d failed\n", len(results), len(policies), failed); err != nil {
				return err
			}
			if failed > 0 {
				return fmt.Errorf("%d cases failed", failed)
			}
			return nil
		},
	})
	return c
}
