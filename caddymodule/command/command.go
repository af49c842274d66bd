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

Most commands ask the running gateway over Caddy's admin API: at localhost:2019, at
--address, or at the address in the configuration of --config.

On a terminal, tables are cut to its width: texts that end in … are longer, and columns at
the end or without content may be missing. A file or a pipe gets everything. --json prints
what the API answers: one JSON document, and for a list one document in each line.
NO_COLOR=1 switches colours off.

Your shell completes commands, flags, client_ids and workspaces if it loads what
caddy completion bash prints (or zsh, fish, powershell).

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
