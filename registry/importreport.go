package registry

import "github.com/caddy-dcr/caddy-dcr/verify/refusal"

// ImportProblem is something about one line.
type ImportProblem struct {
	Line     int    `json:"line"`
	ClientID string `json:"client_id,omitempty"`
	Problem  string `json:"problem"`
}

// maxProblems is how many problems a report has of each kind.
const maxProblems = 100

// ImportReport is what an import would do, or has done.
type ImportReport struct {
	// ID is the import's: the same file has the same.
	ID string `json:"id"`
	// State is checked, or that of the ImportRecord.
	State string `json:"state"`
	// Clients is how many the file has: New are not registered here yet, Present are, with the
	// same content, Imported this import has written before.
	Clients  int `json:"clients"`
	New      int `json:"new"`
	Present  int `json:"already_there"`
	Imported int `json:"imported_before"`
	// Of those that are new: Native authenticate at the AS themselves, Bridge at the gateway
	// alone; Suspended are suspended with the import.
	Native    int `json:"native"`
	Bridge    int `json:"bridge"`
	Suspended int `json:"suspended"`
	// WithoutCertificate cannot manage their registrations, because neither certificate nor DN is
	// known; WithoutToken cannot be changed at the AS, because it has given no registration
	// access token for them.
	WithoutCertificate int `json:"without_certificate"`
	WithoutToken       int `json:"without_registration_access_token"`
	// Written is how many were written, Conflicts how many not, because somebody else has taken
	// their client_id since the file was checked.
	Written   int `json:"written"`
	Conflicts int `json:"conflicts"`
	// Errors keep the file from being imported, Warnings do not. At most 100 of each are here.
	ErrorCount   int             `json:"error_count"`
	Errors       []ImportProblem `json:"errors"`
	WarningCount int             `json:"warning_count"`
	Warnings     []ImportProblem `json:"warnings"`
}

func (p *ImportReport) fault(line int, clientID, problem string) {
	if p.ErrorCount++; len(p.Errors) < maxProblems {
		p.Errors = append(p.Errors, ImportProblem{line, shortID(clientID), problem})
	}
}

func (p *ImportReport) warning(line int, clientID, problem string) {
	if p.WarningCount++; len(p.Warnings) < maxProblems {
		p.Warnings = append(p.Warnings, ImportProblem{line, shortID(clientID), problem})
	}
}

// shortID is a client_id as a report has it.
func shortID(id string) string { return refusal.ForLog(id) }
