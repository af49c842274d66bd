package command

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
	"github.com/caddy-dcr/caddy-dcr/verify/trace"
)

// print writes explanations for people or as JSON. Its error is the exit status.
func (e *explanation) print(to io.Writer, found []registry.Explanation) error {
	var err error
	if e.json {
		var what any = found
		if e.code == "" {
			what = found[0]
		}
		var text []byte
		if text, err = json.MarshalIndent(what, "", "  "); err == nil {
			_, err = io.WriteString(to, string(strictjson.Printable(text))+"\n")
		}
	} else {
		var text strings.Builder
		for i := range found {
			if i > 0 {
				text.WriteByte('\n')
			}
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
	fmt.Fprintf(b, "%s of %s at %s", visible(e.Operation), visible(e.Workspace), e.At.Format(time.RFC3339))
	if e.SupportCode != "" {
		fmt.Fprintf(b, ", support code %s", visible(e.SupportCode))
	}
	b.WriteString("\n\n")
	for _, s := range e.Steps {
		fmt.Fprintf(b, "%-12s %s", visible(s.Verdict), visible(s.Step))
		if s.Rule != s.Step {
			b.WriteString(": " + visible(s.Rule))
		}
		if s.Clause != "" {
			fmt.Fprintf(b, " (%s)", visible(s.Clause))
		}
		b.WriteByte('\n')
		for _, line := range []struct{ what, text string }{{"input", inputText(s.Input)}, {"error_description", s.ErrorDescription}, {"reason", s.Reason}} {
			if line.text != "" {
				fmt.Fprintf(b, "%-12s %s: %s\n", "", line.what, printable(line.text))
			}
		}
	}
	b.WriteByte('\n')
	switch e.Outcome {
	case registry.Refused:
		fmt.Fprintf(b, "refused: %d %s (%s): %s\n", e.Status, visible(e.Error), visible(e.Rule), printable(e.ErrorDescription))
	case registry.Incomplete:
		b.WriteString("incomplete: nothing refuses the request, but not everything could be checked\n")
	case registry.Passed:
		b.WriteString("passed: every check that comes before the registry and the authorization server\n")
	default:
		fmt.Fprintf(b, "%s\n", visible(e.Outcome))
	}
	if slices.ContainsFunc(e.Steps, func(s trace.Step) bool { return s.Verdict == trace.Unavailable }) {
		b.WriteString("a server that must be asked did not answer, or was not asked: see the reason of the step that is unavailable; --answer <url>=<file> stands for it\n")
	}
	if slices.ContainsFunc(e.Steps, func(s trace.Step) bool { return s.Verdict == trace.WouldRefuse }) {
		b.WriteString("a policy in shadow would refuse it\n")
	}
}

// inputText is an input as people read it. An object or a list that was too long comes as a
// text with its beginning, and is not quoted once more.
func inputText(input json.RawMessage) string {
	var cut string
	if err := json.Unmarshal(input, &cut); err == nil && strings.HasSuffix(cut, "...") && strings.ContainsAny(cut[:1], "{[") {
		return cut
	}
	return string(input)
}

// printable keeps what others have chosen from commanding a terminal, and its further
// lines within the step.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) && r != '\n' {
			return '?'
		}
		return r
	}, s)
	return strings.ReplaceAll(s, "\n", "\n"+strings.Repeat(" ", 15))
}
