package command

import (
	"io"
	"strings"

	"github.com/mattn/go-runewidth"
)

// column is one of a table.
type column struct {
	title string
	// whole is never cut: what an operator copies into the next command, or looks for.
	whole bool
	// wraps: on a terminal its text goes on in further lines, and it is never left out. Only the
	// last column may.
	wraps bool
	// atLeast is what it is not cut below. Default: narrow.
	atLeast int
	// colours are those of words, on a screen that has them.
	colours map[string]string
}

// table prints rows in columns. The first rows decide how wide the columns are, so that a list
// of any length needs no more memory than one page. On a terminal a row takes one line, but for
// a column that wraps.
type table struct {
	out     io.Writer
	screen  screen
	columns []column
	// shown are the columns that there is room for.
	shown []shownColumn
}

// shownColumn is the column n of a table, how wide it is, and how narrow it may be.
type shownColumn struct{ n, width, least int }

// narrow is what a column is not cut below, and gap what is between two. Below wrapNarrow, text
// that wraps cannot be read.
const narrow, wrapNarrow, gap = 12, 24, 2

func newTable(out io.Writer, columns ...column) *table {
	return &table{out: out, screen: screenOf(out), columns: columns}
}

// print prints rows, and the titles above the first ones.
func (t *table) print(rows [][]string) error {
	if len(rows) == 0 {
		return nil
	}
	for _, row := range rows {
		for n := range row {
			row[n] = visible(row[n])
		}
	}
	var b strings.Builder
	if t.shown == nil {
		t.measure(rows)
		titles := make([]string, len(t.columns))
		for n, c := range t.columns {
			titles[n] = c.title
		}
		b.WriteString(t.screen.coloured(t.line(titles, nil), "1") + "\n")
	}
	for _, row := range rows {
		b.WriteString(t.line(row, t.columns) + "\n")
	}
	_, err := io.WriteString(t.out, b.String())
	return err
}

// measure decides the widths. A terminal has no columns that are empty, and where it has no room
// for all others, those at the end are left out.
func (t *table) measure(rows [][]string) {
	total, full := -gap, false
	if last := len(t.columns) - 1; t.columns[last].wraps {
		total += gap + t.natural(rows, last).least
	}
	for n, c := range t.columns {
		one := t.natural(rows, n)
		switch {
		case t.screen.columns == 0 || c.wraps:
		case n > 1 && one.width == 0:
			continue
		default:
			total += gap + one.least
			full = full || total > t.screen.columns && len(t.shown) > 1
		}
		if one.width = max(one.width, runewidth.StringWidth(c.title)); !full || c.wraps {
			t.shown = append(t.shown, one)
		}
	}
	for t.screen.columns > 0 && t.shrink() {
	}
}

// natural is a column as its rows would have it: their width is 0 where all are empty.
func (t *table) natural(rows [][]string, n int) shownColumn {
	c, title, width := t.columns[n], runewidth.StringWidth(t.columns[n].title), 0
	for _, row := range rows {
		width = max(width, runewidth.StringWidth(row[n]))
	}
	least := max(width, title)
	switch {
	case c.wraps:
		least = min(least, max(wrapNarrow, title))
	case !c.whole:
		least = min(least, max(narrow, c.atLeast, title))
	}
	return shownColumn{n: n, width: width, least: least}
}

// shrink makes the widest column narrower, where the screen has not room for all.
func (t *table) shrink() bool {
	total, widest := -gap, -1
	for n, one := range t.shown {
		total += gap + one.width
		if one.width > one.least && (widest < 0 || one.width > t.shown[widest].width) {
			widest = n
		}
	}
	if total <= t.screen.columns || widest < 0 {
		return false
	}
	t.shown[widest].width--
	return true
}

// line is one row. The last column has no space behind it.
func (t *table) line(cells []string, columns []column) string {
	var b strings.Builder
	indent := 0
	for place, one := range t.shown {
		cell := cells[one.n]
		var further []string
		switch {
		case t.screen.columns == 0 || t.columns[one.n].whole:
		case t.columns[one.n].wraps:
			if lines := wrapped(cell, one.width); len(lines) > 0 {
				cell, further = lines[0], lines[1:]
			}
		default:
			cell = runewidth.Truncate(cell, one.width, "…")
		}
		space := one.width - runewidth.StringWidth(cell)
		if columns != nil {
			cell = t.screen.coloured(cell, columns[one.n].colours[cell])
		}
		b.WriteString(cell)
		if place < len(t.shown)-1 {
			b.WriteString(strings.Repeat(" ", max(space, 0)+gap))
		}
		for _, more := range further {
			b.WriteString("\n" + strings.Repeat(" ", indent) + more)
		}
		indent += one.width + gap
	}
	return strings.TrimRight(b.String(), " ")
}

// rowsOf are the rows of a list.
func rowsOf[T any](list []T, row func(T) []string) (rows [][]string) {
	for _, one := range list {
		rows = append(rows, row(one))
	}
	return rows
}
