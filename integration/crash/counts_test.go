package crash_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/registry"
)

// backlogIsCounted holds what the running gateway counts in memory, which was begun in
// its last start, against a scan of its store. Both are asked until nothing changes in between.
func (b *bank) backlogIsCounted(t *testing.T) {
	t.Helper()
	err := story.Eventually(t.Context(), recovered, func() error {
		listed, err := b.admin(t.Context(), "backlog")
		if err != nil {
			return err
		}
		var scanned struct {
			Entries []registry.Backlog `json:"entries"`
		}
		if err := json.Unmarshal(listed.Body, &scanned); err != nil || len(scanned.Entries) == 0 {
			return fmt.Errorf("%s: %w", listed.Body, cmp.Or(err, errors.New("no workspace")))
		}
		metrics, err := b.atAdmin(t.Context(), "/metrics")
		if err != nil {
			return err
		}
		var wrong []error
		for _, s := range scanned.Entries {
			lines := []string{fmt.Sprintf("outbox_entries{workspace=%q} %d", s.Workspace, s.Waiting)}
			for kind, n := range s.Discrepancies {
				lines = append(lines, fmt.Sprintf("discrepancies{kind=%q,workspace=%q} %d", kind, s.Workspace, n))
			}
			for _, line := range lines {
				if !strings.Contains(string(metrics.Body), "caddy_openbanking_dcr_"+line+"\n") {
					wrong = append(wrong, fmt.Errorf("a scan finds %s, which is not among the metrics", line))
				}
			}
		}
		return errors.Join(wrong...)
	})
	if err != nil {
		t.Error(err)
	}
}

// countsHold holds the number of clients that the registry has of each software against
// its clients, whatever was cut.
func (b *bank) countsHold(t *testing.T) {
	t.Helper()
	there := map[string]int{}
	for _, record := range b.made {
		var c registry.Client
		if err := json.Unmarshal(record, &c); err != nil {
			t.Fatalf("record %.300s: %v", record, err)
		}
		there["software/"+url.PathEscape(c.Workspace)+"/"+url.PathEscape(c.Directory)+"/"+c.SoftwareID]++
	}
	for key, value := range b.counts {
		var s struct {
			Clients int   `json:"clients"`
			Issued  int64 `json:"issued"`
		}
		if err := json.Unmarshal(value, &s); err != nil || s.Issued == 0 {
			t.Errorf("%s: got %s, %v, want issued above 0", key, value, err)
		}
		if s.Clients != there[key] {
			t.Errorf("%s: %d clients are counted, %d are there", key, s.Clients, there[key])
		}
		delete(there, key)
	}
	if len(b.counts) == 0 || len(there) > 0 {
		t.Errorf("%d records of software, and none of the clients of %v", len(b.counts), there)
	}
}
