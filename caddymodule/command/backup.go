package command

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

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
	if _, err := os.Lstat(name); err == nil {
		return fmt.Errorf("%s is there already; give another name", name)
	}
	body, err := s.body()
	if err != nil {
		return err
	}
	api, err := s.open()
	if err != nil {
		return err
	}
	ctx := c.Context()
	file, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".partial-*") // for the user alone, 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	defer file.Close()
	answer, err := api.send(ctx, apiCall{method: http.MethodPost, path: "backup", body: body})
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	size, err := io.Copy(file, &reported{from: answer.Body, to: c.ErrOrStderr(), next: time.Now().Add(progressAfter)})
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted: there is no backup")
	case err != nil:
		return fmt.Errorf("the backup was cut off after %s: %w; the gateway's log says more", humanize.Bytes(uint64(size)), err)
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Link(file.Name(), name); err != nil { // unlike a renaming it replaces no other file
		return err
	}
	if err := os.Remove(file.Name()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "%s: %s. To verify it: caddy dcr restore --verify %s\n", name, humanize.Bytes(uint64(size)), name)
	return err
}

// reported says how much has been read, where that takes long.
type reported struct {
	from io.Reader
	to   io.Writer
	read uint64
	next time.Time
}

func (r *reported) Read(p []byte) (n int, err error) {
	n, err = r.from.Read(p)
	r.read += uint64(max(n, 0))
	if now := time.Now(); now.After(r.next) {
		r.next = now.Add(progressAfter)
		fmt.Fprintf(r.to, "%s\n", humanize.Bytes(r.read))
	}
	return n, err
}
