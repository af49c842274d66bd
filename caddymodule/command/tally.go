package command

import (
	"errors"
	"fmt"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/caddymodule/policycases"
)

// tally counts what came of cases.
type tally struct {
	cases, failed int
	// policies have been asked, and of others nothing could be asked.
	policies map[string]bool
	unasked  int
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
	parts := []string{fmt.Sprintf("%s of %s, %d failed", count(t.cases, "case", "cases"), count(len(t.policies), "policy", "policies"), t.failed)}
	if t.unasked > 0 {
		parts = append(parts, count(t.unasked, "policy", "policies")+" could not be asked")
	}
	return strings.Join(parts, "; ")
}

// err is nil when all that is there has been tested, and is as wanted.
func (t *tally) err() error {
	var parts []string
	if t.failed > 0 {
		parts = append(parts, count(t.failed, "case", "cases")+" failed")
	}
	if t.unasked > 0 {
		parts = append(parts, count(t.unasked, "policy", "policies")+" could not be asked")
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
