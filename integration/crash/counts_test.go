package crash_test

import (
	"encoding/json"
	"net/url"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

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
			t.Errorf("%s: %s, %v", key, value, err)
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
