package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/caddy-dcr/caddy-dcr/caddymodule"
	"github.com/caddy-dcr/caddy-dcr/registry"
)

// restoration are the flags of caddy dcr restore.
type restoration struct {
	config, adapter string
	verify, confirm bool
	reason, audit   string
}

func restore() *cobra.Command {
	var r restoration
	c := &cobra.Command{
		Use:   "restore <file> [--config <file>] [--verify | --confirm --reason <text>] [--audit <file>]",
		Short: "Puts a backup into an empty store",
		Long: `Puts a backup into the store of a configuration, which must be empty. No gateway may run
on that store. The backup is read and verified to its end before anything is written: it
must be whole, and the configured keyset must have the keys that it was made with. With
--verify that is all, and no store is opened.

A restore that was interrupted leaves a store that no gateway opens; run it again.

From the first start of the gateway on, what was issued before counts as used, and
client_ids that the registry does not know are refused until an operator confirms. With
--confirm they are not refused: only where nothing was changed after the backup.

With --audit, names the suspensions and deletions that a later copy of the audit trail
(JSON) has and the backup lacks.`,
		Example: `  caddy dcr restore --config /etc/caddy/Caddyfile --verify dcr.backup
  sudo -u caddy -H caddy dcr restore --config /etc/caddy/Caddyfile --audit audit.json dcr.backup`,
		Args: func(c *cobra.Command, args []string) error {
			if err := oneArgument("the file with the backup")(c, args); err != nil {
				return err
			}
			return r.check()
		},
		RunE: func(c *cobra.Command, args []string) error { return r.run(c, args[0]) },
	}
	f := c.Flags()
	f.StringVarP(&r.config, "config", "c", "", "the configuration with the store; default: the Caddyfile in this folder")
	f.StringVarP(&r.adapter, "adapter", "a", "", "the adapter of --config")
	f.BoolVar(&r.verify, "verify", false, "verify the backup, and write nothing")
	f.BoolVar(&r.confirm, "confirm", false, "nothing was changed after the backup: do not refuse unknown client_ids")
	f.StringVar(&r.reason, "reason", "", "with --confirm, why; it is kept in the audit trail")
	f.StringVar(&r.audit, "audit", "", "a later copy of the audit trail, whose suspensions are named")
	return c
}

func (r *restoration) check() error {
	switch {
	case r.verify && r.confirm:
		return errors.New("give --verify or --confirm, not both: --verify writes nothing")
	case r.confirm && r.reason == "":
		return errors.New("--confirm needs a --reason, which is kept in the audit trail")
	case !r.confirm && r.reason != "":
		return errors.New("--reason is that of --confirm")
	case r.confirm:
		return registry.CheckConfirmation(r.reason)
	}
	return nil
}

func (r *restoration) run(c *cobra.Command, name string) error {
	file, err := os.Open(name)
	if err != nil {
		return usage("%w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return usage("%s is no regular file: a backup is read twice, so write it into a file first", name)
	}
	var audit []registry.AuditEntry
	if r.audit != "" {
		if audit, err = readAudit(r.audit); err != nil {
			return usage("--audit: %w", err)
		}
	}
	if _, err := os.Stat("Caddyfile"); r.config == "" && errors.Is(err, os.ErrNotExist) {
		return usage("--config is missing, and this folder has no Caddyfile: the configuration with the store")
	}
	storage, err := os.MkdirTemp("", "caddy-dcr-restore")
	if err != nil {
		return err
	}
	defer os.RemoveAll(storage)
	app, err := provisioned(r.config, r.adapter, storage)
	if err != nil {
		return usage("--config: %w", err)
	}
	p := &restoreProgress{out: c.ErrOrStderr(), size: info.Size(), next: time.Now().Add(progressAfter), now: time.Now}
	v, err := app.Restore(c.Context(), file, caddymodule.RestoreOptions{VerifyOnly: r.verify, Confirm: r.reason, Progress: p.told})
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return r.interrupted()
		}
		return err
	}
	if _, err := fmt.Fprint(c.OutOrStdout(), r.summary(v)); err != nil {
		return err
	}
	return tellLaterChanges(c.OutOrStdout(), audit, v.Time)
}

// interrupted is what a restore was that Ctrl-C has ended.
func (r *restoration) interrupted() error {
	if r.verify {
		return errors.New("interrupted: the backup was not verified to its end, and nothing was written")
	}
	return errors.New("interrupted: if records were being written, no gateway opens the store; run the restore again")
}

// summary says what was done, and what comes next.
func (r *restoration) summary(v *registry.VerifiedBackup) string {
	var b strings.Builder
	done := "restored"
	if r.verify {
		done = "verified"
	}
	fmt.Fprintf(&b, "%s %s records, %s clients of %s, as of %s", done, humanize.Comma(v.Records), humanize.Comma(v.Counts["client"]), workspaces(v.Workspaces), v.Time.UTC().Format(time.RFC3339))
	if v.Sequence > 0 {
		fmt.Fprintf(&b, " (commit %d)", v.Sequence)
	}
	b.WriteString("\n")
	if r.verify {
		return b.String()
	}
	b.WriteString(`
Do this next:
  1. Name the bank's own clients in the file of unknown_clients pass known, and start the
     gateway. What was issued before its start counts as used.
  2. Compare the registry with the authorization server: what was registered, changed or
     deleted after the backup is there and not here.
     caddy dcr reconcile --reason "restored the store"
     caddy dcr reconcile --as-clients <client_ids of the authorization server>
  3. Suspend again what was suspended after the backup: see --audit, or your records.
`)
	if r.confirm {
		return b.String()
	}
	b.WriteString(`  4. Confirm the epoch. Until then client_ids that the registry does not know get 401:
     caddy dcr epoch confirm --reason "compared with the AS"
`)
	return b.String()
}

func workspaces(names []string) string {
	const shown = 5
	if len(names) == 0 {
		return "no workspace"
	}
	text := strings.Join(names[:min(shown, len(names))], ", ")
	if len(names) > shown {
		text += fmt.Sprintf(" and %d more", len(names)-shown)
	}
	return text
}

// restoreProgress tells how far a restore is, where it takes long.
type restoreProgress struct {
	out  io.Writer
	size int64
	next time.Time
	now  func() time.Time
}

func (p *restoreProgress) told(done registry.BackupProgress, verified bool) {
	if p.now().Before(p.next) {
		return
	}
	p.next = p.now().Add(progressAfter)
	what := "verified"
	if verified {
		what = "restored"
	}
	fmt.Fprintf(p.out, "%s %s of %s records, %s of %s\n", what, humanize.Comma(done.Records), humanize.Comma(done.Total), humanize.Bytes(uint64(done.Bytes)), humanize.Bytes(uint64(p.size)))
}
