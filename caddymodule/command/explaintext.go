package command

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// print writes explanations for people or as JSON. Its error is the exit status.
func (e *explanation) print(to io.Writer, found []registry.Explanation) error {
	var err error
	if e.json {
		encoder := json.NewEncoder(to)
		encoder.SetIndent("", "  ")
		if e.code != "" {
			err = encoder.Encode(found)
		} else {
			err = encoder.Encode(found[0])
		}
	} else {
		var text strings.Builder
		for i := range found {
			describe(&text, &found[i])
		}
		_, err = io.WriteString(to, text.String())
	}
	if err != nil || e.code != "" {
		return err
	}
	if outcome := found[0].Outcome; outcome != registry.Passed {
		return fmt.Errorf("the request is %s", outcome)
	}
	return nil
}

// describe writes one: a line for each step, and below it what is known of it.
func describe(b *strings.Builder, e *registry.Explanation) {
	fmt.Fprintf(b, "%s of %s at %s", e.Operation, e.Workspace, e.At.Format(time.RFC3339))
	if e.SupportCode != "" {
		fmt.Fprintf(b, ", support code %s", e.SupportCode)
	}
	b.WriteString("\n\n")
	for _, s := range e.Steps {
		fmt.Fprintf(b, "%-12s %s", s.Verdict, s.Step)
		if s.Rule != s.Step {
			b.WriteString(": " + s.Rule)
		}
		if s.Clause != "" {
			fmt.Fprintf(b, " (%s)", s.Clause)
		}
		b.WriteByte('\n')
		for _, line := range []struct{ what, text string }{{"input", string(s.Input)}, {"told", s.Told}, {"reason", s.Reason}} {
			if line.text != "" {
				fmt.Fprintf(b, "%-12s %s: %s\n", "", line.what, printable(line.text))
			}
		}
	}
	b.WriteByte('\n')
	switch e.Outcome {
	case registry.Refused:
		fmt.Fprintf(b, "refused: %d %s (%s): %s\n", e.Status, e.Error, e.Rule, printable(e.Told))
	case registry.Incomplete:
		b.WriteString("incomplete: nothing refuses the request, but not everything could be checked\n")
	case registry.Passed:
		b.WriteString("passed: every check that comes before the registry and the authorization server\n")
	default:
		fmt.Fprintf(b, "%s\n", e.Outcome)
	}
	if len(e.Steps) > 0 && e.Steps[len(e.Steps)-1].Verdict == verify.VerdictUnavailable {
		b.WriteString("a server that must be asked did not answer, see the last step's reason\n")
	}
	b.WriteByte('\n')
}

// printable keeps what others have chosen from commanding a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) && r != '\n' {
			return '?'
		}
		return r
	}, s)
}
