package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-dcr/caddy-dcr/caddymodule/policylanguage"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// against are the flags of a candidate that is compared with what is registered.
type against struct {
	policy, registry, workspace, operation string
	address, config, adapter               string
}

func (a *against) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&a.policy, "policy", "", "a policy that is not in service, with --against")
	f.StringVar(&a.registry, "against", "", "registry: what the running gateway has registered")
	f.StringVar(&a.workspace, "workspace", "", "whose registrations, with --against")
	f.StringVar(&a.operation, "operation", verify.OperationCreate, "ask as if each was registered now (create) or updated now (update)")
	f.StringVar(&a.address, "address", "", "the gateway's admin address (default: that of --config, else localhost:2019)")
	f.StringVarP(&a.config, "config", "c", "", "the gateway's configuration, for its admin address")
	f.StringVarP(&a.adapter, "adapter", "a", "", "the adapter of --config")
}

// used tells whether any of them is given, and what is wrong with them.
func (a *against) used(args []string) (bool, error) {
	if a.policy == "" && a.registry == "" {
		return false, nil
	}
	switch {
	case a.registry != "registry" || a.policy == "" || a.workspace == "":
		return true, errors.New("give --policy <file>, --against registry and --workspace <name> together")
	case len(args) > 0:
		return true, errors.New("give a folder with cases, or --policy and --against registry, not both")
	case !slices.Contains([]string{verify.OperationCreate, verify.OperationUpdate}, a.operation):
		return true, errors.New("--operation: create or update")
	}
	return true, nil
}

// progress is after how many registrations it is told that the run goes on.
const progress = 1000

// run asks the policy about every registration. It changes nothing.
func (a *against) run(c *cobra.Command) error {
	policy, unload, err := policylanguage.Load(c.Context(), a.policy)
	if err != nil {
		return err
	}
	defer unload()
	address, err := caddycmd.DetermineAdminAPIAddress(a.address, nil, a.config, a.adapter)
	if err != nil {
		return err
	}
	total, refused, undecided := 0, 0, 0
	for cursor := ""; ; {
		page, next, err := registrations(address, a.workspace, cursor)
		if err != nil {
			return err
		}
		for _, r := range page {
			verdict, reason := a.ask(c.Context(), policy, r.Input)
			switch verdict {
			case "refused":
				refused++
			case "undecided":
				undecided++
			}
			if total++; total%progress == 0 {
				c.PrintErrf("%d registrations\n", total)
			}
			if verdict == "" {
				continue
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "%-9s  client %s  software %s (%s)  organisation %s: %s\n", verdict, r.ClientID, r.SoftwareID, refusal.Quote(r.ClientName), r.OrgID, reason)
			if err != nil {
				return err
			}
		}
		if cursor = next; next == "" {
			break
		}
	}
	if _, err := fmt.Fprintf(c.OutOrStdout(), "%d of %d registrations would be refused, %d cannot be decided\n", refused, total, undecided); err != nil {
		return err
	}
	var parts []string
	if refused > 0 {
		parts = append(parts, count(refused, "registration", "registrations")+" would be refused")
	}
	if undecided > 0 {
		parts = append(parts, count(undecided, "registration", "registrations")+" cannot be decided")
	}
	if len(parts) > 0 {
		return errors.New(strings.Join(parts, ", "))
	}
	return nil
}

// ask is empty for a registration that the policy lets in. What nobody knows any more and
// the policy reads leaves it undecided; any other fault refuses, as it does in service.
func (a *against) ask(ctx context.Context, policy verify.Policy, in *verify.PolicyInput) (verdict, reason string) {
	if in.Operation = a.operation; a.operation == verify.OperationCreate {
		in.Client = nil
	}
	d := verify.Evaluate(ctx, policy, in, verify.DefaultPolicyTime*20)
	switch {
	case d.Allowed:
		return "", ""
	case d.Fault != nil && in.Token == nil && verify.Reads(policy, "token"):
		return "undecided", d.Reason + " (the policy reads token, and tokens are not kept)"
	case d.Fault != nil && in.Certificate == nil && verify.Reads(policy, "certificate"):
		return "undecided", d.Reason + " (the policy reads certificate, and that of this old registration was not kept)"
	}
	return "refused", d.Reason
}
