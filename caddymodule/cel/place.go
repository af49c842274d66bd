package cel

import (
	"fmt"
	"strings"

	"cel.dev/cel-go/common"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// place is an expression, and where it stands: its file, and the line at which it begins
// there.
type place struct {
	text, source string
	line         int
	// inline: its columns are not those of the file.
	inline bool
}

// fault is an error with its place in the expression. Where the column is not that of
// the file, the line of the expression follows, with a mark below the column.
func (p place) fault(l common.Location, message string) error {
	i := l.Line() - 1
	where := fmt.Sprintf("%s:%d", p.source, p.line+i)
	switch {
	case i < 0: // of the expression as a whole
		return fmt.Errorf("%s: %s", p.begin(), message)
	case !p.inline:
		return fmt.Errorf("%s:%d: %s", where, l.Column()+1, message)
	}
	line := strings.Split(p.text, "\n")[i]
	line = strings.ReplaceAll(strings.TrimSuffix(line, "\r"), "\t", " ")
	return fmt.Errorf("%s: %s\n | %s\n | %*s", where, message, line, l.Column()+1, "^")
}

// begin is the whole expression's place.
func (p place) begin() string { return fmt.Sprintf("%s:%d", p.source, p.line) }

// placeIn is a token's place in a Caddyfile. Caddy counts no columns.
func placeIn(t caddyfile.Token) place {
	p := place{text: t.Text, source: t.File, line: t.Line, inline: true}
	if t.NumLineBreaks() > strings.Count(t.Text, "\n") { // a heredoc begins in the line below its marker
		p.line++
	}
	return p
}
