package admin

import (
	"errors"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

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
	}, func(client *registry.Client) bool { return client.Status == registry.Active })
	if err != nil {
		return nil, err
	}
	answer["lost"] = lost
	return answer, nil
}

// removeClient deletes a client that the AS has lost.
func (c *call) removeClient() (any, error) {
	q, err := c.query([]string{"workspace", "client_id", "reason"}, "without_check")
	if err != nil {
		return nil, err
	}
	if withoutCheck, ok := q["without_check"]; ok && withoutCheck != "true" {
		return nil, badRequest("without_check: the only value is true")
	}
	m := registry.Removal{Workspace: q["workspace"], ClientID: q["client_id"], Act: registry.Act{Reason: q["reason"]}, WithoutCheck: q["without_check"] == "true"}
	if err := m.Check(); err != nil {
		return nil, badRequest("%w", err)
	}
	if err := c.configured(m.Workspace); err != nil {
		return nil, err
	}
	err = c.registry.Remove(c.r.Context(), m)
	if errors.Is(err, registry.ErrCannotCheck) {
		err = errors.Join(err, errors.New("when you have looked, say so with without_check=true"))
	}
	return nil, err
}
