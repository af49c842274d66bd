package cel

import (
	"regexp"
	"strings"

	"cel.dev/cel-go/common"
)

// hints are for what people write who know other languages: where CEL's error and the
// text around it look like that. The first that fits counts.
var hints = []struct {
	message, before *regexp.Regexp
	hint            string
}{
	{regexp.MustCompile("'[^']*`"), nil, "backticks belong to the Caddyfile; leave them out in a file"},
	{regexp.MustCompile("'=>"), nil, "write a loop as list.exists(x, x == \"...\")"},
	{regexp.MustCompile("error at: '="), nil, "write == to compare"},
	{regexp.MustCompile("'(?i:and)'"), nil, "write && for and"},
	{regexp.MustCompile("'(?i:or)'"), nil, "write || for or"},
	{nil, regexp.MustCompile(`(?i:\bnot)\s*$`), "write ! for not: !has(ssa.org_id), !(a && b)"},
	{regexp.MustCompile("error at: '&"), nil, "write && for and"},
	{regexp.MustCompile(`error at: '\|`), nil, "write || for or"},
	{regexp.MustCompile("'#"), nil, "write // for a comment"},
	{regexp.MustCompile("'>'"), regexp.MustCompile("<$"), "write != for unequal"},
	{regexp.MustCompile("';"), nil, "leave the ; out: a policy is one expression"},
	{regexp.MustCompile("[“”„‘’]"), nil, "write plain quotation marks: \" or '"},
	{regexp.MustCompile("reserved identifier: (if|else|for|while|return|let|var|function)$"), nil, "a policy is one expression; write condition ? allow() : deny(text), and a loop as list.exists(x, ...)"},
	{regexp.MustCompile("invalid argument to has"), nil, "has() wants a member of something: has(ssa.org_id)"},
	{regexp.MustCompile("missing '[])}]' at '<EOF>'"), nil, "a bracket is not closed"},
	{regexp.MustCompile("error at: '[\"']"), nil, "a text is not closed: it ends with the quotation mark with which it begins"},
	{regexp.MustCompile("'<EOF>'"), nil, "the expression ends before it is complete"},
}

// expecting are the tokens that may begin an expression, which nobody can read.
var expecting = regexp.MustCompile(` expecting \{.*\}$`)

// syntaxError is an error of syntax, with a hint where one is known.
func syntaxError(expression string, e *common.Error) (text, hint string) {
	before := ""
	lines := strings.Split(expression, "\n")
	if i := e.Location.Line() - 1; i >= 0 && i < len(lines) {
		line := []rune(lines[i])
		before = string(line[:min(max(e.Location.Column(), 0), len(line))])
	}
	fits := func(pattern *regexp.Regexp, text string) bool { return pattern == nil || pattern.MatchString(text) }
	for _, h := range hints {
		if fits(h.message, e.Message) && fits(h.before, before) {
			hint = h.hint
			break
		}
	}
	return expecting.ReplaceAllString(e.Message, ""), hint
}

// isEmpty tells whether there is nothing but comments.
func isEmpty(expression string) bool {
	for line := range strings.SplitSeq(expression, "\n") {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
			return false
		}
	}
	return true
}
