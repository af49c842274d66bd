package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// table is what the bench has found out.
type table struct{ rows []row }

// row is a figure or, without a value, the heading of a group.
type row struct{ name, value, target string }

// section begins a group of figures, and says how they were measured.
func (t *table) section(format string, args ...any) {
	t.rows = append(t.rows, row{name: fmt.Sprintf(format, args...)})
}

// told is a figure without a target.
func (t *table) told(name, format string, args ...any) {
	t.rows = append(t.rows, row{name: name, value: fmt.Sprintf(format, args...)})
}

// atLeast and atMost are figures with a target. Missing it is told, not an error.
func (t *table) atLeast(name string, value, target float64, format string, args ...any) {
	t.aim(name, value >= target, fmt.Sprintf("target >= %v", target), format, args...)
}

func (t *table) atMost(name string, value, target float64, format string, args ...any) {
	t.aim(name, value <= target, fmt.Sprintf("target <= %v", target), format, args...)
}

func (t *table) aim(name string, met bool, target, format string, args ...any) {
	verdict := "MISSED"
	if met {
		verdict = "met"
	}
	t.rows = append(t.rows, row{name, fmt.Sprintf(format, args...), target + ": " + verdict})
}

func (t *table) print(to io.Writer) error {
	names, values := 0, 0
	for _, r := range t.rows {
		if r.value != "" {
			names, values = max(names, utf8.RuneCountInString(r.name)), max(values, utf8.RuneCountInString(r.value))
		}
	}
	for i, r := range t.rows {
		line := fmt.Sprintf("  %-*s  %-*s  %s", names, r.name, values, r.value, r.target)
		if r.value == "" {
			line = r.name
			if i > 0 {
				line = "\n" + line
			}
		}
		if _, err := fmt.Fprintln(to, strings.TrimRight(line, " ")); err != nil {
			return err
		}
	}
	return nil
}

func mebibytes(bytes int64) float64 { return float64(bytes) / (1 << 20) }
