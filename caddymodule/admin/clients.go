package admin

import (
	"errors"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// unsure is a client of which it could not be found out whether the AS has it.
type unsure struct {
	ClientID string `json:"client_id"`
	Error    string `json:"error"`
}

// askForClients asks the AS whether it still has one client, or all of a page, one after
// the other. Those that it has lost are among the divergences from then on.
func (c *call) askForClients() (any, error) {
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
		there, err := c.registry.StillThere(c.r.Context(), q["workspace"], id)
		if err != nil {
			return nil, err
		}
		return map[string]any{"lost": lostOf(id, there)}, nil
	}
	n, err := limit(q["limit"])
	if err != nil {
		return nil, err
	}
	clients, next, err := c.registry.List(c.r.Context(), q["workspace"], registry.ByTime, "", q["cursor"], n)
	if err != nil {
		return nil, err
	}
	lost, failures := []string{}, []unsure{}
	for _, client := range clients {
		if client.Status != registry.Active {
			continue
		}
		there, err := c.registry.StillThere(c.r.Context(), q["workspace"], client.ClientID)
		if err != nil {
			failures = append(failures, unsure{client.ClientID, err.Error()})
			continue
		}
		lost = append(lost, lostOf(client.ClientID, there)...)
	}
	answer := map[string]any{"lost": lost, "failed": failures}
	if next != "" {
		answer["next"] = next
	}
	return answer, nil
}

func lostOf(clientID string, there bool) []string {
	if there {
		return []string{}
	}
	return []string{clientID}
}

// removeClient deletes a client that the AS has lost.
func (c *call) removeClient() (any, error) {
	q, err := c.query([]string{"workspace", "client_id", "reason"}, "unasked")
	if err != nil {
		return nil, err
	}
	if unasked, ok := q["unasked"]; ok && unasked != "true" {
		return nil, badRequest("unasked: the only value is true")
	}
	m := registry.Removal{Workspace: q["workspace"], ClientID: q["client_id"], Reason: q["reason"], Unasked: q["unasked"] == "true"}
	if err := m.Check(); err != nil {
		return nil, badRequest("%w", err)
	}
	if err := c.configured(m.Workspace); err != nil {
		return nil, err
	}
	err = c.registry.Remove(c.r.Context(), m)
	if errors.Is(err, registry.ErrUnaskable) {
		err = errors.Join(err, errors.New("when you have looked, say so with unasked=true"))
	}
	return nil, err
}
