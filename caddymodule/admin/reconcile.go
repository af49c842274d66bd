package admin

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// Reconciliation is the one that runs or, when none does, the last one, with a page of what
// was found.
type Reconciliation struct {
	registry.Reconciliation
	Discrepancies []registry.Discrepancy `json:"discrepancies"`
	// Next is where the next page begins, empty at the end.
	Next string `json:"next,omitempty"`
}

// reconciliation shows it.
func (c *call) reconciliation() (any, error) {
	q, err := c.query(nil, "workspace", "cursor", "limit")
	if err != nil {
		return nil, err
	}
	workspace, err := c.workspace()
	if err != nil {
		return nil, err
	}
	n, err := limit(q["limit"])
	if err != nil {
		return nil, err
	}
	answer := Reconciliation{Discrepancies: []registry.Discrepancy{}}
	if answer.Reconciliation, err = c.registry.Reconciliation(c.r.Context(), workspace); err != nil {
		return nil, err
	}
	list, next, err := c.registry.ReconcileDiscrepancies(c.r.Context(), workspace, q["cursor"], n)
	answer.Discrepancies, answer.Next = append(answer.Discrepancies, list...), next
	return answer, err
}

// startReconciling starts one, or resumes one.
func (c *call) startReconciling() (any, error) {
	q, err := c.query(nil, "workspace", "repair", "force", "resume", "rate")
	if err != nil {
		return nil, err
	}
	workspace, err := c.workspace()
	if err != nil {
		return nil, err
	}
	var o registry.ReconcileOptions
	for name, to := range map[string]*bool{"repair": &o.Repair, "force": &o.Force, "resume": &o.Resume} {
		if value, given := q[name]; given && value != "true" && value != "false" {
			return nil, badRequest("%s: must be true or false", name)
		}
		*to = q[name] == "true"
	}
	if text, given := q["rate"]; given {
		if o.Rate, err = strconv.Atoi(text); err != nil || o.Rate < 1 {
			return nil, badRequest("rate: a number from 1 to %d", registry.MaxReconcileRate)
		}
	}
	if o.Act, err = c.said(); err != nil {
		return nil, err
	}
	if err := o.Check(); err != nil {
		return nil, badRequest("%w", err)
	}
	return c.registry.Reconcile(c.r.Context(), workspace, o)
}

// stopReconciling stops the one that runs.
func (c *call) stopReconciling() (any, error) {
	if _, err := c.query(nil, "workspace"); err != nil {
		return nil, err
	}
	workspace, err := c.workspace()
	if err != nil {
		return nil, err
	}
	act, err := c.said()
	if err != nil {
		return nil, err
	}
	return c.registry.StopReconciling(c.r.Context(), workspace, act)
}

// orphans tells which clients of the AS the registry does not have. It changes nothing.
func (c *call) orphans() (any, error) {
	if _, err := c.query(nil, "workspace"); err != nil {
		return nil, err
	}
	workspace, err := c.workspace()
	if err != nil {
		return nil, err
	}
	ids, err := c.clientIDs()
	if err != nil {
		return nil, err
	}
	return c.registry.Orphans(c.r.Context(), workspace, ids)
}

// maxClientIDs is what a body with client_ids may have.
const maxClientIDs = 512 << 10

// clientIDs are those that the body has.
func (c *call) clientIDs() ([]string, error) {
	const shape = `the body must be {"client_ids":["..."]}`
	if kind, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, failed(http.StatusUnsupportedMediaType, errors.New("Content-Type: send application/json"))
	}
	data, err := io.ReadAll(http.MaxBytesReader(nil, c.r.Body, maxClientIDs))
	if err != nil {
		return nil, badRequest("%s: %w", shape, err)
	}
	object, err := strictjson.Parse(data)
	if err != nil {
		return nil, badRequest("%s: %w", shape, err)
	}
	ids, ok, err := object.Strings("client_ids")
	switch {
	case err != nil:
		return nil, badRequest("%s: client_ids %w", shape, err)
	case !ok || len(object.Members()) != 1:
		return nil, badRequest("%s, and nothing else", shape)
	case len(ids) == 0 || len(ids) > registry.MaxOrphans:
		return nil, badRequest("client_ids: from 1 to %d", registry.MaxOrphans)
	}
	return ids, nil
}
