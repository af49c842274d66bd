package crash_test

import (
	"encoding/json"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// trailHolds holds the audit trail against the registry's clients, whatever was cut: who
// is there was registered once and not deleted, who is gone was both, and nobody is
// changed without an entry, or has one of a change that was not made.
func (b *bank) trailHolds(t *testing.T) {
	t.Helper()
	changes := map[string]map[string]int{} // by registration
	for _, value := range b.trail {
		var e registry.AuditEntry
		if err := json.Unmarshal(value, &e); err != nil || e.Registration == "" {
			t.Fatalf("entry %s: %v", value, err)
		}
		if changes[e.Registration] == nil {
			if e.Change != registry.AuditRegistered { // they are in the order of time
				t.Errorf("the first that the trail has of a client is %s", value)
			}
			changes[e.Registration] = map[string]int{}
		}
		changes[e.Registration][e.Change]++
	}
	if len(b.trail) == 0 {
		t.Error("the audit trail is empty")
	}
	there := map[string]bool{}
	for _, record := range b.made {
		var c registry.Client
		if err := json.Unmarshal(record, &c); err != nil {
			t.Fatalf("record %.300s: %v", record, err)
		}
		there[c.ID] = true
		if n := changes[c.ID]; n[registry.AuditRegistered] != 1 || n[registry.AuditDeleted] > 0 || (n[registry.AuditUpdated] > 0) != (c.UpdatedAt > 0) {
			t.Errorf("client %s, updated %d, has in the trail %v", c.ClientID, c.UpdatedAt, n)
		}
	}
	for id, n := range changes {
		if !there[id] && (n[registry.AuditRegistered] != 1 || n[registry.AuditDeleted] != 1) {
			t.Errorf("registration %s is gone, and has in the trail %v", id, n)
		}
	}
	t.Logf("the trail has %d entries of %d clients, %d of them are there", len(b.trail), len(changes), len(there))
}
