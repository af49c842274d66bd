package command

import (
	"io"
	"strings"

	"github.com/mattn/go-runewidth"
)

// column is one of a table.
type column struct {
	title string
	// whole is never cut: what an operator copies into the next command.
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
	widths  []int
}

// least is the narrowest that a column is cut to; gap is between two.
const least, gap = 8, 2

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

// measure decides the widths.
func (t *table) measure(rows [][]string) {
	t.widths = make([]int, len(t.columns))
	total := gap * (len(t.columns) - 1)
	for n, c := range t.columns {
		t.widths[n] = runewidth.StringWidth(c.title)
		for _, row := range rows {
			t.widths[n] = max(t.widths[n], runewidth.StringWidth(row[n]))
		}
		total += t.widths[n]
	}
	for ; t.screen.columns > 0 && total > t.screen.columns; total-- {
		widest := -1
		for n, c := range t.columns {
			if !c.whole && t.widths[n] > max(least, runewidth.StringWidth(c.title)) && (widest < 0 || t.widths[n] > t.widths[widest]) {
				widest = n
			}
		}
		if widest < 0 {
			return // the terminal breaks the lines
		}
		t.widths[widest]--
	}
}

// line is one row. The last column has no space behind it.
func (t *table) line(cells []string, columns []column) string {
	var b strings.Builder
	for n, cell := range cells {
		if t.screen.columns > 0 && (columns == nil || !columns[n].whole) {
			cell = runewidth.Truncate(cell, t.widths[n], "…")
		}
		space := t.widths[n] - runewidth.StringWidth(cell)
		if columns != nil {
			cell = t.screen.coloured(cell, columns[n].colours[cell])
		}
		b.WriteString(cell)
		if n < len(cells)-1 {
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
