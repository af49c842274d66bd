package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

var scans = []test{
	{"prefix, after, limit and order", scanTable},
	{"pages add up to the whole", scanPages},
}

// scan returns "key=value" of every entry found.
func scan(t *testing.T, s registry.Store, prefix, after string, limit int) []string {
	t.Helper()
	var found []string
	err := s.View(t.Context(), func(r registry.Reader) error {
		entries, err := r.Scan(prefix, after, limit)
		if err != nil {
			return err
		}
		var scanned []string
		found = nil
		for _, e := range entries {
			scanned = append(scanned, e.Key)
			found = append(found, e.Key+"="+string(e.Value))
		}
		keys, err := r.Keys(prefix, after, limit)
		if !slices.Equal(keys, scanned) {
			t.Errorf("keys of %q after %q: got %q, want those of the scan, %q", prefix, after, keys, scanned)
		}
		return err
	})
	if err != nil {
		t.Fatalf("scan %q after %q: %v", prefix, after, err)
	}
	return found
}

func scanTable(t *testing.T, s registry.Store) {
	if found := scan(t, s, "", "", 10); len(found) != 0 {
		t.Errorf("an empty store has %q", found)
	}
	// Written in no order, some changed and some gone again.
	mustPut(t, s, "b/2", "2", "c", "c", "b", "b", "b/1", "0", "b/", "slash", "b/10", "10", "a", "a", "b/3", "3")
	mustPut(t, s, "b/\xff\xff", "last", "b/1", "1", "b0", "b0", "\xff", "end")
	update(t, s, func(w registry.Writer) error { return errors.Join(w.Delete("b/3"), w.Delete("nothing")) })

	all := []string{"a=a", "b=b", "b/=slash", "b/1=1", "b/10=10", "b/2=2", "b/\xff\xff=last", "b0=b0", "c=c", "\xff=end"}
	for _, c := range []struct {
		name, prefix, after string
		limit               int
		want                []string
	}{
		{"everything", "", "", 100, all},
		{"a prefix, and the entry that equals it", "b/", "", 100, all[2:7]},
		{"a prefix that is no separator", "b", "", 100, all[1:8]},
		{"the limit", "b/", "", 2, all[2:4]},
		{"exactly the limit", "b/", "", 5, all[2:7]},
		{"no limit is none", "b/", "", 0, nil},
		{"after an entry", "b/", "b/1", 100, all[4:7]},
		{"after the entry that equals the prefix", "b/", "b/", 100, all[3:7]},
		{"after a key that is not there", "b/", "b/11", 100, all[5:7]},
		{"after a deleted key", "b/", "b/3", 100, all[6:7]},
		{"after and limit", "b/", "b/", 2, all[3:5]},
		{"after the last", "b/", "b/\xff\xff", 100, nil},
		{"after what lies before the prefix", "b/", "a", 100, all[2:7]},
		{"after what lies behind the prefix", "b/", "c", 100, nil},
		{"a prefix of the highest byte", "\xff", "", 100, all[9:]},
		{"a prefix of nothing", "b/4", "", 100, nil},
	} {
		if got := scan(t, s, c.prefix, c.after, c.limit); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func scanPages(t *testing.T, s registry.Store) {
	const count, perPage = 157, 10
	var want []string
	for i := range count {
		key := fmt.Sprintf("page/%04d", i*7919%10000)
		mustPut(t, s, key, "value", "other/"+key, "not listed")
		want = append(want, key+"=value")
	}
	slices.Sort(want)
	var got []string
	for after := ""; ; {
		page := scan(t, s, "page/", after, perPage)
		got = append(got, page...)
		if len(page) < perPage {
			break
		}
		last := page[len(page)-1]
		after = last[:len(last)-len("=value")]
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d entries in pages, want %d", len(got), len(want))
	}
}
