package admin

import (
	"github.com/caddy-dcr/caddy-dcr/caddymodule"
	"github.com/caddy-dcr/caddy-dcr/registry"
)

func (c *call) approveClient() (any, error) {
	return c.changeClient(func(workspace, clientID string, act registry.Act) error {
		client, err := c.registry.Approve(c.r.Context(), workspace, clientID, act)
		return c.decided(caddymodule.EventApproved, client, act, err)
	})
}

func (c *call) refuseClient() (any, error) {
	return c.changeClient(func(workspace, clientID string, act registry.Act) error {
		client, err := c.registry.Refuse(c.r.Context(), workspace, clientID, act)
		return c.decided(caddymodule.EventRefused, client, act, err)
	})
}

// decided tells whoever listens what an operator has decided about a client.
func (c *call) decided(event string, client *registry.Client, act registry.Act, err error) error {
	if err == nil {
		c.app.Emit(event, map[string]any{
			"workspace": client.Workspace, "client_id": client.ClientID, "software_id": client.SoftwareID, "org_id": client.OrgID,
			"operator": act.Operator.Name, "operator_known": act.Operator.Known, "reason": act.Reason,
		})
	}
	return err
}
