package command

import (
	"os"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// screen is what an output is shown on.
type screen struct {
	// columns is the width of the terminal; 0 where there is none, and nothing is cut.
	columns int
	// colours: it shows them, and they are wanted (https://no-color.org).
	colours bool
}

// screenOf is the screen of an output, or of an input.
func screenOf(of any) screen {
	file, ok := of.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return screen{}
	}
	s := screen{columns: 80, colours: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
	if columns, _, err := term.GetSize(int(file.Fd())); err == nil && columns > 0 {
		s.columns = columns
	}
	return s
}

// coloured is a text in a colour (ECMA-48 SGR), where the screen has them.
func (s screen) coloured(text, colour string) string {
	if !s.colours || colour == "" || text == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// visible is a text, which others may have chosen, as a terminal may show it: control
// characters, those that change the direction of a line and those that nobody sees are
// written as in Go, \x1b or \u202e.
func visible(text string) string {
	if utf8.ValidString(text) && !strings.ContainsFunc(text, hidden) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if hidden(r) {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func hidden(r rune) bool { return !unicode.IsPrint(r) }

// visibleLines is a text of several lines, each visible.
func visibleLines(text string) string {
	lines := strings.Split(text, "\n")
	for n := range lines {
		lines[n] = visible(lines[n])
	}
	return strings.Join(lines, "\n")
}
