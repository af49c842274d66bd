package admin

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/caddy-dcr/caddy-dcr/caddymodule"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/clientfile"
)

// jsonLines is the media type of a file of clients. No page of another site can send it without
// the leave of the server that is asked (CORS).
const jsonLines = "application/x-ndjson"

// export sends the clients as a file. Once it has begun there is no other way to say that it
// has failed than to cut the connection: the file has no end then, and no import takes it.
func (c *call) export(w http.ResponseWriter) error {
	q, err := c.query(nil, "workspace", "secrets")
	if err != nil {
		return err
	}
	o := registry.ClientExport{}
	switch q["secrets"] {
	case "", "none":
	case "sealed":
		o.Secrets = true
	default:
		return badRequest("secrets: must be sealed or none")
	}
	if err := c.filter(); err != nil {
		return withStatus(err)
	}
	if name := q["workspace"]; name != "" {
		o.Workspaces = []string{name}
	}
	act, err := c.said()
	if err != nil {
		return err
	}
	to := &streamWriter{w: w, contentType: jsonLines}
	clients, err := c.registry.Export(c.r.Context(), to, o)
	switch {
	case err == nil:
		operatorLog(act).Info("sent an export of clients", slog.Int("clients", clients), slog.Bool("secrets", o.Secrets))
		return nil
	case to.begun:
		operatorLog(act).Warn("cannot send the whole export of clients; no import takes what was sent", slog.Any("error", err))
		panic(http.ErrAbortHandler)
	case errors.Is(err, registry.ErrExportRunning):
		return failed(http.StatusConflict, err)
	}
	return withStatus(err)
}

