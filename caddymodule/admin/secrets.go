package admin

import "github.com/caddy-dcr/caddy-dcr/registry"

// rotateSecrets gives all clients of a page that are in bridge mode another secret at the AS.
func (c *call) rotateSecrets() (any, error) {
	if _, err := c.query(nil, "workspace", "cursor", "limit"); err != nil {
		return nil, err
	}
	workspace, err := c.workspace()
	if err != nil {
		return nil, err
	}
	act, err := c.said()
	if err != nil {
		return nil, err
	}
	rotated := 0
	answer, err := c.eachOfPage(workspace, func(workspace, clientID string) error {
		err := c.registry.RotateSecret(c.r.Context(), workspace, clientID, act)
		if err == nil {
			rotated++
		}
		return err
	}, func(client *registry.Client) bool { return client.Bridge != "" && client.Registered() })
	if err != nil {
		return nil, err
	}
	answer["rotated"] = rotated
	return answer, nil
}
