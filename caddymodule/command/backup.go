package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
)

// saving are the flags of caddy dcr backup.
type saving struct {
	config, adapter, address, reason string
}

func saveBackup() *cobra.Command {
	var s saving
	c := &cobra.Command{
		Use:   "backup <file> [--address <host:port> | --config <file>] [--reason <text>]",
		Short: "Makes a backup of the store of a running gateway",
		Long: `Makes a backup of the store of a running gateway, which serves meanwhile: one file with all
records at one moment. It is encrypted with the gateway's keyset, which is not in it.

The file gets its name when it is whole and on disk. An existing file is not overwritten.

The exit status is 0 when there is a whole backup, and 1 otherwise.`,
		Example: `  caddy dcr backup dcr.backup --config /etc/caddy/Caddyfile
  caddy dcr backup /backups/dcr-$(date +%F).backup --reason nightly`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("give one file, which the backup is written to")
			}
			return nil
		},
		SilenceUsage: true,
		RunE:         func(c *cobra.Command, args []string) error { return s.run(c, args[0]) },
	}
	f := c.Flags()
	f.StringVar(&s.address, "address", "", "the gateway's admin address; default: that of --config, else localhost:2019")
	f.StringVarP(&s.config, "config", "c", "", "the gateway's configuration")
	f.StringVarP(&s.adapter, "adapter", "a", "", "the adapter of --config")
	f.StringVar(&s.reason, "reason", "backup", "why; the gateway's log keeps it, with your user name")
	return c
}

func (s *saving) run(c *cobra.Command, name string) (err error) {
	if _, err := os.Lstat(name); err == nil {
		return fmt.Errorf("%s is there already; give another name", name)
	}
	address, err := caddycmd.DetermineAdminAPIAddress(s.address, nil, s.config, s.adapter)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]string{"reason": s.reason, "local_user": localUser()})
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt)
	defer stop()
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
	answer, err := caddycmd.AdminAPIRequest(address, http.MethodPost, "/openbanking_dcr/backup", http.Header{"Content-Type": {"application/json"}}, strings.NewReader(string(body)))
	if err != nil {
		return noAnswer(address, err)
	}
	defer answer.Body.Close()
	defer context.AfterFunc(ctx, func() { answer.Body.Close() })() // Ctrl-C ends a read that waits
	size, err := io.Copy(file, &reported{from: answer.Body, to: c.ErrOrStderr(), next: time.Now().Add(progressAfter)})
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted; there is no backup")
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

// localUser is who runs the command, for the gateway's log.
func localUser() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return fmt.Sprint("uid ", os.Getuid())
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
