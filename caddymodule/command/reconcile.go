package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-dcr/caddy-dcr/caddymodule/admin"
	"github.com/caddy-dcr/caddy-dcr/registry"
)

// reconciling are the flags of caddy dcr reconcile and the commands below it.
type reconciling struct {
	runningGateway
	act
	confirmation
	workspace, orphans    string
	repair, force, resume bool
	rate                  int
	json                  bool
}

// reconcile is caddy dcr reconcile.
func reconcile() *cobra.Command {
	var r reconciling
	c := &cobra.Command{
		Use:   "reconcile",
		Short: "Compares every client with the authorization server",
		Long: `Compares every client with the authorization server, and lists what is missing or different
there. It changes nothing without --repair, which sends the registered metadata to the
authorization server again and, with client_id_header, registers again what it has lost.
--repair asks for confirmation; --yes is for scripts.

The gateway does it in the background. Ctrl-C ends the command alone: the comparison goes
on, reconcile show shows it, and reconcile stop stops it. After a restart of the gateway,
--resume goes on where it was. The exit status is 1 if something was found and not repaired.

With --as-clients it only lists the clients of the authorization server that the registry
does not have. The file has a client_id in each line, or JSON objects with client_id.
docs/operations.md says what to do about each result.`,
		Example: `  caddy dcr reconcile --reason "the AS was restored"
  caddy dcr reconcile --as-clients as-clients.jsonl --workspace default/obuk`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if r.orphans != "" {
				return r.findOrphans(c)
			}
			return r.start(c)
		},
	}
	r.runningGateway.flags(c)
	r.act.flags(c, "")
	r.confirmation.flags(c)
	workspaceFlag(c, &r.workspace, &r.runningGateway)
	f := c.Flags()
	f.BoolVar(&r.repair, "repair", false, "repair what is found")
	f.BoolVar(&r.force, "force", false, "go on although the authorization server seems to have lost its clients")
	f.BoolVar(&r.resume, "resume", false, "go on where the last one was interrupted, stopped or failed, and repair if that did")
	f.IntVar(&r.rate, "rate", 0, "ask the authorization server at most so many times a second, up to 200; default: 20, or with --resume that of before")
	f.StringVar(&r.orphans, "as-clients", "", "list which clients of this file the registry does not have, and do nothing else")
	f.BoolVar(&r.json, "json", false, "print the answers of the admin API, a JSON document in each line")
	completeFiles(c, "as-clients")
	c.AddCommand(reconcileShow(), reconcileStop())
	return c
}

func reconcileShow() *cobra.Command {
	var r reconciling
	c := &cobra.Command{
		Use:   "show",
		Short: "Shows the comparison that runs, or the last one",
		Long:  `Shows the comparison with the authorization server that runs, or the last one, and what was found.`,
		Example: `  caddy dcr reconcile show
  caddy dcr reconcile show --workspace default/obuk --json`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			api, err := r.open()
			if err != nil {
				return err
			}
			_, err = r.print(c, api)
			return err
		},
	}
	r.runningGateway.flags(c)
	workspaceFlag(c, &r.workspace, &r.runningGateway)
	c.Flags().BoolVar(&r.json, "json", false, "print the answers of the admin API, a JSON document in each line")
	return c
}

func reconcileStop() *cobra.Command {
	var r reconciling
	c := &cobra.Command{
		Use:   "stop",
		Short: "Stops the comparison that runs",
		Long:  `Stops the comparison with the authorization server that runs. reconcile --resume goes on with it.`,
		Example: `  caddy dcr reconcile stop --reason "the AS is too slow"
  caddy dcr reconcile stop --workspace default/obuk --reason maintenance --json`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			api, body, err := r.prepared()
			if err != nil {
				return err
			}
			if _, err := api.do(c.Context(), apiCall{method: http.MethodPost, path: "reconcile/stop", query: r.query(), body: body}); err != nil {
				return err
			}
			_, err = r.print(c, api)
			return err
		},
	}
	r.runningGateway.flags(c)
	r.act.flags(c, "")
	workspaceFlag(c, &r.workspace, &r.runningGateway)
	c.Flags().BoolVar(&r.json, "json", false, "print the answers of the admin API, a JSON document in each line")
	return c
}

func (r *reconciling) prepared() (*adminAPI, map[string]string, error) {
	body, err := r.body()
	if err != nil {
		return nil, nil, err
	}
	api, err := r.open()
	return api, body, err
}

func (r *reconciling) query() url.Values {
	q := url.Values{}
	if r.workspace != "" {
		q.Set("workspace", r.workspace)
	}
	return q
}

