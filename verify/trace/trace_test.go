package trace

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// Whatever is recorded, a trace has an end, and can be printed.
func TestTraceIsBounded(t *testing.T) {
	const mostSteps, mostReason = 100, 2000
	trace := new(Trace)
	for i := range 2 * mostSteps {
		trace.Begin("policy", fmt.Sprint(i), "clause", strings.Repeat("\u009b\x1b[2J\xff", 2000))
		trace.Conclude(WouldRefuse, strings.Repeat("<reason>\x00 ", 2000))
	}
	trace.Show("of a step that is not recorded")
	steps := trace.End(refusal.New(refusal.InvalidToken, "access_token", "x; y").Because(errors.New(strings.Repeat("cause ", 2000))))
	text, err := json.Marshal(steps)
	if err != nil || len(steps) != mostSteps+1 || len(text) > 2*20<<10+len(steps)*200 {
		t.Errorf("%d steps, %d bytes, %v", len(steps), len(text), err)
	}
	// What comes after the last step that is recorded is not said of that one.
	if last := steps[mostSteps-1]; last.Rule != fmt.Sprint(mostSteps-1) || last.Verdict != WouldRefuse || strings.Contains(string(last.Input), "not recorded") {
		t.Errorf("%+v, want rule %d, which would refuse", last, mostSteps-1)
	}
	if last := steps[mostSteps]; last.Verdict != Refused || last.Rule != "access_token" || len(last.Reason) > mostReason+3 {
		t.Errorf("%+v, want the refusal by access_token, with a reason of at most %d bytes", last, mostReason+3)
	}
	if strings.ContainsAny(steps[0].Reason, "\x00\x1b") {
		t.Errorf("%q, want no control characters", steps[0].Reason)
	}

	var none *Trace
	none.Begin("a", "b", "c", nil)
	none.Show(1)
	none.Off("a", "b", "c")
	none.Rewind(none.Len())
	if none.End(errors.New("x")) != nil || none.Has(Off) || FromContext(t.Context()) != nil {
		t.Error("nothing was recorded")
	}
	trace = new(Trace)
	trace.Begin("a", "b", "c", func() any { return map[string]any{"x": make(chan int)} })
	trace.Begin("d", "e", "", nil)
	trace.Rewind(1)
	if steps := trace.End(nil); len(steps) != 1 || string(steps[0].Input) != `"cannot be shown"` || steps[0].Verdict != Passed {
		t.Errorf("%+v, want one passed step with the input \"cannot be shown\"", steps)
	}
}

// TestTraceTextBounds: an input, a reason and all of them together are shown whole up to
// their bounds in bytes, and cut or left out above.
func TestTraceTextBounds(t *testing.T) {
	text := func(size int) string { return strings.Repeat("x", size) }
	for name, c := range map[string]struct{ got, want string }{
		"a reason of 2000": {Bounded(text(2000)), text(2000)},
		"a reason of 2001": {Bounded(text(2001)), text(2000) + "..."},
		"an input of 4000": {string(shown(text(3998))), `"` + text(3998) + `"`},
		"an input of 4001": {string(shown(text(3999))), `"\"` + text(1999) + `......"`}, // and as a reason is
	} {
		if c.got != c.want {
			t.Errorf("%s: got %d bytes, %.20q ... %q, want %d bytes, %.20q", name, len(c.got), c.got, c.got[len(c.got)-10:], len(c.want), c.want)
		}
	}
	// Ten reasons of 2000 bytes with their quotes leave 480 of 20 KiB.
	for size, want := range map[int]string{478: text(478), 479: leftOut} {
		trace := new(Trace)
		for range 10 {
			trace.Begin("a", "b", "c", nil)
			trace.Conclude(WouldRefuse, text(1998))
		}
		trace.Begin("a", "b", "c", nil)
		trace.Conclude(WouldRefuse, text(size))
		if got := trace.End(nil)[10].Reason; got != want {
			t.Errorf("a reason of %d with quotes where 480 are left: %q, want %q", size+2, got, want)
		}
	}
}
