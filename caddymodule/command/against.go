package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-dcr/caddy-dcr/caddymodule/admin"
	"github.com/caddy-dcr/caddy-dcr/caddymodule/policycases"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// against are the flags of a candidate that is held to what is registered.
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
	policy, unload, err := policycases.Load(c.Context(), a.policy)
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
			_, err := fmt.Fprintf(c.OutOrStdout(), "%-9s  client %s  software %s (%s)  organisation %s: %s\n", verdict, r.ClientID, r.SoftwareID, verify.Quote(r.ClientName), r.OrgID, reason)
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
	if refused+undecided > 0 {
		return fmt.Errorf("%d registrations would not pass", refused+undecided)
	}
	return nil
}

// ask is empty for a registration that the policy lets in.
func (a *against) ask(ctx context.Context, policy verify.Policy, in *verify.PolicyInput) (verdict, reason string) {
	if in.Operation = a.operation; a.operation == verify.OperationCreate {
		in.Client = nil
	}
	d := verify.Evaluate(ctx, policy, in, verify.DefaultPolicyTime*20)
	switch {
	case d.Allowed:
		return "", ""
	case d.Fault != nil && (in.Certificate == nil || in.Token == nil):
		return "undecided", d.Reason + " (tokens are not kept, nor the certificates of old registrations)"
	}
	return "refused", d.Reason
}

// registrations is one page of the running gateway's.
func registrations(address, workspace, cursor string) (page []admin.Registration, next string, err error) {
	q := url.Values{"workspace": {workspace}, "cursor": {cursor}}
	if cursor == "" {
		q.Del("cursor")
	}
	res, err := caddycmd.AdminAPIRequest(address, http.MethodGet, "/openbanking_dcr/registrations?"+q.Encode(), nil, nil)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxPage))
	if err != nil {
		return nil, "", err
	}
	var answer struct {
		Entries []admin.Registration `json:"entries"`
		Next    string               `json:"next"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, "", fmt.Errorf("the gateway's answer: %w", err)
	}
	return answer.Entries, answer.Next, nil
}

// maxPage bounds an answer in bytes: a hundred registrations have 14 MB at most.
const maxPage = 64 << 20