// start starts a comparison, and waits for its end.
func (r *reconciling) start(c *cobra.Command) error {
	api, body, err := r.prepared()
	if err != nil {
		return err
	}
	q := r.query()
	for name, given := range map[string]bool{"repair": r.repair, "force": r.force, "resume": r.resume} {
		if given {
			q.Set(name, "true")
		}
	}
	if c.Flags().Changed("rate") {
		q.Set("rate", strconv.Itoa(r.rate))
	}
	if r.repair {
		if err := r.possible(c); err != nil {
			return err
		}
		c.PrintErrln("tells the authorization server again what every client is registered with that it has otherwise or, with client_id_header, has lost; run without --repair to see which")
		if err := r.ask(c, "This cannot be undone. Do it?"); err != nil {
			return err
		}
	}
	if _, err := api.do(c.Context(), apiCall{method: http.MethodPost, path: "reconcile/start", query: q, body: body}); err != nil {
		return err
	}
	if err := r.wait(c, api); err != nil {
		return err
	}
	n, err := r.print(c, api)
	switch found := n.Checked - n.Counts[registry.Same] - n.Repaired; {
	case err != nil:
		return err
	case n.State != registry.ReconcileDone:
		return fmt.Errorf("the comparison has not come to its end: %s", n.State)
	case found > 0:
		return fmt.Errorf("%d of %d clients are not as they should be", found, n.Checked)
	}
	return nil
}

// The gateway is asked how far it is after firstLook, and then ever more rarely.
const firstLook, longestLook = 100 * time.Millisecond, 2 * time.Second

var errLeftRunning = errors.New("interrupted; the comparison goes on in the gateway: caddy dcr reconcile show shows it, and reconcile stop stops it")

// wait waits until the comparison has ended.
func (r *reconciling) wait(c *cobra.Command, api *adminAPI) error {
	p := startProgress(c.ErrOrStderr(), progressAfter, "waiting for the gateway at "+api.address)
	defer p.stop()
	q := r.query()
	q.Set("limit", "1")
	for look := firstLook; ; look = min(2*look, longestLook) {
		select {
		case <-c.Context().Done():
			return errLeftRunning
		case <-time.After(look):
		}
		n, _, err := get[admin.Reconciliation](c.Context(), api, "reconcile", q)
		switch {
		case errors.Is(err, errInterrupted):
			return errLeftRunning
		case err != nil:
			return fmt.Errorf("%w; the comparison may go on in the gateway", err)
		case n.State != registry.ReconcileRunning:
			return nil
		}
		p.say("%d clients checked, %d of them as they should be", n.Checked, n.Counts[registry.Same])
		if n.Waiting != "" {
			p.say("%d clients checked; waits: %s", n.Checked, visible(n.Waiting))
		}
	}
}

// print prints the comparison, and all that was found, page by page.
func (r *reconciling) print(c *cobra.Command, api *adminAPI) (first admin.Reconciliation, err error) {
	t := newTable(c.OutOrStdout(), column{title: "RESULT"}, column{title: "CLIENT_ID", whole: true}, column{title: "CLIENT_NAME"}, column{title: "DIFFERENT"}, column{title: "SINCE"}, column{title: "ERROR"})
	q := r.query()
	q.Set("limit", strconv.Itoa(maxPage))
	for page := 0; ; page++ {
		n, answer, err := get[admin.Reconciliation](c.Context(), api, "reconcile", q)
		switch {
		case err != nil:
			return first, err
		case page == 0:
			first = n
		}
		if r.json {
			err = printLines(c.OutOrStdout(), []json.RawMessage{answer.body})
		} else {
			if page == 0 {
				err = r.printCounts(c, &n)
			}
			err = errors.Join(err, t.print(rowsOf(n.Discrepancies, reconcileRow)))
		}
		if err != nil || n.Next == "" {
			return first, err
		}
		if n.Next == q.Get("cursor") {
			return first, unreachable("the gateway's list does not end: its cursor stays the same; %s", sameVersion)
		}
		q.Set("cursor", n.Next)
	}
}

func reconcileRow(d registry.Discrepancy) []string {
	var members []string
	for _, one := range d.Differences {
		members = append(members, one.Member)
	}
	return []string{d.Kind, d.ClientID, d.ClientName, strings.Join(members, ", "), secondsText(d.Since), d.Error}
}

func (r *reconciling) printCounts(c *cobra.Command, n *admin.Reconciliation) error {
	d := details{out: c.OutOrStdout()}
	d.value("workspace", n.Workspace)
	d.value("state", n.State)
	d.value("error", n.Error)
	d.value("waiting", n.Waiting)
	d.value("operator", n.Operator.Name)
	d.value("reason", n.Reason)
	d.value("repair", n.Repair)
	d.value("started", secondsText(n.Started))
	d.value("resumed", secondsText(n.Resumed))
	d.value("ended", secondsText(n.Ended))
	d.value("checked", n.Checked)
	for _, outcome := range registry.Outcomes {
		if count := n.Counts[outcome]; count > 0 {
			d.value(strings.ReplaceAll(outcome, "_", " "), count)
		}
	}
	d.value("repaired", n.Repaired)
	for _, one := range n.Unchecked {
		d.value("not checked "+one.ClientID, one.Error)
	}
	return d.flush()
}
