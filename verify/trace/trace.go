// Package trace records what was checked of one request, for operators who ask why it was
// refused. Each check begins a step.
package trace

import (
	"cmp"
	"context"
	"encoding/json"
	"strings"
	"unicode"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// Step is one check of a request, as operators read it.
type Step struct {
	// Step is the station: client_certificate, access_token, software_statement,
	// request, metadata, policy, registry ...
	Step string `json:"step"`
	// Rule is the claim, header or rule that was checked, or a policy's name.
	Rule string `json:"rule"`
	// Clause is where the rule comes from. May be empty.
	Clause string `json:"clause,omitempty"`
	// Input is what was looked at, as JSON; long ones are cut and a string then. Never
	// a token, a software statement or a key as a whole.
	Input json.RawMessage `json:"input,omitempty"`
	// Verdict is one of the Verdicts.
	Verdict string `json:"verdict"`
	// ErrorDescription is what the TPP is told: error_description.
	ErrorDescription string `json:"error_description,omitempty"`
	// Reason is for operators alone.
	Reason string `json:"reason,omitempty"`
}

// UnmarshalJSON reads steps of versions too that called the error_description "told".
func (s *Step) UnmarshalJSON(data []byte) error {
	type step Step
	old := struct {
		*step
		Told string `json:"told"`
	}{step: (*step)(s)}
	if err := json.Unmarshal(data, &old); err != nil {
		return err
	}
	s.ErrorDescription = cmp.Or(s.ErrorDescription, old.Told)
	return nil
}

// The verdicts of a step.
const (
	Passed   = "passed"
	Refused  = "refused"
	Narrowed = "narrowed" // a policy let it pass with less
	// NeedsApproval is of a policy that let it pass on the condition that an operator approves it.
	NeedsApproval = "needs_approval"
	WouldRefuse   = "would_refuse" // a policy in shadow
	Unavailable   = "unavailable"  // what had to be asked did not answer
	Off           = "off"          // the operator has switched it off
	Unknown       = "unknown"      // not checked here, see the reason
)

// Bounds of a trace.
const (
	maxSteps     = 100
	maxStepInput = 4000     // bytes of one input
	maxTraceText = 20 << 10 // bytes of all inputs and reasons
)

// Trace is what was checked of one request, in its order. Each check begins a step;
// that the next one begins says that it passed. A nil Trace records nothing. It is
// for the goroutine of the request alone.
type Trace struct {
	steps []traced
	full  bool // there were more steps than maxSteps: nothing is recorded any more
}

// traced is a step whose text is made only when somebody wants it.
type traced struct {
	step, rule, clause string
	input              any
	verdict, reason    string
}

type traceKey struct{}

// NewContext has the checks of a context recorded.
func NewContext(ctx context.Context, t *Trace) context.Context {
	return context.WithValue(ctx, traceKey{}, t)
}

// FromContext is the trace of a context, nil for none.
func FromContext(ctx context.Context) *Trace {
	t, _ := ctx.Value(traceKey{}).(*Trace)
	return t
}

// Begin begins a step. input is rendered as JSON when the trace ends, so that it must
// not change until then; nil for none.
func (t *Trace) Begin(step, rule, clause string, input any) {
	switch {
	case t == nil:
	case len(t.steps) == maxSteps:
		t.full = true
	default:
		t.steps = append(t.steps, traced{step: step, rule: rule, clause: clause, input: input})
	}
}

// BeginWith is Begin for inputs that are only made where they are recorded.
func (t *Trace) BeginWith(step, rule, clause string, input func() any) {
	if t != nil {
		t.Begin(step, rule, clause, input())
	}
}

// Show gives the step under way its input.
func (t *Trace) Show(input any) {
	if last := t.last(); last != nil {
		last.input = input
	}
}

// Conclude gives the step under way another verdict than Passed.
func (t *Trace) Conclude(verdict, reason string) {
	if last := t.last(); last != nil {
		last.verdict, last.reason = verdict, reason
	}
}

// Off records a protection that is switched off.
func (t *Trace) Off(step, rule, reason string) {
	t.Begin(step, rule, "", nil)
	t.Conclude(Off, reason)
}

// Unknown records what is not checked here.
func (t *Trace) Unknown(step, rule, clause, reason string) {
	t.Begin(step, rule, clause, nil)
	t.Conclude(Unknown, reason)
}

// Has tells whether a step has come to a verdict.
func (t *Trace) Has(verdict string) bool {
	if t != nil {
		for _, s := range t.steps {
			if s.verdict == verdict {
				return true
			}
		}
	}
	return false
}

// Current names the step under way, empty for none.
func (t *Trace) Current() (step, rule string) {
	if last := t.last(); last != nil {
		return last.step, last.rule
	}
	return "", ""
}

// Len is the number of steps so far, for Rewind.
func (t *Trace) Len() int {
	if t == nil {
		return 0
	}
	return len(t.steps)
}

// Rewind forgets all but the first n steps: what follows is checked once more.
func (t *Trace) Rewind(n int) {
	if t != nil && n < len(t.steps) {
		t.steps, t.full = t.steps[:n], false
	}
}

func (t *Trace) last() *traced {
	if t == nil || t.full || len(t.steps) == 0 {
		return nil
	}
	return &t.steps[len(t.steps)-1]
}

// End is the whole trace of a request that ended with err, nil when it was accepted.
// The error is that of the last step.
func (t *Trace) End(err error) []Step {
	if t == nil {
		return nil
	}
	steps, left := make([]Step, 0, len(t.steps)+1), maxTraceText
	take := func(text string) string {
		text = Bounded(text)
		encoded, err := json.Marshal(text) // where a character may need six bytes
		if err != nil || len(encoded) > left {
			return leftOut
		}
		left -= len(encoded)
		return text
	}
	for _, s := range t.steps {
		out := Step{Step: s.step, Rule: s.rule, Clause: s.clause, Verdict: s.verdict, Reason: take(s.reason)}
		if s.verdict == "" {
			out.Verdict = Passed
		}
		if out.Input = shown(s.input); len(out.Input) > left {
			out.Input = shown(leftOut)
		}
		left -= min(left, len(out.Input))
		steps = append(steps, out)
	}
	if err == nil {
		return steps
	}
	e := refusal.From(err)
	if last := len(steps) - 1; last < 0 || t.full || t.steps[last].verdict != "" {
		steps = append(steps, Step{Step: "request", Rule: e.RuleName()})
	}
	last := &steps[len(steps)-1]
	last.Verdict, last.ErrorDescription = Refused, e.Description
	if e.Kind == refusal.Unavailable {
		last.Verdict = Unavailable
	}
	if e.Cause != nil {
		last.Reason = Bounded(e.Cause.Error())
	}
	return steps
}

const leftOut = "(left out: the trace is too long)"

// shown is an input as bounded JSON, nil for none.
func shown(input any) json.RawMessage {
	if raw, ok := input.([]byte); ok {
		input = json.RawMessage(raw)
		if len(raw) == 0 {
			input = nil
		}
	}
	if input == nil {
		return nil
	}
	if late, ok := input.(func() any); ok {
		input = late()
	}
	text, err := json.Marshal(input)
	switch _, raw := input.(json.RawMessage); {
	case err == nil && !raw && string(text) == "null", err == nil && string(text) == "{}":
		return nil // there is none
	case err == nil && len(text) <= maxStepInput:
		return text
	}
	cut := "cannot be shown"
	if err == nil {
		cut = Bounded(string(text[:maxStepInput])) + "..."
	}
	if text, err = json.Marshal(cut); err != nil {
		return nil
	}
	return text
}

// MaxReason bounds a reason in bytes: it may be made of a stranger's claims.
const MaxReason = 2000

// Bounded is a text for a log or a terminal: cut, without control characters.
func Bounded(s string) string {
	if len(s) > MaxReason {
		s = s[:MaxReason] + "..."
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}
