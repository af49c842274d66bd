package admin

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDocumented: every call is documented, and no other.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([A-Z]+) /openbanking_dcr/([a-z_./{}]+)` \\|").FindAllStringSubmatch(string(text), -1) {
		documented = append(documented, m[1]+" "+m[2])
	}
	slices.Sort(documented)
	if served := names(); !slices.Equal(documented, served) {
		t.Errorf("documented are\n%s\nserved are\n%s", strings.Join(documented, "\n"), strings.Join(served, "\n"))
	}
}

// names are the calls that there are, sorted.
func names() (all []string) {
	for _, way := range routes {
		all = append(all, way.method+" "+way.path)
	}
	slices.Sort(all)
	return all
}
