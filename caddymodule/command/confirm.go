package command

import (
	"bufio"
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// confirmation is that of the operator, for what cannot be undone.
type confirmation struct{ yes bool }

func (f *confirmation) flags(c *cobra.Command) {
	c.Flags().BoolVar(&f.yes, "yes", false, "do not ask for confirmation")
}

// possible refuses what nobody could confirm. It is called before anything is done.
func (f *confirmation) possible(c *cobra.Command) error {
	if f.yes || screenOf(c.InOrStdin()).columns > 0 {
		return nil
	}
	return usage("this cannot be undone, and there is no terminal to ask at: give --yes")
}

// ask asks the operator. Its error says that nothing was done.
func (f *confirmation) ask(c *cobra.Command, question string) error {
	if f.yes {
		return nil
	}
	c.PrintErrf("%s [y/N] ", question)
	return answered(c.Context(), c.InOrStdin())
}

// answered is nil where the operator says yes.
func answered(ctx context.Context, from io.Reader) error {
	answer := make(chan string, 1)
	go func() { // a read of a terminal cannot be ended
		line, _ := bufio.NewReader(io.LimitReader(from, 1024)).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case <-ctx.Done():
		return errNotConfirmed
	case text := <-answer:
		if text == "y" || text == "yes" {
			return nil
		}
		return errNotConfirmed
	}
}
