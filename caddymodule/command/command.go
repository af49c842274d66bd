// Package command is what operators do with the gateway's binary beside running it,
// under caddy dcr.
package command

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "dcr",
		Usage: "<command>",
		Short: "Operates the Open Banking registration gateway",
		Long:  "What operators do with the registration gateway, beside running it.",
		CobraFunc: func(c *cobra.Command) {
			c.AddCommand(policy(), explain(), checkConfiguration(), saveBackup(), restore(), keyset())
			refuseUnknown(c)
		},
	})
}
