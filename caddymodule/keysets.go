package caddymodule

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// Whose keys a KeySet has.
const (
	KeysOfDirectory = "directory"            // those that sign software statements (jwks_uri of software_statement)
	KeysOfSoftware  = "software"             // those of a software (software_jwks_endpoint) or an organisation (org_jwks_endpoint)
	KeysRevoked     = "revoked"              // the revoked ones of a software
	KeysOfRequests  = "signed_request_body"  // those that sign requests (jwks_uri of signed_request_body)
	KeysOfServer    = "authorization_server" // those that sign access tokens
)

// keySets are the key sets that one part of a configuration has fetched.
type keySets struct {
	kind, directory string
	keeper          jwks.Keeper
	all             func() []*jwks.Source
}

// oneKeySet is that of one address; none where the keys are in a file.
func oneKeySet(kind, directory string, keys verify.KeySource, keeper jwks.Keeper) keySets {
	return keySets{kind, directory, keeper, func() []*jwks.Source {
		if source, ok := keys.(*jwks.Source); ok {
			return []*jwks.Source{source}
		}
		return nil
	}}
}

// KeySet is a JWKS that the gateway has fetched, or is to fetch.
type KeySet struct {
	// ID names it, as long as workspace, kind, directory and URL stay the same.
	ID string
	// Workspace, Kind (one of those above), and the Directory (iss) whose statements it is for:
	// empty for requests and for the authorization server.
	Workspace, Kind, Directory string

	source *jwks.Source
	keeper jwks.Keeper
}

// KeySets are those of a workspace ("" for all), by ID. Those of software are the ones that are
// in memory.
func (a *App) KeySets(workspace string) (list []KeySet) {
	for _, h := range a.workspaces {
		if workspace != "" && workspace != h.Workspace {
			continue
		}
		for _, sets := range h.keySets() {
			for _, source := range sets.all() {
				sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q", h.Workspace, sets.kind, sets.directory, source.URL()))
				list = append(list, KeySet{base64.RawURLEncoding.EncodeToString(sum[:12]), h.Workspace, sets.kind, sets.directory, source, sets.keeper})
			}
		}
	}
	slices.SortFunc(list, func(a, b KeySet) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// keySets are those of the workspace.
func (h *Handler) keySets() (list []keySets) {
	for _, s := range h.SoftwareStatements {
		list = append(list, s.sets...)
	}
	if h.SignedRequestBody != nil {
		list = append(list, h.SignedRequestBody.sets...)
	}
	if h.as != nil {
		list = append(list, h.serverKeys)
	}
	return list
}

// State is what it has now.
func (k KeySet) State() jwks.State { return k.source.State() }

// Refresh fetches it, with the bounds of every fetch: one at once, and none within
// jwks.RefreshEvery of the last one. fetched tells whether there was an attempt. Keys of before
// stay where it fails, and State has the error.
func (k KeySet) Refresh(ctx context.Context) (fetched bool) {
	return k.source.RefreshNow(ctx)
}

// Kept tells whether the store has a copy for the next start.
func (k KeySet) Kept(ctx context.Context, r *registry.Registry) (bool, error) {
	kept, ok := k.keeper.(keptKeys)
	if !ok {
		return false, nil
	}
	return r.KeepsKeys(ctx, kept.scope, k.source.URL())
}
