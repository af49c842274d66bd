package admin

import (
	"github.com/caddy-dcr/caddy-dcr/registry"
)

// notRotated is a client that keeps the secret it had.
type notRotated struct {
	ClientID string `json:"client_id"`
	Error    string `json:"error"`
}

// rotateSecrets gives one client in bridge mode another secret at the AS, or all of
// a page, one after the other: no AS should be asked for thousands at once.
func (c *call) rotateSecrets() (any, error) {
	q, err := c.query([]string{"workspace"}, "client_id", "cursor", "limit")
	if err != nil {
		return nil, err
	}
	if err := c.configured(q["workspace"]); err != nil {
		return nil, err
	}
	if id := q["client_id"]; id != "" {
		if len(q) > 2 {
			return nil, badRequest("client_id: goes with workspace alone; it is of one client, which has no pages")
		}
		return map[string]any{"rotated": 1}, c.registry.RotateSecret(c.r.Context(), q["workspace"], id)
	}
	n, err := limit(q["limit"])
	if err != nil {
		return nil, err
	}
	clients, next, err := c.registry.List(c.r.Context(), q["workspace"], registry.ByTime, "", q["cursor"], n)
	if err != nil {
		return nil, err
	}
	rotated, failures := 0, []notRotated{}
	for _, client := range clients {
		if client.Bridge == "" || client.Status != registry.Active {
			continue
		}
		if err := c.registry.RotateSecret(c.r.Context(), q["workspace"], client.ClientID); err != nil {
			failures = append(failures, notRotated{client.ClientID, err.Error()})
			continue
		}
		rotated++
	}
	answer := map[string]any{"rotated": rotated, "failed": failures}
	if next != "" {
		answer["next"] = next
	}
	return answer, nil
}
