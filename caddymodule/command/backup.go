package command

import (
	"fmt"
	"net/http"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
)

// saving are the flags of caddy dcr backup.
type saving struct {
	runningGateway
	act
}

func saveBackup() *cobra.Command {
	var s saving
	c := &cobra.Command{
		Use:   "backup <file>",
		Short: "Makes a backup of the store of a running gateway",
		Long: `Makes a backup of the store of a running gateway, which serves meanwhile: one file with all
records at one moment. It is encrypted with the gateway's keyset, which is not in it.

The file gets its name when it is whole and on disk. An existing file is not overwritten.`,
		Example: `  caddy dcr backup dcr.backup --config /etc/caddy/Caddyfile
  caddy dcr backup /backups/dcr-$(date +%F).backup --reason nightly`,
		Args: oneArgument("the file that the backup is written to"),
		RunE: func(c *cobra.Command, args []string) error { return s.run(c, args[0]) },
	}
	s.runningGateway.flags(c)
	s.act.flags(c, "backup")
	return c
}

func (s *saving) run(c *cobra.Command, name string) (err error) {
	if err := mayWrite(name); err != nil {
		return err
	}
	body, err := s.body()
	if err != nil {
		return err
	}
	api, err := s.open()
	if err != nil {
		return err
	}
	size, err := download(c, api, apiCall{method: http.MethodPost, path: "backup", body: body}, name, "backup")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "%s: %s. To verify it: caddy dcr restore --verify %s\n", name, humanize.Bytes(size), name)
	return err
}
