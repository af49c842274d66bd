package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// maxAudit bounds a copy of the audit trail, in bytes: half a million changes.
const maxAudit = 256 << 20

// readAudit reads a copy of the audit trail: entries one after the other, or pages of them
// as the admin API answers them, without those of other changes than tellLaterChanges names.
func readAudit(name string) (entries []registry.AuditEntry, err error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	limited := &io.LimitedReader{R: file, N: maxAudit + 1}
	for d := json.NewDecoder(limited); ; {
		var page struct {
			registry.AuditEntry
			Entries []registry.AuditEntry `json:"entries"`
		}
		err := d.Decode(&page)
		switch {
		case limited.N <= 0:
			return nil, fmt.Errorf("%s is longer than %d bytes: give the part after the backup", name, maxAudit)
		case errors.Is(err, io.EOF):
			return entries, nil
		case err != nil:
			return nil, fmt.Errorf("%s is no audit trail in JSON: %w", name, err)
		case page.Change == "" && page.Entries == nil:
			return nil, fmt.Errorf("%s is no audit trail in JSON: an object has neither change nor entries", name)
		}
		if page.Change != "" {
			page.Entries = append(page.Entries, page.AuditEntry)
		}
		for _, e := range page.Entries {
			switch e.Change {
			case registry.AuditSuspended, registry.AuditResumed, registry.AuditDeleted, registry.AuditApproved, registry.AuditRefused:
				entries = append(entries, e)
			}
		}
	}
}

// tellLaterChanges names what operators have suspended, resumed, deleted, approved or refused
// after a time, each as it was at last. A client may be approved and suspended.
func tellLaterChanges(out io.Writer, entries []registry.AuditEntry, since time.Time) error {
	slices.SortStableFunc(entries, func(a, b registry.AuditEntry) int { return a.At.Compare(b.At) })
	last, listed := map[string]registry.AuditEntry{}, map[string]bool{}
	var order []string
	for _, e := range entries {
		if !e.At.After(since) {
			continue
		}
		about := subjectOf(e)
		switch e.Change {
		case registry.AuditApproved:
			about += ofApproval
		case registry.AuditDeleted, registry.AuditRefused:
			delete(last, about+ofApproval)
		}
		if !listed[about] {
			listed[about] = true
			order = append(order, about)
		}
		last[about] = e
	}
	told := false
	for _, about := range order {
		e, ok := last[about]
		if !ok {
			continue
		}
		if !told {
			told = true
			if _, err := fmt.Fprintln(out, "\nThe audit trail has these changes after the backup. Make them again:"); err != nil {
				return err
			}
		}
		line := fmt.Sprintf("  %s  %-9s  %s", e.At.UTC().Format(time.RFC3339), e.Change, strings.TrimSuffix(about, ofApproval))
		if e.Reason != "" {
			line += ": " + refusal.Quote(e.Reason)
		}
		if _, err := fmt.Fprintln(out, visible(line)); err != nil {
			return err
		}
	}
	return nil
}

// ofApproval tells an approval of a client from what else was done to it.
const ofApproval = "\x00"

// subjectOf names what an entry is about.
func subjectOf(e registry.AuditEntry) string {
	parts := []string{"workspace " + e.Workspace}
	switch {
	case e.ClientID != "":
		parts = append(parts, "client "+refusal.Quote(e.ClientID))
	case e.SoftwareID != "":
		parts = append(parts, "software "+refusal.Quote(e.SoftwareID))
	case e.OrgID != "":
		parts = append(parts, "organisation "+refusal.Quote(e.OrgID))
	case e.Directory != "":
		parts = append(parts, "directory "+refusal.Quote(e.Directory))
	}
	return strings.Join(parts, ", ")
}
