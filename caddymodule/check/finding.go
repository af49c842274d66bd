// Package check says what is wrong or weak in a configuration before it goes live. The
// table Checks has everything that is looked at. Nothing is started, the store is neither
// opened nor made, and without Options.Live nothing goes over the network.
package check

import (
	"cmp"
	"slices"
)

// Severity is how much a finding matters.
type Severity string

// Severities, the worst first.
const (
	// Error is what does not work, or gives a protection away that nobody can mean to.
	Error Severity = "error"
	// Warning is what may be meant, and rarely is.
	Warning Severity = "warning"
	// Note is what an operator should know.
	Note Severity = "note"
)

// Severities are all, in the order in which findings are listed.
var Severities = []Severity{Error, Warning, Note}

// Finding is one thing that a check has found. None of its texts has a secret.
type Finding struct {
	// Check is the name of the check, which stays the same over versions.
	Check    string   `json:"check"`
	Severity Severity `json:"severity"`
	// Workspace and Site are whose it is; empty where it is about all of them. Site are the
	// hosts of the site's address.
	Workspace string `json:"workspace,omitempty"`
	Site      string `json:"site,omitempty"`
	// Directive is the Caddyfile's word, Place the path in the configuration as the admin API
	// and caddy adapt show it. One of the two may be empty.
	Directive string `json:"directive,omitempty"`
	Place     string `json:"place,omitempty"`
	// Found is what was found, Details each of several things of it.
	Found   string   `json:"found"`
	Details []string `json:"details,omitempty"`
	// Why is why it matters, Write what to write or to do.
	Why   string `json:"why"`
	Write string `json:"write"`
}

// Report is what came of all checks.
type Report struct {
	// Findings are in the order of Severities, then by workspace and check.
	Findings []Finding
	// Checked is how many checks of Total could be made. LeftOut says of the others how many
	// there are and why.
	Checked, Total int
	LeftOut        []LeftOut
}

// LeftOut is how many checks were not made, and why.
type LeftOut struct {
	Count  int
	Reason string
}

// Count is how many findings there are of a severity.
func (r *Report) Count(s Severity) (n int) {
	for _, f := range r.Findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}

// sort puts the worst first, before all that the configuration does not load, and those of
// one workspace together.
func (r *Report) sort() {
	rank := func(f Finding) int {
		if f.Check == loads {
			return -1
		}
		return slices.Index(Severities, f.Severity)
	}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Workspace, b.Workspace))
	})
}
