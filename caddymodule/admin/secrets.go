package admin

import "github.com/caddy-dcr/caddy-dcr/registry"

// rotateSecrets gives one client in bridge mode another secret at the AS, or all of a page.
func (c *call) rotateSecrets() (any, error) {
	rotated := 0
	answer, err := c.oneOrPage(func(workspace, clientID string) error {
		err := c.registry.RotateSecret(c.r.Context(), workspace, clientID, registry.Act{})
		if err == nil {
			rotated++
		}
		return err
	}, func(client *registry.Client) bool { return client.Bridge != "" && client.Status == registry.Active })
	if err != nil {
		return nil, err
	}
	answer["rotated"] = rotated
	return answer, nil
}
