package cel

import (
	"fmt"
	"os"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/common"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// place is where an expression stands: its file, and the line at which it begins there.
type place struct {
	source string
	line   int
	// right is by how many characters each of its lines stands further to the right
	// there than in the expression; unknown where that cannot be told. nil: by none.
	right []int
}

const unknown = -1

// at is a place within the expression, for errors. It has no column rather than a wrong
// one.
func (p place) at(l common.Location) string {
	i := l.Line() - 1
	where := fmt.Sprintf("%s:%d", p.source, p.line+i)
	switch {
	case i < 0: // of the expression as a whole
		return p.begin()
	case p.right == nil:
		return fmt.Sprintf("%s:%d", where, l.Column()+1)
	case i >= len(p.right) || p.right[i] == unknown:
		return where
	}
	return fmt.Sprintf("%s:%d", where, p.right[i]+l.Column()+1)
}

// begin is the whole expression's place.
func (p place) begin() string { return fmt.Sprintf("%s:%d", p.source, p.line) }

// placeIn is a token's place in a Caddyfile. Caddy counts no columns, so its file is
// read once more, if it is there. What Caddy has replaced in it is not found again.
func placeIn(t caddyfile.Token) place {
	p := place{source: t.File, line: t.Line}
	heredoc := t.NumLineBreaks() > strings.Count(t.Text, "\n")
	if heredoc {
		p.line++
	}
	text, _ := os.ReadFile(t.File)
	file, lines := strings.Split(string(text), "\n"), strings.Split(t.Text, "\n")
	for i, line := range lines {
		raw, found := "", false
		if n := p.line + i - 1; len(text) > 0 && n < len(file) {
			raw, found = strings.TrimSuffix(file[n], "\r"), true
		}
		var right int
		switch {
		case heredoc:
			right = indented(raw, line)
		case i == 0 && t.Quoted():
			right = quotedIn(raw, line, len(lines) > 1)
		case i == 0:
			right = onceIn(raw, line)
		case found && !strings.HasPrefix(raw, strings.TrimSuffix(line, "\r")):
			right = unknown
		}
		p.right = append(p.right, right)
	}
	return p
}

// indented is how far a line is indented that is the rest of a raw one.
func indented(raw, line string) int {
	if padding, ok := strings.CutSuffix(raw, line); ok && strings.TrimSpace(padding) == "" {
		return utf8.RuneCountInString(padding)
	}
	return unknown
}

// quotedIn is where a line stands in a raw one behind its opening quote: to its end if
// more follow, else to the closing quote.
func quotedIn(raw, line string, more bool) int {
	at := unknown
	for _, quote := range []string{"`", `"`} {
		whole := quote + line + quote
		if more {
			whole = quote + strings.TrimSuffix(line, "\r")
		}
		if more && !strings.HasSuffix(raw, whole) || !strings.Contains(raw, whole) {
			continue
		}
		i := onceIn(raw, whole)
		if i == unknown || at != unknown {
			return unknown
		}
		at = i + 1
	}
	return at
}

// onceIn is where a text stands in a raw line that has it once.
func onceIn(raw, text string) int {
	if strings.Count(raw, text) != 1 {
		return unknown
	}
	return utf8.RuneCountInString(raw[:strings.Index(raw, text)])
}