// importClients checks a file of clients, and writes them if that is wanted. The body is the
// file, so that reason and operator are in the query.
func (c *call) importClients(w http.ResponseWriter) error {
	o, err := c.importOptions()
	if err != nil {
		return err
	}
	control := http.NewResponseController(w)
	report, err := c.app.Import(c.r.Context(), newPatientReader(c.r.Body, control), o)
	status, says := http.StatusOK, ""
	switch {
	case errors.Is(err, registry.ErrImportFaults):
		status, says = http.StatusUnprocessableEntity, err.Error()
	case err != nil:
		return importFailure(err)
	}
	if err := control.SetWriteDeadline(time.Now().Add(backupPatience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if o.Write && status == http.StatusOK {
		operatorLog(o.Act).Info("imported a file of clients", slog.String("import", report.ID), slog.Int("written", report.Written))
		c.app.Emit(caddymodule.EventImported, map[string]any{"import": report.ID, "clients": report.Clients, "written": report.Written, "conflicts": report.Conflicts})
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	return writeJSON(w, struct {
		Error string `json:"error,omitempty"`
		*registry.ImportReport
	}{says, report})
}

// importOptions are what an import was asked for. Nothing is written unless that is said.
func (c *call) importOptions() (o caddymodule.ImportOptions, err error) {
	q, err := c.query(nil, "workspace", "dry_run", "reason", "operator", "local_user")
	if err != nil {
		return o, err
	}
	switch q["dry_run"] {
	case "", "true":
	case "false":
		o.Write = true
	default:
		return o, badRequest("dry_run: must be true or false")
	}
	if err := c.filter(); err != nil {
		return o, withStatus(err)
	}
	if kind, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type")); err != nil || kind != jsonLines {
		return o, failed(http.StatusUnsupportedMediaType, errors.New("Content-Type: send a file of clients as "+jsonLines))
	}
	if c.r.Header.Get("Content-Encoding") != "" {
		return o, failed(http.StatusUnsupportedMediaType, errors.New("Content-Encoding: send the file as it is, without this header"))
	}
	if c.r.ContentLength > clientfile.MaxFile {
		return o, failed(http.StatusRequestEntityTooLarge, clientfile.ErrTooLarge)
	}
	o.Workspace = q["workspace"]
	if !o.Write {
		return o, nil
	}
	o.Act.Reason = q["reason"]
	if o.Act.Operator, err = c.operator(q["operator"], q["local_user"]); err != nil {
		return o, err
	}
	if err := o.Act.Check(); err != nil {
		return o, badRequest("%w", err)
	}
	return o, nil
}

// importFailure is the answer to an import that has not come to a report.
func importFailure(err error) error {
	for status, known := range map[int][]error{
		http.StatusConflict:              {caddymodule.ErrImportBusy, registry.ErrImportRunning, registry.ErrImportUndoing},
		http.StatusBadRequest:            {clientfile.ErrNoClients, clientfile.ErrNewer, registry.ErrSealedElsewhere, io.ErrUnexpectedEOF},
		http.StatusRequestTimeout:        {errStalled},
		http.StatusRequestEntityTooLarge: {clientfile.ErrTooLarge},
		http.StatusInsufficientStorage:   {caddymodule.ErrNoRoom},
	} {
		for _, one := range known {
			if errors.Is(err, one) {
				return failed(status, err)
			}
		}
	}
	return withStatus(err)
}

// imports lists the imports that were begun.
func (c *call) imports() (any, error) {
	q, err := c.query(nil, "cursor", "limit")
	if err != nil {
		return nil, err
	}
	n, err := limit(q["limit"])
	if err != nil {
		return nil, err
	}
	list, next, err := c.registry.ImportRecords(c.r.Context(), q["cursor"], n)
	return page{Entries: nonNil(list), Next: next}, err
}

func (c *call) importRecord() (any, error) {
	if _, err := c.query(nil); err != nil {
		return nil, err
	}
	m, tag, err := c.registry.ImportRecord(c.r.Context(), c.path["id"])
	if err != nil {
		return nil, err
	}
	c.tag = tag
	proposals, err := c.registry.ImportProposals(c.r.Context(), m.ID)
	return struct {
		*registry.ImportRecord
		// Proposals are the changes that wait for another operator.
		Proposals []registry.Proposal `json:"proposals"`
	}{m, nonNil(proposals)}, err
}

// undoImport takes back what an import has written.
func (c *call) undoImport() (any, error) {
	if _, err := c.query(nil); err != nil {
		return nil, err
	}
	act, err := c.act()
	if err != nil {
		return nil, err
	}
	if !slices.Contains(c.app.FourEyes, c.way.fourEyes) { // it also ends the suspensions that the import has made
		way := *c.way
		c.way, way.fourEyes = &way, registry.FourEyesResume
	}
	act, proposal, err := c.confirmed(registry.Suspension{Kind: registry.ProposalOfImport, Value: c.path["id"]}, act)
	if err != nil || proposal != nil {
		return proposal, err
	}
	m, err := c.registry.UndoImport(c.r.Context(), c.path["id"], act)
	if err != nil {
		if errors.Is(err, registry.ErrImportRunning) {
			return nil, failed(http.StatusConflict, err)
		}
		return nil, err
	}
	c.app.Emit(caddymodule.EventImportUndone, map[string]any{"import": m.ID, "undone": m.Undone, "kept": m.Kept})
	return c.importRecord()
}

// importTime is how long a whole file may take to come: 1 GiB at 300 kB a second.
const importTime = time.Hour

var errStalled = fmt.Errorf("the file did not arrive in time (each part within %v, all of it within %v), and nothing was imported: send it again, from a place nearer to the gateway if the network is slow", backupPatience, importTime)

// patientReader gives each part of a body, and the whole, the time that it may take to come.
type patientReader struct {
	body    io.Reader
	control *http.ResponseController
	until   time.Time
}

func newPatientReader(body io.Reader, control *http.ResponseController) *patientReader {
	return &patientReader{body, control, time.Now().Add(importTime)}
}

func (p *patientReader) Read(part []byte) (int, error) {
	deadline := time.Now().Add(backupPatience)
	if deadline.After(p.until) {
		deadline = p.until
	}
	err := p.control.SetReadDeadline(deadline)
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	n, err := p.body.Read(part)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("%w: %w", errStalled, err)
	}
	return n, err
}
