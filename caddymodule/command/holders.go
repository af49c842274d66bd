package command

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-dcr/caddy-dcr/caddymodule/admin"
	"github.com/caddy-dcr/caddy-dcr/registry"
)

func software() *cobra.Command {
	return holderGroup("software", "a software", &resource{path: "software", id: "software_id", example: "4EGoP1qkZ8mW", ids: completeList("clients", "software_id", "client_name")})
}

func organisations() *cobra.Command {
	return holderGroup("organisations", "an organisation", &resource{path: "organisations", id: "org_id", example: "0015800001HQQrZAAX", ids: completeList("clients", "org_id", "")})
}

func directories() *cobra.Command {
	return holderGroup("directories", "a directory", &resource{path: "directories", id: "iss", example: `"OpenBanking Ltd"`, ids: completeList("clients", "directory", "")})
}

// holderGroup are the commands of what has clients, one: a software, an organisation or a
// directory. One that has no client yet can be suspended too.
func holderGroup(use, one string, r *resource) *cobra.Command {
	r.name, r.show = holderName, showHolder
	_, noun, _ := strings.Cut(one, " ")
	return group(use, "Shows, suspends and resumes "+one+" with all its clients",
		r.showing("Shows whether "+one+" is suspended, and how many clients it has", `Shows whether it is suspended, by whom and why, and how many clients it has. The clients
themselves are in caddy dcr clients list.`),
		r.changing(resourceChange{
			action: "suspend", short: "Suspends " + one + " with all its clients", undoable: true, done: "suspended " + noun,
			long: `Suspends all its clients, and those that it would register: they get no tokens, their
tokens are inactive, and they manage nothing, until it is resumed. Nothing is deleted. One
that has no client yet can be suspended too.`,
		}),
		r.changing(resourceChange{
			action: "resume", short: "Ends the suspension of " + one, undoable: true, done: "resumed " + noun,
			long: `Ends the suspension. Clients that are suspended themselves, or by another suspension, stay
suspended.`,
		}))
}

func holderName(one json.RawMessage) (string, error) {
	h, err := decode[admin.Holder](&apiAnswer{body: one})
	with := "with " + clientCount(&h)
	if h.Clients == 0 && h.AllCounted {
		with = "which has no clients (is its id right?)"
	}
	return fmt.Sprintf("%s %s, %s, in workspace %s", h.Kind, h.Value, with, h.Workspace), err
}

// clientCount is how many clients there are, as far as the gateway has counted.
func clientCount(h *admin.Holder) string {
	text := count(h.Clients, "client", "clients")
	if !h.AllCounted {
		text += " or more"
	}
	return text
}

func showHolder(out io.Writer, one json.RawMessage, tag string) error {
	h, err := decode[admin.Holder](&apiAnswer{body: one})
	if err != nil {
		return err
	}
	d := details{out: out}
	d.value(h.Kind, h.Value)
	d.value("workspace", h.Workspace)
	d.value("clients", clientCount(&h))
	d.value("suspended", map[bool]string{true: "yes", false: "no"}[h.Suspended])
	d.value("etag", tag)
	var suspensions []registry.Suspension
	if h.Suspension != nil {
		suspensions = append(suspensions, *h.Suspension)
	}
	if err := d.section("Proposals", rowsOf(h.Proposals, proposalRow), proposalColumns...); err != nil {
		return err
	}
	if err := d.section("Suspensions", rowsOf(suspensions, suspensionRow), suspensionColumns...); err != nil {
		return err
	}
	return d.flush()
}
