package command

import (
	"fmt"

	"github.com/spf13/cobra"
)

// noArguments refuses arguments of a command that has only flags.
func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%q belongs to no flag: the command takes no arguments", args[0])
	}
	return nil
}

// oneArgument demands one, and says what it is: the client_id.
func oneArgument(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) == 0 || args[0] == "":
			return fmt.Errorf("give %s", what)
		case len(args) > 1:
			return fmt.Errorf("give one argument, %s: %q is one too many", what, args[1])
		}
		return nil
	}
}

// group is a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use + " <command>", Short: short}
	c.AddCommand(commands...)
	refuseUnknown(c)
	return c
}
