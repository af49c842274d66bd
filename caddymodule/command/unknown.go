package command

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// refuseUnknown makes a command that only holds others refuse what is none of them:
// cobra prints the help then, and a pipeline with a slip of the pen stays green. Alone it
// still prints its help.
func refuseUnknown(c *cobra.Command) {
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		var names []string
		for _, known := range c.Commands() {
			if known.IsAvailableCommand() {
				names = append(names, known.Name())
			}
		}
		return fmt.Errorf("unknown command %q for %q: write one of %s", args[0], c.CommandPath(), strings.Join(names, ", "))
	}
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	c.SetFlagErrorFunc(func(of *cobra.Command, err error) error {
		// The flags of an unknown command are unknown too: what is before them is told.
		if args := of.Flags().Args(); of == c && len(args) > 0 {
			return c.Args(c, args)
		}
		return err
	})
}
