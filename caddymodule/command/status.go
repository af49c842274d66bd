package command

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/caddy-dcr/caddy-dcr/caddymodule/admin"
)

// status is caddy dcr status.
func status() *cobra.Command {
	var g runningGateway
	var asJSON bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Shows how the gateway is",
		Long:  `Shows the workspaces with their clients and open work, and the store.`,
		Example: `  caddy dcr status
  caddy dcr status --address unix//run/caddy/admin.sock --json`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			api, err := g.open()
			if err != nil {
				return err
			}
			s, answer, err := get[admin.Status](c.Context(), api, "status", nil)
			switch {
			case err != nil:
				return err
			case asJSON:
				return printDocument(c.OutOrStdout(), answer.body)
			}
			return printStatus(c.OutOrStdout(), &s)
		},
	}
	g.flags(c)
	jsonFlag(c, &asJSON)
	return c
}

func printStatus(out io.Writer, s *admin.Status) error {
	d := details{out: out}
	if !s.ClientsCounted {
		d.value("clients", "not all counted yet: the gateway has just started")
	}
	if s.Store.FreeBytes != nil {
		d.value("free disk space", humanize.Bytes(*s.Store.FreeBytes))
	}
	if s.Store.Low {
		d.value("store", "the disk is almost full: see docs/store.md")
	}
	if s.Store.Unconfirmed {
		d.value("epoch", "unconfirmed: the store was restored, or has lost something")
	}
	var rows [][]string
	for _, w := range s.Workspaces {
		clients, discrepancies := 0, 0
		var byStatus []string
		for _, status := range slices.Sorted(maps.Keys(w.Clients)) {
			if n := w.Clients[status]; n > 0 {
				clients += n
				byStatus = append(byStatus, fmt.Sprintf("%d %s", n, status))
			}
		}
		for _, n := range w.Discrepancies {
			discrepancies += n
		}
		rows = append(rows, []string{w.Workspace, strconv.Itoa(clients), strings.Join(byStatus, ", "), strconv.Itoa(w.Waiting), secondsText(w.Oldest), strconv.Itoa(discrepancies)})
	}
	return d.section("Workspaces", rows, column{title: "WORKSPACE", whole: true}, column{title: "CLIENTS"}, column{title: "STATUS"}, column{title: "OUTBOX"}, column{title: "OLDEST"}, column{title: "DISCREPANCIES"})
}
