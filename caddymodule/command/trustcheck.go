package command

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-dcr/caddy-dcr/caddymodule/admin"
)

// trustChecking are the flags of caddy dcr trust check.
type trustChecking struct {
	runningGateway
	act
	workspace string
	json      bool
}

func trustCheck() *cobra.Command {
	var t trustChecking
	c := &cobra.Command{
		Use:   "check",
		Short: "Starts the daily check of all clients of a workspace now",
		Long: `Starts the daily check of all clients of a workspace now, waits for its end, and shows how
many findings it has. The gateway fetches keys at most once a second, so that a check of many
software takes hours.

The gateway does it in the background. Ctrl-C ends the command alone: the check goes on, and
caddy dcr trust shows it. The exit status is 1 if something was found.`,
		Example: `  caddy dcr trust check --reason "the directory has revoked keys"
  caddy dcr trust check --workspace default/obuk --reason incident-17 --json`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return t.run(c) },
	}
	t.runningGateway.flags(c)
	t.act.flags(c, "")
	workspaceFlag(c, &t.workspace, &t.runningGateway)
	jsonFlag(c, &t.json)
	return c
}

func (t *trustChecking) run(c *cobra.Command) error {
	body, err := t.body()
	if err != nil {
		return err
	}
	api, err := t.open()
	if err != nil {
		return err
	}
	q := url.Values{}
	if t.workspace != "" {
		q.Set("workspace", t.workspace)
	}
	answer, err := api.do(c.Context(), apiCall{method: http.MethodPost, path: "trust/check", query: q, body: body})
	if err != nil {
		return err
	}
	begun, err := decode[admin.Pass](answer)
	if err != nil {
		return err
	}
	ended, err := awaitPass(c, api, begun)
	if err != nil {
		return err
	}
	if t.json {
		err = printReportJSON(c.OutOrStdout(), ended)
	} else {
		err = printPasses(c.OutOrStdout(), []admin.Pass{ended})
	}
	if err != nil {
		return err
	}
	found := len(ended.Directories)
	for _, n := range ended.Findings {
		found += n
	}
	if found > 0 {
		return fmt.Errorf("the check has %s: caddy dcr trust lists the clients", count(found, "finding", "findings"))
	}
	return nil
}

var errCheckGoesOn = errors.New("interrupted; the check goes on in the gateway, and caddy dcr trust shows it")

// awaitPass waits until the pass that was demanded has ended.
func awaitPass(c *cobra.Command, api *adminAPI, demanded admin.Pass) (ended admin.Pass, err error) {
	p := startProgress(c.ErrOrStderr(), progressAfter, "waiting for the gateway at "+api.address)
	defer p.stop()
	for look := firstLook; ; look = min(2*look, longestLook) {
		select {
		case <-c.Context().Done():
			return ended, errCheckGoesOn
		case <-time.After(look):
		}
		passes, err := passesOf(c.Context(), api, demanded.Workspace)
		switch {
		case errors.Is(err, errInterrupted):
			return ended, errCheckGoesOn
		case err != nil:
			return ended, fmt.Errorf("%w; the check may go on in the gateway", err)
		case len(passes) != 1:
			return ended, fmt.Errorf("the gateway does not check the clients of workspace %s any more", demanded.Workspace)
		case passes[0].UnderWay:
			p.say("%d clients checked", passes[0].Looked)
		case passes[0].DueAt.After(demanded.DueAt): // the next one is
			return passes[0], nil
		default:
			p.say("waits for the check of another workspace to end")
		}
	}
}

// passesOf are the daily checks of a workspace, or of all for an empty one.
func passesOf(ctx context.Context, api *adminAPI, workspace string) ([]admin.Pass, error) {
	q := url.Values{"limit": {"1"}}
	if workspace != "" {
		q.Set("workspace", workspace)
	}
	answer, _, err := get[struct {
		Passes []admin.Pass `json:"passes"`
	}](ctx, api, "trust", q)
	return answer.Passes, err
}
