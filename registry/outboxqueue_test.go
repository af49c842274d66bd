package registry

import (
	"fmt"
	"testing"
)

// TestOutboxQueueIsBounded: 64 entries of a group are queued, and 4096 of all. What is more
// waits in the store.
func TestOutboxQueueIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		group func(i int) string
		most  int
	}{
		"of one group": {func(int) string { return "group" }, 64},
		"of all":       {func(i int) string { return fmt.Sprint("group", i/64) }, 4096},
		"of all, each": {func(i int) string { return fmt.Sprint("group", i) }, 4096},
	} {
		q := newOutboxQueue(nil, nil)
		q.workers = outboxWorkers // so that none takes anything
		for i := range c.most {
			q.offer(c.group(i), fmt.Sprint("key", i))
		}
		if len(q.known) != c.most || q.missed {
			t.Errorf("%s: %d queued, more waits: %v, want %d, false", name, len(q.known), q.missed, c.most)
		}
		q.offer(c.group(c.most), "one more")
		if len(q.known) != c.most || !q.missed {
			t.Errorf("%s, one more: %d queued, more waits: %v, want %d, true", name, len(q.known), q.missed, c.most)
		}
	}
}
