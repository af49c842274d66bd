package command

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// details prints what there is of one thing: a line for each value, and tables below.
type details struct {
	out io.Writer
	b   strings.Builder
	// begun: something was printed already.
	begun bool
}

// nameWidth is that of the names of values.
const nameWidth = 22

// value prints a value and its name. One that is empty is left out.
func (d *details) value(name string, value any) {
	text := ""
	switch v := value.(type) {
	case time.Time:
		text = timeText(v)
	case []string:
		text = strings.Join(v, ", ")
	default:
		text = fmt.Sprint(v)
	}
	if text != "" {
		fmt.Fprintf(&d.b, "%-*s  %s\n", nameWidth, name, visible(text))
	}
}

// section prints rows below a heading, or nothing where there are none.
func (d *details) section(heading string, rows [][]string, columns ...column) error {
	if len(rows) == 0 {
		return nil
	}
	if d.begun || d.b.Len() > 0 {
		d.b.WriteByte('\n')
	}
	d.b.WriteString(screenOf(d.out).coloured(heading, "1") + "\n")
	if err := d.flush(); err != nil {
		return err
	}
	return newTable(d.out, columns...).print(rows)
}

// flush prints what is there so far.
func (d *details) flush() error {
	d.begun = d.begun || d.b.Len() > 0
	_, err := io.WriteString(d.out, d.b.String())
	d.b.Reset()
	return err
}

// timeText is a time as people read it, and empty for none.
func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// secondsText is a time in seconds since 1970, and empty for 0.
func secondsText(seconds int64) string {
	if seconds == 0 {
		return ""
	}
	return timeText(time.Unix(seconds, 0))
}
