package registry

import (
	"fmt"
	"testing"
)

// TestExplanationGroups: senders share 64 groups, strangers have one more, and of each four
// explanations wait.
func TestExplanationGroups(t *testing.T) {
	x := newExplanations()
	strangers, groups := x.group(""), map[int]bool{}
	for i := range 10_000 {
		groups[x.group(fmt.Sprint("sender", i))] = true
	}
	if len(groups) != 64 || groups[strangers] {
		t.Errorf("%d groups, that of strangers among them: %v, want 64, false", len(groups), groups[strangers])
	}
	for _, group := range []int{0, strangers} {
		for i := range 6 {
			if got, want := x.take(group), i < 4; got != want {
				t.Errorf("explanation %d of group %d may wait: %v, want %v", i+1, group, got, want)
			}
		}
	}
}
