package admin

import "github.com/caddy-dcr/caddy-dcr/registry"

// undone is a client of a page with which something could not be done.
type undone struct {
	ClientID string `json:"client_id"`
	Error    string `json:"error"`
}

// eachOfPage does something with all clients of a page that want it, one after the other: no
// AS should be asked for thousands at once. The answer has those with which it failed, and
// where the next page begins.
func (c *call) eachOfPage(workspace string, do func(workspace, clientID string) error, want func(*registry.Client) bool) (answer map[string]any, err error) {
	q := c.parameters
	n, err := limit(q["limit"])
	if err != nil {
		return nil, err
	}
	clients, next, err := c.registry.List(c.r.Context(), workspace, registry.ByTime, "", q["cursor"], n)
	if err != nil {
		return nil, err
	}
	failures := []undone{}
	for _, client := range clients {
		if !want(client) {
			continue
		}
		if err := do(workspace, client.ClientID); err != nil {
			failures = append(failures, undone{client.ClientID, err.Error()})
		}
	}
	answer = map[string]any{"failed": failures}
	if next != "" {
		answer["next"] = next
	}
	return answer, nil
}
