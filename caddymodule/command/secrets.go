package command

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

func secrets() *cobra.Command {
	return group("secrets", "Rotates secrets of clients at the authorization server", secretsRotate())
}

func secretsRotate() *cobra.Command {
	var f changing
	c := &cobra.Command{
		Use:   "rotate [client_id]",
		Short: "Has the authorization server issue a new secret for one client, or for all, in bridge mode",
		Long: `Has the authorization server issue a new secret to the gateway for a client in bridge mode.
The client's own secret stays the same, and its TPP does not notice. Without a client_id it
does so for all clients in bridge mode of the workspace, one after the other; those with
which it failed are printed, and the exit status is 1 then. It may be run again.`,
		Example: `  caddy dcr secrets rotate 7f3c2a51 --reason "ticket 4711"
  caddy dcr secrets rotate --workspace default/obuk --reason "the AS leaked its database" --yes`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return rotateAll(c, &f)
			}
			return f.run(c, change{resource: apiPath("clients", args[0]), action: "rotate_secret", show: showClient, done: "rotated the secret of client " + args[0], describe: func(one json.RawMessage) (string, error) {
				name, err := clientName(one)
				return "rotate the secret of " + name, err
			}})
		},
	}
	f.flags(c, false)
	workspaceFlag(c, &f.workspace, &f.runningGateway)
	c.ValidArgsFunction = client.ids.first(&f.runningGateway)
	return c
}

// Bounds of a page of secrets: the authorization server is asked for one after the other.
const (
	rotatedAtOnce    = 20
	rotationPatience = 10 * time.Minute
)

// rotateAll rotates the secrets of all clients, page by page.
func rotateAll(c *cobra.Command, f *changing) error {
	body, err := f.body()
	if err != nil {
		return err
	}
	if f.tag != "" {
		return usage("--etag is of one client")
	}
	if err := f.possible(c); err != nil {
		return err
	}
	api, err := f.open()
	if err != nil {
		return err
	}
	if err := f.ask(c, "The secret of every client in bridge mode is replaced at the authorization server. Do it?"); err != nil {
		return err
	}
	p := startProgress(c.ErrOrStderr(), progressEvery, "0 secrets so far")
	defer p.stop()
	failed := newTable(c.OutOrStdout(), column{title: "FAILED CLIENT_ID", whole: true}, column{title: "ERROR", wraps: true})
	rotated, failures := 0, 0
	for cursor := ""; ; {
		q := url.Values{"limit": {strconv.Itoa(rotatedAtOnce)}}
		if cursor != "" {
			q.Set("cursor", cursor)
		}
		if f.workspace != "" {
			q.Set("workspace", f.workspace)
		}
		answer, err := api.do(c.Context(), apiCall{method: http.MethodPost, path: "secrets/rotate", query: q, body: body, patience: rotationPatience})
		if err != nil {
			return fmt.Errorf("after %d secrets: %w", rotated, err)
		}
		page, err := decode[rotation](answer)
		if err != nil {
			return err
		}
		rotated, failures = rotated+page.Rotated, failures+len(page.Failed)
		p.say("%d secrets so far, %d failed", rotated, failures)
		if err := page.print(c, f, failed, answer); err != nil {
			return err
		}
		if page.Next == "" {
			break
		}
		if page.Next == cursor {
			return unreachable("the gateway's list does not end: its cursor stays the same; %s", sameVersion)
		}
		cursor = page.Next
	}
	c.PrintErrf("rotated %s\n", count(rotated, "secret", "secrets"))
	if failures > 0 {
		return fmt.Errorf("%s failed", count(failures, "client", "clients"))
	}
	return nil
}

// rotation is what was done for a page of clients.
type rotation struct {
	Rotated int `json:"rotated"`
	Failed  []struct {
		ClientID string `json:"client_id"`
		Error    string `json:"error"`
	} `json:"failed"`
	Next string `json:"next"`
}

func (r *rotation) print(c *cobra.Command, f *changing, failed *table, answer *apiAnswer) error {
	if f.json {
		return printLines(c.OutOrStdout(), []json.RawMessage{answer.body})
	}
	var rows [][]string
	for _, one := range r.Failed {
		rows = append(rows, []string{one.ClientID, one.Error})
	}
	return failed.print(rows)
}
