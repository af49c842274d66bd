package command

import (
	"encoding/json"
	"io"

	"github.com/spf13/cobra"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

func epoch() *cobra.Command {
	return group("epoch", "Shows and confirms the epoch, after a restore or an accepted loss", epochShow(), epochConfirm())
}

func epochShow() *cobra.Command {
	var s showing
	c := &cobra.Command{
		Use:   "show",
		Short: "Shows the epoch, and whether it is confirmed",
		Long: `Shows the epoch: after a restore or an accepted loss, the time up to which everything that
was issued counts as used. Until an operator confirms it, client_ids that the registry does
not know are refused.`,
		Example: `  caddy dcr epoch show
  caddy dcr epoch show --json`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return s.run(c, "epoch", showEpoch) },
	}
	s.flags(c)
	return c
}

func epochConfirm() *cobra.Command {
	var f changing
	c := &cobra.Command{
		Use:   "confirm",
		Short: "Confirms that what was lost is dealt with",
		Long: `Confirms that an operator has dealt with what was lost: docs/store.md says what that is.
From then on unknown_clients applies again. What was issued before the epoch still counts
as used. This cannot be undone, so that the command asks for confirmation; --yes is for
scripts.`,
		Example: `  caddy dcr epoch confirm --reason "compared with the AS"
  caddy dcr epoch confirm --reason "compared with the AS" --operator "Anna Smith" --yes`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return f.run(c, change{resource: "epoch", action: "confirm", final: true, show: showEpoch, done: "confirmed the epoch", describe: func(one json.RawMessage) (string, error) {
				e, err := decode[registry.Epoch](&apiAnswer{body: one})
				if e.At == 0 {
					return "confirm the epoch, which is not there: nothing was restored or lost", err
				}
				return "confirm the epoch of " + secondsText(e.At) + " (" + e.Cause + ")", err
			}})
		},
	}
	f.flags(c, false)
	return c
}

func showEpoch(out io.Writer, one json.RawMessage, tag string) error {
	e, err := decode[struct {
		registry.Epoch
		Unconfirmed bool `json:"unconfirmed"`
	}](&apiAnswer{body: one})
	if err != nil {
		return err
	}
	d := details{out: out}
	state := "there is none: nothing was restored or lost"
	switch {
	case e.Unconfirmed:
		state = "unconfirmed"
	case e.At != 0:
		state = "confirmed"
	}
	d.value("epoch", state)
	d.value("used up to", secondsText(e.At))
	d.value("cause", e.Cause)
	d.value("label", e.Label)
	d.value("confirmed at", secondsText(e.Confirmed))
	d.value("reason", e.Reason)
	d.value("etag", tag)
	return d.flush()
}
