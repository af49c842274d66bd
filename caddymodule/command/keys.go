package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

// keySet is what is printed of a JWKS that the gateway fetches.
type keySet struct {
	ID           string    `json:"id"`
	Workspace    string    `json:"workspace"`
	Kind         string    `json:"kind"`
	Directory    string    `json:"directory"`
	Organisation string    `json:"org_id"`
	URL          string    `json:"url"`
	Keys         int       `json:"keys"`
	KeyIDs       []string  `json:"key_ids"`
	FetchedAt    time.Time `json:"fetched_at"`
	RefreshAfter time.Time `json:"refresh_after"`
	UsedUntil    time.Time `json:"used_until"`
	TriedAt      time.Time `json:"tried_at"`
	Error        string    `json:"error"`
	NextAttempt  time.Time `json:"next_attempt"`
}

// keySets is the resource of JWKS.
var keySets = &resource{path: "keys", id: "id", example: "q1Zr0mVxYb3kTn9a", name: keySetName, show: showKeySet, ids: completeList("keys", "id", "url")}

func keySetName(one json.RawMessage) (string, error) {
	k, err := decode[keySet](&apiAnswer{body: one})
	return fmt.Sprintf("the keys of %s at %s, in workspace %s", k.Kind, k.URL, k.Workspace), err
}

func keys() *cobra.Command {
	return group("keys", "Lists and refreshes the JWKS that the gateway fetches", keysList(),
		keySets.showing("Shows one JWKS", `Shows one JWKS that the gateway fetches: whose it is, its key ids, when it was fetched, and
the error of the last attempt.`),
		keySets.changing(resourceChange{
			action: "refresh", short: "Fetches one JWKS now", undoable: true, done: "refreshed keys", failed: notFetched,
			long: `Fetches one JWKS now, and not only when a request needs it. Where that fails, the keys from
before stay in use until they end, and the exit status is 1.`,
		}))
}

// notFetched is why the keys could not be fetched.
func notFetched(answer json.RawMessage) error {
	k, err := decode[keySet](&apiAnswer{body: answer})
	if err == nil && k.Error != "" {
		err = errors.New("the keys could not be fetched: " + k.Error)
	}
	return err
}

func keysList() *cobra.Command {
	var l listing
	var workspace string
	c := &cobra.Command{
		Use:   "list",
		Short: "Lists the JWKS that the gateway fetches",
		Long: `Lists the JWKS that the gateway fetches, of directories, of software and of others: whose
they are, how many keys each has, when it was fetched, and the error of the last attempt.`,
		Example: `  caddy dcr keys list
  caddy dcr keys list --workspace default/obuk --all --json`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return printList(c, &l, list[keySet]{what: "key sets", path: "keys", query: url.Values{"workspace": {workspace}}, columns: keySetColumns, row: keySetRow})
		},
	}
	l.flags(c)
	workspaceFlag(c, &workspace, &l.runningGateway)
	return c
}

var keySetColumns = []column{
	{title: "ID", whole: true}, {title: "OF", whole: true}, {title: "KEYS", whole: true}, {title: "ERROR"}, {title: "URL"}, {title: "FETCHED", whole: true}, {title: "REFRESH AFTER", whole: true}, {title: "ORG_ID"}, {title: "WORKSPACE"},
}

func keySetRow(k keySet) []string {
	return []string{k.ID, k.Kind, strconv.Itoa(k.Keys), k.Error, k.URL, timeText(k.FetchedAt), timeText(k.RefreshAfter), k.Organisation, k.Workspace}
}

func showKeySet(out io.Writer, one json.RawMessage, _ string) error {
	k, err := decode[keySet](&apiAnswer{body: one})
	if err != nil {
		return err
	}
	d := details{out: out}
	d.value("id", k.ID)
	d.value("of", k.Kind)
	d.value("workspace", k.Workspace)
	d.value("directory", k.Directory)
	d.value("org_id", k.Organisation)
	d.value("url", k.URL)
	d.value("keys", k.Keys)
	d.value("key ids", k.KeyIDs)
	d.value("fetched", k.FetchedAt)
	d.value("refresh after", k.RefreshAfter)
	d.value("used until", k.UsedUntil)
	d.value("last attempt", k.TriedAt)
	d.value("error", k.Error)
	d.value("next attempt", k.NextAttempt)
	return d.flush()
}
