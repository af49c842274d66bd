package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// Exit statuses of every command of caddy dcr. 0 is done. An error without a status of its own
// is statusRefused.
const (
	statusRefused     = 1 // the gateway refused it, or what it is about is not there; or it failed
	statusUsage       = 2 // the command line is wrong: nothing was done
	statusUnreachable = 3 // there is no gateway that could answer
)

// statusError is an error with an exit status.
type statusError struct {
	status int
	err    error
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

// usage is an error of the command line. Nothing has been done then.
func usage(format string, args ...any) error {
	return &statusError{statusUsage, fmt.Errorf(format, args...)}
}

// unreachable is the error that no gateway could answer.
func unreachable(format string, args ...any) error {
	return &statusError{statusUnreachable, fmt.Errorf(format, args...)}
}

// exitStatus is the exit status of an error.
func exitStatus(err error) int {
	if err == nil {
		return 0
	}
	if e, ok := errors.AsType[*statusError](err); ok {
		return e.status
	}
	return statusRefused
}

// withExitStatuses makes a command, and those below it, end with the exit statuses above: the
// status of what it returns, and statusUsage for its flags and arguments. Their context ends
// with Ctrl-C, and when the service manager or a timeout ends the command.
func withExitStatuses(c *cobra.Command) {
	for _, one := range c.Commands() {
		withExitStatuses(one)
	}
	c.SilenceUsage = true
	flagError, arguments, run := c.FlagErrorFunc(), c.Args, c.RunE
	c.SetFlagErrorFunc(func(of *cobra.Command, err error) error { return exit(of, wrongUse(flagError(of, err))) })
	if arguments != nil {
		c.Args = func(c *cobra.Command, args []string) error { return exit(c, wrongUse(arguments(c, args))) }
	}
	if run != nil {
		c.RunE = func(c *cobra.Command, args []string) error {
			caddy.BufferedLog() // what Caddy logs while it reads a configuration is no output of a command
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process, whatever it does
			c.SetContext(ctx)
			return exit(c, run(c, args))
		}
	}
}

// wrongUse is an error as one of the command line.
func wrongUse(err error) error {
	if err == nil {
		return nil
	}
	return &statusError{statusUsage, err}
}

// exitError is an error whose text a terminal may show, and from which Caddy takes the exit
// status.
type exitError struct{ err, status error }

func (e *exitError) Error() string   { return visibleLines(e.err.Error()) }
func (e *exitError) Unwrap() []error { return []error{e.err, e.status} }

// exit has Caddy end with the status of an error.
func exit(c *cobra.Command, err error) error {
	status := exitStatus(err)
	if _, done := errors.AsType[*exitError](err); done || err == nil {
		return err
	}
	end := &exitError{err: err}
	if status > 1 { // Caddy's type for it is its own
		end.status = caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return status, nil })(c, nil)
	}
	return end
}
