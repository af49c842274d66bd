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
	trace := new(Trace)
	for i := range 2 * maxSteps {
		trace.Begin("policy", fmt.Sprint(i), "clause", strings.Repeat("\u009b\x1b[2J\xff", 2000))
		trace.Conclude(WouldRefuse, strings.Repeat("<reason>\x00 ", 2000))
	}
	trace.Show("of a step that is not recorded")
	steps := trace.End(refusal.New(refusal.InvalidToken, "access_token", "x; y").Because(errors.New(strings.Repeat("cause ", 2000))))
	text, err := json.Marshal(steps)
	if err != nil || len(steps) != maxSteps+1 || len(text) > 2*maxTraceText+len(steps)*200 {
		t.Errorf("%d steps, %d bytes, %v", len(steps), len(text), err)
	}
	// What comes after the last step that is recorded is not said of that one.
	if last := steps[maxSteps-1]; last.Rule != fmt.Sprint(maxSteps-1) || last.Verdict != WouldRefuse || strings.Contains(string(last.Input), "not recorded") {
		t.Errorf("%+v, want rule %d, which would refuse", last, maxSteps-1)
	}
	if last := steps[maxSteps]; last.Verdict != Refused || last.Rule != "access_token" || len(last.Reason) > MaxReason+3 {
		t.Errorf("%+v, want the refusal by access_token, with a reason of at most %d bytes", last, MaxReason+3)
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
