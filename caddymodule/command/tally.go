package command

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/caddymodule/policycases"
)

// tally counts what came of cases.
type tally struct {
	cases, failed int
	// policies have been asked, and of others nothing could be asked.
	policies map[string]bool
	unasked  int
	// faults are files and folders that nothing reads, untested the policies in languages
	// that are not in this build.
	faults   int
	untested map[string]int
}

func (t *tally) add(r policycases.Result) {
	if r.Case == "" {
		t.unasked++
		return
	}
	if t.policies == nil {
		t.policies = map[string]bool{}
	}
	t.policies[r.Policy] = true
	t.cases++
	if r.Err != nil {
		t.failed++
	}
}

// summary is the last line of what is printed.
func (t *tally) summary() string {
	parts := append([]string{fmt.Sprintf("%s of %s, %d failed", count(t.cases, "case", "cases"), count(len(t.policies), "policy", "policies"), t.failed)}, t.left()...)
	for _, language := range slices.Sorted(maps.Keys(t.untested)) {
		parts = append(parts, fmt.Sprintf("%s in %s not tested: not in this build", count(t.untested[language], "policy", "policies"), language))
	}
	return strings.Join(parts, "; ")
}

// left is what should have been tested and could not be.
func (t *tally) left() (parts []string) {
	if t.unasked > 0 {
		parts = append(parts, count(t.unasked, "policy", "policies")+" could not be asked")
	}
	if t.faults > 0 {
		parts = append(parts, count(t.faults, "file or folder", "files or folders")+" could not be tested")
	}
	return parts
}

// err is nil when all that is there has been tested, and is as wanted.
func (t *tally) err() error {
	parts := t.left()
	if t.failed > 0 {
		parts = append([]string{count(t.failed, "case", "cases") + " failed"}, parts...)
	}
	if len(parts) == 0 {
		return nil
	}
	return errors.New(strings.Join(parts, ", "))
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
