package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

var errNotConfirmed = errors.New("not confirmed: nothing was done")

// act are the flags of every command that changes something: why, and who does it.
type act struct{ reason, operator string }

// flags adds them. Without a reason of its own (usual) the command demands one.
func (a *act) flags(c *cobra.Command, usual string) {
	c.Flags().StringVar(&a.reason, "reason", usual, "why; it is kept with who did it")
	c.Flags().StringVar(&a.operator, "operator", "", "who does it, where your certificate does not say it; default: your user name on this machine")
}

// body is what the admin API takes with every change.
func (a *act) body() (map[string]string, error) {
	switch {
	case a.reason == "":
		return nil, usage("--reason is missing: write why you do this, for the audit trail")
	case a.operator != "":
		return map[string]string{"reason": a.reason, "operator": a.operator}, nil
	}
	return map[string]string{"reason": a.reason, "local_user": localUser()}, nil
}

// localUser is who runs the command.
func localUser() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return fmt.Sprint("uid ", os.Getuid())
}

// changing are the flags of every command that changes one resource of the admin API.
type changing struct {
	runningGateway
	act
	confirmation
	// workspace has a flag where the command adds it.
	workspace, tag string
	json           bool
}

// flags adds them. --yes is there for what cannot be undone alone.
func (f *changing) flags(c *cobra.Command, undoable bool) {
	f.runningGateway.flags(c)
	f.act.flags(c, "")
	if !undoable {
		f.confirmation.flags(c)
	}
	c.Flags().StringVar(&f.tag, "etag", "", "change it only if it is as you have seen it: the etag that show prints, with its quotation marks or without")
	jsonFlag(c, &f.json)
}

// change is a change of one resource.
type change struct {
	// resource is the path of what is changed, action that below it; see apiPath.
	resource, action string
	query            url.Values
	// final cannot be undone.
	final bool
	// describe says what will be done to the resource, as GET shows it: suspend client x of y.
	describe func(resource json.RawMessage) (string, error)
	// show prints the resource.
	show func(out io.Writer, resource json.RawMessage, tag string) error
	// done is what was done: deleted client x.
	done string
	// result is done where the answer has more to say.
	result func(answer json.RawMessage) (string, error)
	// failed tells from the answer whether it was not done after all. Default: it was.
	failed func(answer json.RawMessage) error
}

// run reads the resource, says what will be done, asks where it cannot be undone, and does it
// if the resource is still what was read.
func (f *changing) run(c *cobra.Command, ch change) error {
	body, err := f.body()
	if err != nil {
		return err
	}
	if ch.final {
		if err := f.possible(c); err != nil {
			return err
		}
	}
	api, err := f.open()
	if err != nil {
		return err
	}
	if ch.query == nil {
		ch.query = url.Values{}
	}
	if f.workspace != "" {
		ch.query.Set("workspace", f.workspace)
	}
	ctx := c.Context()
	before, err := api.do(ctx, apiCall{method: http.MethodGet, path: ch.resource, query: ch.query})
	if err != nil {
		return err
	}
	switch {
	case f.tag != "" && before.tag == "":
		return usage("--etag: this has none")
	case f.tag != "" && !sameTag(f.tag, before.tag):
		return f.changed(c, ch, before)
	}
	what, err := ch.describe(before.body)
	if err != nil {
		return err
	}
	c.PrintErrln(visible(what))
	if ch.final {
		if err := f.ask(c, "This cannot be undone. Do it?"); err != nil {
			return err
		}
	}
	after, err := f.send(ctx, c.ErrOrStderr(), api, apiCall{method: http.MethodPost, path: ch.resource + "/" + ch.action, query: ch.query, body: body, match: before.tag})
	if refusedWith(err, http.StatusPreconditionFailed) {
		now, again := api.do(ctx, apiCall{method: http.MethodGet, path: ch.resource, query: ch.query})
		if again != nil {
			return errors.Join(err, again)
		}
		return f.changed(c, ch, now)
	}
	if err != nil {
		return err
	}
	if err := f.printDone(c, ch, after); err != nil || ch.failed == nil {
		return err
	}
	return ch.failed(after.body)
}

// send makes the call, and says that it goes on where it takes long.
func (f *changing) send(ctx context.Context, stderr io.Writer, api *adminAPI, call apiCall) (*apiAnswer, error) {
	p := startProgress(stderr, progressEvery, "waiting for the gateway at "+api.address)
	defer p.stop()
	return api.do(ctx, call)
}

// changed shows the resource, which is not what the operator has seen.
func (f *changing) changed(c *cobra.Command, ch change, now *apiAnswer) error {
	if err := f.print(c, ch, now); err != nil {
		return err
	}
	return errors.New("it has changed since you looked, and nothing was done: look at it above as it is now, and run the command again with its etag")
}

func (f *changing) print(c *cobra.Command, ch change, a *apiAnswer) error {
	if f.json {
		return printDocument(c.OutOrStdout(), a.body)
	}
	return ch.show(c.OutOrStdout(), a.body, a.tag)
}

func (f *changing) printDone(c *cobra.Command, ch change, after *apiAnswer) error {
	switch {
	case f.json:
		return printDocument(c.OutOrStdout(), after.body)
	case after.status == http.StatusAccepted:
		return printProposal(c.OutOrStdout(), after)
	}
	if ch.failed != nil && ch.failed(after.body) != nil {
		return nil
	}
	if ch.result != nil {
		done, err := ch.result(after.body)
		if err != nil {
			return err
		}
		ch.done = done
	}
	_, err := fmt.Fprintln(c.OutOrStdout(), visible(ch.done))
	return err
}

// printProposal says that another operator must confirm the change (four_eyes).
func printProposal(out io.Writer, a *apiAnswer) error {
	answer, err := decode[struct {
		Proposal registry.Proposal `json:"proposal"`
	}](a)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "proposed, and nothing is changed yet: another operator confirms it with the same command, until %s\n", secondsText(answer.Proposal.Until))
	return err
}

// sameTag compares an entity tag as somebody has written it, who may have left its quotation
// marks to the shell.
func sameTag(written, tag string) bool { return strings.Trim(written, `"`) == strings.Trim(tag, `"`) }
