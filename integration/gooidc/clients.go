package main

import (
	"context"
	"encoding/json"
	"maps"

	"github.com/luikyv/go-oidc/pkg/goidc"
)

// metadata is all clients, oldest first: edge.Clients.
func (s *store) metadata(context.Context) ([]map[string]any, error) {
	var out []map[string]any
	for _, c := range s.clients.all() {
		out = append(out, metadata(c))
	}
	return out, nil
}

// metadata is a client in the names of RFC 7591.
func metadata(c goidc.Client) map[string]any {
	out := map[string]any{}
	if raw, err := json.Marshal(c.ClientMeta); err == nil {
		_ = json.Unmarshal(raw, &out)
	}
	delete(out, "custom_attributes")
	maps.Copy(out, c.CustomAttributes)
	out["client_id"] = c.ID
	out["client_id_issued_at"] = c.CreatedAt
	if c.Secret != "" {
		out["client_secret"] = c.Secret
	}
	return out
}
