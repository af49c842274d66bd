package command

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-dcr/caddy-dcr/caddymodule/admin"
	"github.com/caddy-dcr/caddy-dcr/caddymodule/policylanguage"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// against are the flags of a candidate that is compared with what is registered.
type against struct {
	runningGateway
	policy, registry, workspace, operation string
}

func (a *against) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&a.policy, "policy", "", "a policy that is not in service, with --against")
	f.StringVar(&a.registry, "against", "", "registry: what the running gateway has registered")
	f.StringVar(&a.workspace, "workspace", "", "whose registrations, with --against")
	f.StringVar(&a.operation, "operation", verify.OperationCreate, "ask as if each was registered now (create) or updated now (update)")
	a.runningGateway.flags(c)
	completeFlag(c, "workspace", completions(completeWorkspaces).from(&a.runningGateway))
	completeWords(c, "operation", verify.OperationCreate, verify.OperationUpdate)
	completeWords(c, "against", "registry")
}

// used tells whether any of them is given, and what is wrong with them.
func (a *against) used(args []string) (bool, error) {
	if a.policy == "" && a.registry == "" {
		return false, nil
	}
	switch {
	case a.registry != "registry" || a.policy == "" || a.workspace == "":
		return true, usage("give --policy <file>, --against registry and --workspace <name> together")
	case len(args) > 0:
		return true, usage("give a folder with cases, or --policy and --against registry, not both")
	case !slices.Contains([]string{verify.OperationCreate, verify.OperationUpdate}, a.operation):
		return true, usage("--operation: create or update")
	}
	return true, nil
}

// toldEvery is after how many registrations it is told that the run goes on.
const toldEvery = 1000

// run asks the policy about every registration. It changes nothing.
func (a *against) run(c *cobra.Command) error {
	policy, unload, err := policylanguage.Load(c.Context(), a.policy)
	if err != nil {
		return err
	}
	defer unload()
	api, err := a.open()
	if err != nil {
		return err
	}
	total, refused, approvals, undecided := 0, 0, 0, 0
	for cursor := ""; ; {
		page, err := registrations(c.Context(), api, a.workspace, cursor)
		if err != nil {
			return err
		}
		for _, r := range page.Entries {
			verdict, reason := a.ask(c.Context(), policy, r.Input)
			switch verdict {
			case "refused":
				refused++
			case "approval":
				approvals++
			case "undecided":
				undecided++
			}
			if total++; total%toldEvery == 0 {
				c.PrintErrf("%d registrations\n", total)
			}
			if verdict == "" {
				continue
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "%-9s  client %s  software %s (%s)  organisation %s: %s\n", verdict, visible(r.ClientID), visible(r.SoftwareID), refusal.Quote(r.ClientName), visible(r.OrgID), visible(reason))
			if err != nil {
				return err
			}
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	summary := fmt.Sprintf("%d of %d registrations would be refused, %d cannot be decided", refused, total, undecided)
	if approvals > 0 {
		summary += fmt.Sprintf(", %d would need an approval", approvals)
	}
	if _, err := fmt.Fprintln(c.OutOrStdout(), summary); err != nil {
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

// registrationPage is one page of the running gateway's registrations.
type registrationPage struct {
	Entries []admin.Registration `json:"entries"`
	Next    string               `json:"next"`
}

func registrations(ctx context.Context, api *adminAPI, workspace, cursor string) (page registrationPage, err error) {
	q := url.Values{"workspace": {workspace}}
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	page, _, err = get[registrationPage](ctx, api, "registrations", q)
	return page, err
}

// ask is empty for a registration that the policy lets in. What nobody knows any more and
// the policy reads leaves it undecided; any other fault refuses, as it does in service.
func (a *against) ask(ctx context.Context, policy verify.Policy, in *verify.PolicyInput) (verdict, reason string) {
	if in.Operation = a.operation; a.operation == verify.OperationCreate {
		in.Client = nil
	}
	d := verify.Evaluate(ctx, policy, in, verify.DefaultPolicyTime*20)
	switch {
	case d.Allowed && d.Approval != "":
		return "approval", d.Approval
	case d.Allowed:
		return "", ""
	case d.Fault != nil && in.Token == nil && verify.Reads(policy, "token"):
		return "undecided", d.Reason + " (the policy reads token, and tokens are not kept)"
	case d.Fault != nil && in.Certificate == nil && verify.Reads(policy, "certificate"):
		return "undecided", d.Reason + " (the policy reads certificate, and that of this old registration was not kept)"
	}
	return "refused", d.Reason
}
