package rego

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// maxLate is how many evaluations that nobody waits for any more may be running.
const maxLate = 4

var errLate = fmt.Errorf("%d decisions that took too long are still running", maxLate)

// inTime evaluates the rules, and returns when ctx ends: OPA stops between two steps,
// but a step may be a regular expression that takes seconds.
func (p *program) inTime(ctx context.Context, input value) (verify.Decision, error) {
	if p.late.Load() >= maxLate {
		return verify.Decision{}, errLate
	}
	type outcome struct {
		verify.Decision
		error
	}
	done, stop := make(chan outcome, 1), topdown.NewCancel()
	work(func() {
		d, err := p.recovered(input, stop)
		done <- outcome{d, err}
	})
	select {
	case o := <-done:
		return o.Decision, o.error
	case <-ctx.Done():
		stop.Cancel()
		p.late.Add(1)
		go func() {
			<-done
			p.late.Add(-1)
		}()
		return verify.Decision{}, ctx.Err()
	}
}

// recovered makes a panic an error: in a goroutine it would end the process.
func (p *program) recovered(input value, stop topdown.Cancel) (d verify.Decision, err error) {
	defer func() {
		if r := recover(); r != nil {
			d, err = verify.Decision{}, fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return p.ask(input, stop)
}

// ask evaluates the rules, until stop. With a context of its own, OPA would start one
// more goroutine to watch it.
func (p *program) ask(input value, stop topdown.Cancel) (verify.Decision, error) {
	results, err := p.query.Eval(context.Background(), rego.EvalParsedInput(input), rego.EvalExternalCancel(stop))
	if err != nil {
		return verify.Decision{}, failed(err)
	}
	if len(results) != 1 {
		return verify.Decision{}, fmt.Errorf("gives %d results, not one", len(results))
	}
	return p.decision(results[0].Bindings[answer])
}

// failed is an error for operators: where, and what.
func failed(err error) error {
	var e *topdown.Error
	if errors.As(err, &e) && e.Location != nil {
		return fmt.Errorf("%s:%d: %s: %s", e.Location.File, e.Location.Row, e.Code, e.Message)
	}
	return err
}
