package command

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mattn/go-runewidth"
)

func TestMain(m *testing.M) {
	progressEvery = time.Hour
	os.Exit(m.Run())
}

// TestTableOnTerminal: a row takes one line of its width, in which what is copied stays whole.
func TestTableOnTerminal(t *testing.T) {
	var out strings.Builder
	one := &table{out: &out, screen: screen{columns: 60, colours: true}, columns: []column{{title: "ID", whole: true}, {title: "NAME"}, {title: "STATE", colours: stateColours}, {title: "MORE"}}}
	id := strings.Repeat("i", 20)
	for range 2 {
		if err := one.print([][]string{{id, strings.Repeat("世界", 20), "suspended", "x"}, {"1", "\x1b[2J", "active", strings.Repeat("m", 100)}}); err != nil {
			t.Fatal(err)
		}
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 5 || !strings.HasPrefix(lines[0], "\x1b[1mID  ") || !strings.Contains(lines[1], "\x1b[31msuspended\x1b[0m") || !strings.Contains(lines[2], `\x1b[2J`) {
		t.Errorf("got %q", lines)
	}
	for _, line := range lines {
		plain := strings.NewReplacer("\x1b[1m", "", "\x1b[31m", "", "\x1b[0m", "").Replace(line)
		if width := runewidth.StringWidth(plain); width > 60 || strings.Contains(plain, "\x1b") {
			t.Errorf("the line %q is %d wide, want at most 60", plain, width)
		}
	}
	out.Reset()
	little := &table{out: &out, screen: screen{columns: 40}, columns: one.columns}
	if err := little.print([][]string{{id, "name", "suspended", "m"}}); err != nil || out.String() != "ID                    NAME  STATE\n"+id+"  name  suspended\n" {
		t.Errorf("on a narrow terminal: got %q, %v; want no last column", out.String(), err)
	}
	if !strings.HasPrefix(lines[1], id+"  ") || !strings.Contains(lines[1], "…") {
		t.Errorf("got %q, want the whole id and a cut name", lines[1])
	}
}

// TestTableKeepsText: on a terminal the text for which an operator looks at the table is there to
// its end, and what is empty takes no room from it.
func TestTableKeepsText(t *testing.T) {
	problem := "the directory is not configured: write software_statement \"Other\" first, or correct the line"
	columns := []column{{title: "LINE", whole: true}, {title: "CLIENT_ID"}, {title: "ERROR"}, {title: "AT", whole: true}, {title: "PROBLEM", wraps: true}}
	for width, want := range map[int]string{
		60: "LINE  CLIENT_ID           PROBLEM\n7     a-very-long-client  the directory is not configured:\n" +
			"                          write software_statement \"Other\"\n                          first, or correct the line\n",
		30:  "LINE  CLIENT_ID     PROBLEM\n7     a-very-long…  the directory is not\n",
		200: "LINE  CLIENT_ID           PROBLEM\n7     a-very-long-client  " + problem + "\n",
	} {
		var out strings.Builder
		one := &table{out: &out, screen: screen{columns: width}, columns: columns}
		if err := one.print([][]string{{"7", "a-very-long-client", "", "", problem}}); err != nil || !strings.HasPrefix(out.String(), want) {
			t.Errorf("%d columns: got %v\n%s\nwant\n%s", width, err, out.String(), want)
		}
	}
	var out strings.Builder
	if err := newTable(&out, columns...).print([][]string{{"7", "c", "", "", problem}}); err != nil || out.String() != "LINE  CLIENT_ID  ERROR  AT  PROBLEM\n7     c                     "+problem+"\n" {
		t.Errorf("elsewhere: got %q, want every column and the text in one line", out.String())
	}
}

// TestVisible: nothing that commands a terminal or turns a line is left.
func TestVisible(t *testing.T) {
	for text, want := range map[string]string{
		"Acme Ltd": "Acme Ltd", "Ünïcødé 世界 🏦": "Ünïcødé 世界 🏦", "a\x1b[31mb": `a\x1b[31mb`, "a\u202eb": `a\u202eb`, "a\u200bb": `a\u200bb`,
		"a\r\nb\t": `a\r\nb\t`, "\u009b2J": `\u009b2J`, "\xff": "\ufffd", "\U000e0041": `\U000e0041`, "a\u00a0b": `a\u00a0b`,
	} {
		if got := visible(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// waited is a writer that says when something was written.
type waited struct {
	mu      sync.Mutex
	b       bytes.Buffer
	written chan struct{}
}

func (w *waited) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case w.written <- struct{}{}:
	default:
	}
	return w.b.Write(p)
}

// TestProgress: what takes long says how far it is, and nothing once it is stopped.
func TestProgress(t *testing.T) {
	out := &waited{written: make(chan struct{}, 1)}
	p := startProgress(out, time.Millisecond, "waiting")
	p.say("%d of 7", 3)
	select {
	case <-out.written:
	case <-time.After(time.Minute):
		t.Fatal("nothing is said")
	}
	p.stop()
	if !strings.HasSuffix(out.b.String(), "3 of 7\n") {
		t.Errorf("got %q", out.b.String())
	}
	quick := startProgress(out, time.Hour, "never")
	quick.stop()
	if strings.Contains(out.b.String(), "never") {
		t.Errorf("got %q", out.b.String())
	}
}

// TestInterruptedQuestion: Ctrl-C while an operator is asked is no consent.
func TestInterruptedQuestion(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := answered(ctx, neverReads{}); !errors.Is(err, errNotConfirmed) {
		t.Errorf("got %v, want that nothing was done", err)
	}
}

type neverReads struct{}

func (neverReads) Read([]byte) (int, error) { select {} }
