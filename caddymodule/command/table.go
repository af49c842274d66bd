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
	// colours are those of words, on a screen that has them.
	colours map[string]string
}

// table prints rows in columns. The first rows decide how wide the columns are, so that a list
// of any length needs no more memory than one page. On a terminal a row takes one line.
type table struct {
	out     io.Writer
	screen  screen
	columns []column
	// widths are those of the columns that there is room for, least how narrow each may be.
	widths, least []int
}

// narrow is what a column is not cut below, gap what is between two.
const narrow, gap = 8, 2

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
	if t.widths == nil {
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

// measure decides the widths. Where a terminal has no room for all columns, those at the end
// are left out.
func (t *table) measure(rows [][]string) {
	total := -gap
	for n, c := range t.columns {
		natural := runewidth.StringWidth(c.title)
		narrowest := max(narrow, natural)
		for _, row := range rows {
			natural = max(natural, runewidth.StringWidth(row[n]))
		}
		if narrowest = min(narrowest, natural); c.whole {
			narrowest = natural
		}
		if total += gap + narrowest; t.screen.columns > 0 && total > t.screen.columns && n > 1 {
			total -= gap + narrowest
			break
		}
		t.widths, t.least = append(t.widths, natural), append(t.least, narrowest)
	}
	for t.screen.columns > 0 && t.shrink() {
	}
}

// shrink makes the widest column narrower, where the screen has not room for all.
func (t *table) shrink() bool {
	total, widest := -gap, -1
	for n, width := range t.widths {
		total += gap + width
		if width > t.least[n] && (widest < 0 || width > t.widths[widest]) {
			widest = n
		}
	}
	if total <= t.screen.columns || widest < 0 {
		return false
	}
	t.widths[widest]--
	return true
}

// line is one row. The last column has no space behind it.
func (t *table) line(cells []string, columns []column) string {
	var b strings.Builder
	for n, width := range t.widths {
		cell := cells[n]
		if t.screen.columns > 0 && !t.columns[n].whole {
			cell = runewidth.Truncate(cell, width, "…")
		}
		space := width - runewidth.StringWidth(cell)
		if columns != nil {
			cell = t.screen.coloured(cell, columns[n].colours[cell])
		}
		b.WriteString(cell)
		if n < len(t.widths)-1 {
			b.WriteString(strings.Repeat(" ", max(space, 0)+gap))
		}
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
