package command

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// resource is a kind of things that the admin API shows and changes, each by its id.
type resource struct {
	// path is where they are: clients.
	path string
	// id is what their id is called, example one of them.
	id, example string
	// name says which one it is, so that an operator recognizes it: client x (Acme) of software y.
	name func(one json.RawMessage) (string, error)
	// show prints one.
	show func(out io.Writer, one json.RawMessage, tag string) error
	// ids completes an id.
	ids completions
}

// showing is a command that shows one of them.
func (r *resource) showing(short, long string) *cobra.Command {
	var s showing
	c := &cobra.Command{
		Use:   "show <" + r.id + ">",
		Short: short,
		Long:  long,
		Example: fmt.Sprintf(`  caddy dcr %[1]s show %[2]s
  caddy dcr %[1]s show %[2]s --workspace default/obuk --json`, r.path, r.example),
		Args: oneArgument("the " + r.id),
		RunE: func(c *cobra.Command, args []string) error {
			return s.run(c, apiPath(r.path, args[0]), r.show)
		},
	}
	s.flags(c)
	workspaceFlag(c, &s.workspace, &s.runningGateway)
	c.ValidArgsFunction = r.ids.first(&s.runningGateway)
	return c
}

// resourceChange is a change of one of them.
type resourceChange struct {
	// action is the last part of the path, and the command, there with - for _.
	action, short, long string
	// undoable: another command undoes it, so that nobody is asked.
	undoable bool
	// seen: it is for the state that the operator has seen, and demands --etag.
	seen bool
	// also is what is done beside, in the words of what will be done; done what was done.
	also, done string
	// then follows done and the id: where what comes of it is seen.
	then string
	// failed is that of change.
	failed func(answer json.RawMessage) error
}

// changing is a command that changes one of them.
func (r *resource) changing(ch resourceChange) *cobra.Command {
	var f changing
	yes, etag, use := "", "", strings.ReplaceAll(ch.action, "_", "-")
	if !ch.undoable {
		yes = " --yes"
	}
	if ch.seen {
		etag = " --etag bGF0ZXN0IHNlZW4"
	}
	c := &cobra.Command{
		Use:   use + " <" + r.id + ">",
		Short: ch.short,
		Long:  ch.long,
		Example: fmt.Sprintf(`  caddy dcr %[1]s %[2]s %[3]s%[5]s --reason "ticket 4711"
  caddy dcr %[1]s %[2]s %[3]s%[5]s --workspace default/obuk --reason "ticket 4711" --operator "Anna Smith"%[4]s`, r.path, use, r.example, yes, etag),
		Args: oneArgument("the " + r.id),
		RunE: func(c *cobra.Command, args []string) error {
			if ch.seen && f.tag == "" {
				return usage("--etag is missing: look at it with caddy dcr %s show %s, and give the etag that this prints", r.path, args[0])
			}
			return f.run(c, change{
				resource: apiPath(r.path, args[0]), action: ch.action, final: !ch.undoable, show: r.show, done: ch.done + " " + args[0] + ch.then, failed: ch.failed,
				describe: func(one json.RawMessage) (string, error) {
					name, err := r.name(one)
					return strings.ReplaceAll(ch.action, "_", " ") + " " + name + ch.also, err
				},
			})
		},
	}
	f.flags(c, ch.undoable)
	workspaceFlag(c, &f.workspace, &f.runningGateway)
	c.ValidArgsFunction = r.ids.first(&f.runningGateway)
	return c
}
