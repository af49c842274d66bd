package registry

import (
	"fmt"
	"testing"
)

// TestKeptSetsAreBounded: with as many sets as there may be, or as large ones, none goes for
// one more. Above a bound the oldest goes.
func TestKeptSetsAreBounded(t *testing.T) {
	const own = "own"
	each := func(i int) string { return fmt.Sprint("org", i) }
	ofOne := func(int) string { return own }
	for name, c := range map[string]struct {
		before       int // sets that are there
		size         int // of each, and of the one that comes
		software     bool
		organisation func(i int) string
		gone         int
	}{
		"4096 of all":                    {4095, 1, true, each, 0},
		"4097 of all":                    {4096, 1, true, each, 1},
		"64 MiB of all":                  {1023, 64 << 10, true, each, 0},
		"64 MiB and a set more":          {1024, 64 << 10, true, each, 1},
		"64 of one":                      {63, 1, true, ofOne, 0},
		"65 of one":                      {64, 1, true, ofOne, 1},
		"1 MiB of one":                   {15, 64 << 10, true, ofOne, 0},
		"1 MiB of one and a set more":    {16, 64 << 10, true, ofOne, 1},
		"256 of configured addresses":    {255, 1, false, ofOne, 0},
		"257 of configured addresses":    {256, 1, false, ofOne, 1},
		"one update deletes 63, not 136": {200, 1, true, ofOne, 63},
	} {
		s := keptSets{sets: map[string]keptSet{}}
		for i := range c.before {
			s.sets[fmt.Sprint(i)] = keptSet{software: c.software, organisation: c.organisation(i), size: c.size, fetched: int64(i), until: 1e9}
		}
		gone := s.over("new", keptSet{software: c.software, organisation: own, size: c.size, fetched: 1e6, until: 1e9}, 1e6)
		if len(gone) != c.gone || c.gone > 0 && gone[0] != "0" {
			t.Errorf("%s: %.5q go, want %d, the oldest first", name, gone, c.gone)
		}
	}
}
