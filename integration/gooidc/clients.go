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

// change is edge.Change.
func (s *store) change(_ context.Context, id string, metadata map[string]any) error {
	c, err := s.clients.get(id)
	if err != nil {
		return err
	}
	if metadata == nil {
		s.clients.delete(id)
		return nil
	}
	raw, err := json.Marshal(metadata)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, &c.ClientMeta); err != nil {
		return err
	}
	s.clients.put(id, *c)
	return nil
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
