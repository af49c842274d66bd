// Package command is what operators do with the gateway's binary beside running it,
// under caddy dcr.
package command

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:      "dcr",
		Usage:     "<command>",
		Short:     "Operates the Open Banking registration gateway",
		Long:      long,
		CobraFunc: assemble,
	})
}

const long = `What operators do with the registration gateway, beside running it.

Most commands ask the running gateway over Caddy's admin API: at localhost:2019, the
address of --address, or that in the configuration of --config. Their tables are cut to
the width of a terminal, on which the last columns may be missing, and not elsewhere;
NO_COLOR switches colours off. --json prints
what the API answers: one JSON document, and of a list one in each line.

The exit status of every command is
  0  done, or proposed where the configuration demands two operators (four_eyes)
  1  refused by the gateway, not found, or failed; a command that checks has found something
  2  the command line is wrong, and nothing was done
  3  no gateway answers, or one that does not know the command`

// assemble adds every command below caddy dcr.
func assemble(c *cobra.Command) {
	c.AddCommand(
		status(), clients(), software(), organisations(), directories(), secrets(), outbox(), discrepancies(), reconcile(), keys(), trust(), epoch(), audit(),
		policy(), explain(), checkConfiguration(), selftestConfiguration(), saveBackup(), restore(), exportClients(), importClients(), keyset(),
	)
	refuseUnknown(c)
	withExitStatuses(c)
}
