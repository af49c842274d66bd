package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// importing are the flags of caddy dcr import.
type importing struct {
	changing
	write bool
	undo  string
	list  bool
}

func importClients() *cobra.Command {
	var i importing
	c := &cobra.Command{
		Use:   "import <file>",
		Short: "Checks a file of clients, and registers them",
		Long: `Checks a file of clients: those of caddy dcr export, or those that the authorization
server had before the gateway; docs/import.md says what is in it. Nothing is written
without --write. With it the whole file is checked again first, and nothing is written if
a line has an error.

The first line of the file is the header, and each further line is one client, in JSON:
  {"format":"openbanking_dcr_clients","version":1}
  {"client_id":"a","software_id":"b","org_id":"c","directory":"OpenBanking Ltd","metadata":{...}}

directory is the iss of the software statement. metadata is that of RFC 7591, with the
token_endpoint_auth_method and what belongs to it, such as tls_client_auth_subject_dn.

Nothing changes at the authorization server. From the import on the gateway guards the
clients: they must authenticate as the file says.

An import that ends early goes on when the same file is imported again. --undo takes back
what an import has written, but for clients that have changed since. --list shows the
imports that were begun.`,
		Example: `  caddy dcr import clients.jsonl
  caddy dcr import clients.jsonl --write --reason "they were at the server before"
  caddy dcr import --list
  caddy dcr import --undo PmAiCIFexWniHtZJLQ4b --reason "wrong file"`,
		Args: func(c *cobra.Command, args []string) error {
			if i.undo != "" || i.list {
				return noArguments(c, args)
			}
			return oneArgument("the file of clients")(c, args)
		},
		RunE: i.start,
	}
	i.runningGateway.flags(c)
	i.act.flags(c, "")
	c.Flags().StringVar(&i.workspace, "workspace", "", "the workspace of lines that name none; needed where the gateway has several")
	completeFlag(c, "workspace", completions(completeWorkspaces).from(&i.runningGateway))
	c.Flags().BoolVar(&i.write, "write", false, "import the clients; default: only check the file")
	c.Flags().StringVar(&i.undo, "undo", "", "take back what an import has written: its id")
	c.Flags().BoolVar(&i.list, "list", false, "list the imports that were begun")
	jsonFlag(c, &i.json)
	return c
}

// start does what the flags ask for.
func (i *importing) start(c *cobra.Command, args []string) error {
	switch {
	case i.list && (i.write || i.undo != ""):
		return usage("--list changes nothing: give it without --write and --undo")
	case i.list:
		return printList(c, &listing{runningGateway: i.runningGateway, limit: 1, all: true, json: i.json}, list[registry.ImportRecord]{
			what: "imports", path: "imports", columns: importColumns, row: importRow,
		})
	case i.undo != "":
		return i.undoImport(c)
	}
	return i.run(c, args[0])
}

// importPatience is how long the gateway may check or write a file.
const importPatience = 2 * time.Hour

func (i *importing) run(c *cobra.Command, name string) error {
	query := url.Values{"dry_run": {"true"}}
	if i.workspace != "" {
		query.Set("workspace", i.workspace)
	}
	if i.write {
		said, err := i.body()
		if err != nil {
			return err
		}
		for member, text := range said {
			query.Set(member, text)
		}
	}
	file, err := os.Open(name)
	if err != nil {
		return wrongUse(err)
	}
	defer file.Close()
	api, err := i.open()
	if err != nil {
		return err
	}
	if t, ok := api.client.Transport.(*http.Transport); ok {
		t.ResponseHeaderTimeout = importPatience
	}
	report, answer, err := i.send(c, api, file, query, "")
	if err != nil {
		return err
	}
	if report.ErrorCount == 0 && i.write {
		query.Set("dry_run", "false")
		warnings := *report
		if report, answer, err = i.send(c, api, file, query, report.ID); err != nil {
			return err
		}
		report.Warnings, report.WarningCount = warnings.Warnings, warnings.WarningCount
	}
	if i.json {
		err = printDocument(c.OutOrStdout(), answer.body)
	} else {
		err = printImport(c.OutOrStdout(), report, i.write)
	}
	if err == nil && report.ErrorCount > 0 {
		err = fmt.Errorf("%s has %s, and nothing of it was imported: correct the lines, and run this again", name, count(report.ErrorCount, "error", "errors"))
	}
	return err
}

