package command

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// dayHelp is how a time is written.
const dayHelp = "a time like 2026-01-31 or 2026-01-31T09:30:00Z"

// timeFlag is a time: a day, a time, or how long before or after now.
type timeFlag struct {
	// past: a duration is before now, and not after it.
	past bool
	text string
}

func (f *timeFlag) String() string { return f.text }
func (f *timeFlag) Type() string   { return "time" }

// Set takes what is a time.
func (f *timeFlag) Set(text string) error {
	f.text = text
	_, err := f.at(time.Now())
	return err
}

// value is the time as the admin API takes it, and empty for none.
func (f *timeFlag) value(now time.Time) string {
	at, err := f.at(now)
	if f.text == "" || err != nil {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}

func (f *timeFlag) at(now time.Time) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, f.text); err == nil {
		return at, nil
	}
	if day, err := time.Parse(time.DateOnly, f.text); err == nil {
		return day, nil
	}
	long, err := duration(f.text)
	if err != nil {
		return now, fmt.Errorf("write %s, or a duration like 36h or 30d", dayHelp)
	}
	if f.past {
		long = -long
	}
	return now.Add(long), nil
}

// duration is one of Go's, or a number of days (d).
func duration(text string) (time.Duration, error) {
	const day = 24 * time.Hour
	if number, ok := strings.CutSuffix(text, "d"); ok {
		days, err := strconv.ParseUint(number, 10, 16)
		return time.Duration(days) * day, err
	}
	long, err := time.ParseDuration(text)
	if err == nil && long < 0 {
		err = fmt.Errorf("%s is negative", text)
	}
	return long, err
}
