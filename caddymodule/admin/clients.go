package admin

import "github.com/caddy-dcr/caddy-dcr/registry"

// askForClients asks the AS whether it still has one client, or all of a page, one after
// the other. Those that it has lost are among the discrepancies from then on.
func (c *call) askForClients() (any, error) {
	lost := []string{}
	answer, err := c.oneOrPage(func(workspace, clientID string) error {
		there, err := c.registry.StillThere(c.r.Context(), workspace, clientID)
		if err == nil && !there {
			lost = append(lost, clientID)
		}
		return err
	}, func(client *registry.Client) bool { return client.Registered() })
	if err != nil {
		return nil, err
	}
	answer["lost"] = lost
	return answer, nil
}
