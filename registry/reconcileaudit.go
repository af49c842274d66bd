package registry

import (
	"maps"
	"time"
)

// AuditedReconciliation is what an AuditEntry has of a Reconciliation. The members are those of
// it; State and the counts are there at its end alone.
type AuditedReconciliation struct {
	Repair bool `json:"repair"`
	Force  bool `json:"force"`
	// Resumed: it goes on with one that has ended before its end.
	Resumed  bool           `json:"resumed"`
	State    string         `json:"state,omitempty"`
	Checked  int            `json:"checked,omitempty"`
	Counts   map[string]int `json:"counts,omitempty"`
	Repaired int            `json:"repaired,omitempty"`
	Rotated  int            `json:"rotated,omitempty"`
}

// auditReconciliation records that one begins, or that it has ended. act is that of the operator
// who has started it, or stopped it.
func (r *Registry) auditReconciliation(w Writer, change string, n *Reconciliation, act Act) error {
	ws, _ := r.attached(n.Workspace)
	at := r.now()
	audited := &AuditedReconciliation{Repair: n.Repair, Force: n.Force, Resumed: n.Resumed != 0}
	if change == AuditReconcileEnded {
		at = at.Add(time.Nanosecond) // after the entry of the start, also in the same moment
		audited.State, audited.Checked, audited.Counts, audited.Repaired, audited.Rotated = n.State, n.Checked, maps.Clone(n.Counts), n.Repaired, n.Rotated
	}
	return putAuditEntry(w, ws, &AuditEntry{At: at, Change: change, Workspace: n.Workspace, Reconciliation: audited, Act: act})
}