// send sends the file, and says how far the gateway is. id is the import's once it is known.
func (i *importing) send(c *cobra.Command, api *adminAPI, file *os.File, query url.Values, id string) (*registry.ImportReport, *apiAnswer, error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, nil, err
	}
	p := startProgress(c.ErrOrStderr(), progressAfter, "the gateway checks the file")
	defer p.stop()
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	if id != "" {
		go sayWritten(ctx, api, p, id)
	}
	answer, err := api.do(ctx, apiCall{method: http.MethodPost, path: "import", query: query, file: file, patience: importPatience})
	switch {
	case errors.Is(err, errInterrupted) && id == "":
		err = errors.New("interrupted: nothing was imported")
	case errors.Is(err, errInterrupted):
		err = fmt.Errorf("interrupted: the import %s may be written in part; run this again, and it goes on, or take it back with caddy dcr import --undo %s", id, id)
	}
	if err != nil {
		return nil, nil, err
	}
	report, err := decode[registry.ImportReport](answer)
	return &report, answer, err
}

// sayWritten asks how many clients are written, until the import has ended.
func sayWritten(ctx context.Context, api *adminAPI, p *progress, id string) {
	ticks := time.NewTicker(progressAfter)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		if m, _, err := get[registry.ImportRecord](ctx, api, apiPath("imports", id), nil); err == nil && m.State == registry.ImportWriting {
			p.say("%d of %d clients are written", m.Written, m.Clients)
		}
	}
}

// undoImport takes an import back.
func (i *importing) undoImport(c *cobra.Command) error {
	if i.write {
		return usage("--undo and --write: give one of them")
	}
	i.workspace = "" // an import may be of several
	return i.changing.run(c, change{
		resource: apiPath("imports", i.undo), action: "undo",
		describe: func(resource json.RawMessage) (string, error) {
			m, err := decode[registry.ImportRecord](&apiAnswer{body: resource})
			return fmt.Sprintf("undo the import %s of %s, which has written %d clients", m.ID, timeText(time.Unix(m.Began, 0)), m.Written), err
		},
		show: showImport, result: func(answer json.RawMessage) (string, error) {
			m, err := decode[registry.ImportRecord](&apiAnswer{body: answer})
			return fmt.Sprintf("undone: %d clients were removed (caddy dcr audit list has them), %d kept because they have changed since", m.Undone, m.Kept), err
		},
	})
}

var importColumns = []column{{title: "IMPORT", whole: true}, {title: "STATE", whole: true}, {title: "BEGAN", whole: true}, {title: "CLIENTS"}, {title: "WRITTEN"}, {title: "UNDONE"}, {title: "OPERATOR"}, {title: "REASON", wraps: true}}

func importRow(m registry.ImportRecord) []string {
	return []string{m.ID, m.State, secondsText(m.Began), strconv.Itoa(m.Clients), strconv.Itoa(m.Written), strconv.Itoa(m.Undone), m.Operator.Name, m.Reason}
}

func showImport(out io.Writer, resource json.RawMessage, tag string) error {
	m, err := decode[struct {
		registry.ImportRecord
		Proposals []registry.Proposal `json:"proposals"`
	}](&apiAnswer{body: resource})
	if err != nil {
		return err
	}
	d := details{out: out}
	d.value("id", m.ID)
	d.value("state", m.State)
	d.value("clients", m.Clients)
	d.value("written", m.Written)
	d.value("undone", m.Undone)
	d.value("kept", m.Kept)
	d.value("began", secondsText(m.Began))
	d.value("ended", secondsText(m.Ended))
	d.value("etag", tag)
	if err := d.section("Proposals", rowsOf(m.Proposals, proposalRow), proposalColumns...); err != nil {
		return err
	}
	return d.flush()
}

// printImport prints a report.
func printImport(out io.Writer, r *registry.ImportReport, write bool) error {
	d := details{out: out}
	d.value("import", r.ID)
	d.value("clients in the file", r.Clients)
	for _, n := range []struct {
		name  string
		count int
	}{
		{"already there", r.Present}, {"imported before", r.Imported}, {"new", r.New}, {"  native", r.Native}, {"  bridge", r.Bridge}, {"  suspended", r.Suspended},
		{"  without certificate", r.WithoutCertificate}, {"  without token", r.WithoutToken}, {"conflicts", r.Conflicts}, {"errors", r.ErrorCount}, {"warnings", r.WarningCount},
	} {
		if n.count > 0 {
			d.value(n.name, n.count)
		}
	}
	if write && r.ErrorCount == 0 {
		d.value("written", r.Written)
	} else if r.ErrorCount == 0 {
		d.value("guarded from then on", fmt.Sprintf("%d clients; nothing was written, --write imports them", r.New))
	}
	columns := []column{{title: "LINE", whole: true}, {title: "CLIENT_ID"}, {title: "PROBLEM", wraps: true}}
	row := func(p registry.ImportProblem) []string {
		return []string{strconv.Itoa(p.Line), p.ClientID, p.Problem}
	}
	if err := d.section("Errors", rowsOf(r.Errors, row), columns...); err != nil {
		return err
	}
	if err := d.section("Warnings", rowsOf(r.Warnings, row), columns...); err != nil {
		return err
	}
	return d.flush()
}
