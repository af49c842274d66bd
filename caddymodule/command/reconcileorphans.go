package command

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// maxExportLine bounds a line of an export of the authorization server: a client with all of
// its metadata and keys.
const maxExportLine = 1 << 20

// findOrphans lists the clients of a file that the registry does not have.
func (r *reconciling) findOrphans(c *cobra.Command) error {
	if r.repair || r.force || r.resume || c.Flags().Changed("rate") {
		return usage("--as-clients only reads: leave --repair, --force, --resume and --rate out")
	}
	file, err := os.Open(r.orphans)
	if err != nil {
		return usage("--as-clients: %w", err)
	}
	defer file.Close()
	api, err := r.open()
	if err != nil {
		return err
	}
	p := startProgress(c.ErrOrStderr(), progressAfter, "waiting for the gateway at "+api.address)
	defer p.stop()
	o := &orphanList{r: r, c: c, api: api, table: newTable(c.OutOrStdout(), column{title: "HERE"}, column{title: "CLIENT_ID", whole: true})}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, maxExportLine)
	number := 0
	for lines.Scan() {
		number++
		id, err := exportedClientID(lines.Text())
		if err != nil {
			return usage("--as-clients: %s, line %d: %w", r.orphans, number, err)
		}
		if id == "" {
			continue
		}
		if o.ids = append(o.ids, id); len(o.ids) == registry.MaxOrphans {
			if err := o.ask(); err != nil {
				return err
			}
			p.say("%d clients looked up, %d of them not known here", o.looked, o.orphans)
		}
	}
	if err := lines.Err(); err != nil {
		return usage("--as-clients: %s, after line %d: %w", r.orphans, number, err)
	}
	if err := o.ask(); err != nil {
		return err
	}
	if !r.json {
		c.PrintErrf("%d clients: %d known here, %d the gateway's own, %d leaving, %d not known here\n", o.looked, o.known, o.own, o.leaving, o.orphans)
		if o.incomplete {
			c.PrintErrln("too much waits in the outbox to look at all of it: some of these may be on their way; run the command again later")
		}
	}
	if o.orphans > 0 {
		return fmt.Errorf("%d clients of the authorization server are not known here", o.orphans)
	}
	return nil
}

// exportedClientID is that of a line: the line itself, or client_id of a JSON object.
func exportedClientID(line string) (string, error) {
	line = strings.TrimSpace(line)
	if strings.HasPrefix(line, "[") {
		return "", errors.New("an array; write one client_id, or one JSON object, in each line (jq -c .[])")
	}
	if !strings.HasPrefix(line, "{") {
		return line, nil
	}
	var one struct {
		ClientID string `json:"client_id"`
	}
	if err := json.Unmarshal([]byte(line), &one); err != nil {
		return "", err
	}
	if one.ClientID == "" {
		return "", errors.New("client_id is missing")
	}
	return one.ClientID, nil
}

// orphanList asks about clients page by page.
type orphanList struct {
	r     *reconciling
	c     *cobra.Command
	api   *adminAPI
	table *table
	// ids are those of the next page.
	ids []string
	// looked is how many were asked about, and the others how many of them came out how.
	looked, known, own, leaving, orphans int
	incomplete                           bool
}

func (o *orphanList) ask() error {
	if len(o.ids) == 0 {
		return nil
	}
	answer, err := o.api.do(o.c.Context(), apiCall{method: http.MethodPost, path: "reconcile/orphans", query: o.r.query(), body: map[string][]string{"client_ids": o.ids}})
	if err != nil {
		return err
	}
	page, err := decode[registry.Orphans](answer)
	if err != nil {
		return err
	}
	o.looked, o.ids = o.looked+len(o.ids), o.ids[:0]
	o.known, o.own, o.leaving, o.orphans = o.known+page.Known, o.own+page.Own, o.leaving+len(page.Leaving), o.orphans+len(page.Unknown)+len(page.Deleted)
	o.incomplete = o.incomplete || !page.Complete
	if o.r.json {
		return printLines(o.c.OutOrStdout(), []json.RawMessage{answer.body})
	}
	var rows [][]string
	for _, some := range []struct {
		here string
		ids  []string
	}{{"unknown", page.Unknown}, {"deleted", page.Deleted}, {"leaving", page.Leaving}} {
		for _, id := range some.ids {
			rows = append(rows, []string{some.here, id})
		}
	}
	return o.table.print(rows)
}
