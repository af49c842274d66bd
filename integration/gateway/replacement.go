package gateway

import (
	"fmt"
	"strings"
)

// Replacement changes one place of the example by its exact text. New code uses Edit.
type Replacement struct{ Old, New string }

// UnlimitedAnd is Unlimited with further lines, as a Replacement.
func UnlimitedAnd(lines ...string) Replacement {
	const begin = "\topenbanking_dcr default/obuk {\n"
	lines = append([]string{"rate_limit off", "fair_share off", "clients_per_software off", "bytes_per_organisation off"}, lines...)
	return Replacement{Old: begin, New: begin + "\t\t" + strings.Join(lines, "\n\t\t") + "\n"}
}

func (r Replacement) edit(caddyfile string) (string, error) {
	if n := strings.Count(caddyfile, r.Old); n != 1 {
		return "", fmt.Errorf("the Caddyfile holds %q %d times, not once", r.Old, n)
	}
	return strings.Replace(caddyfile, r.Old, r.New, 1), nil
}

// Edits are the replacements as edits.
func Edits(replacements []Replacement) (edits []Edit) {
	for _, r := range replacements {
		edits = append(edits, r.edit)
	}
	return edits
}
