package admin

import (
	"context"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// Registration is a client with what a policy would see if it was updated now with
// what it was registered with.
type Registration struct {
	ClientID   string `json:"client_id"`
	ClientName string `json:"client_name"`
	SoftwareID string `json:"software_id"`
	OrgID      string `json:"org_id"`
	// Input has no token, and no certificate for a client of a version that did not
	// keep it: nobody knows them any more.
	Input *verify.PolicyInput `json:"input"`
}

// maxRegistrations bounds a page: each has a software statement.
const maxRegistrations = 100

// registrations are those of one workspace, the oldest first.
func (c *call) registrations() (any, error) {
	if _, err := c.query([]string{"workspace"}, "cursor", "limit"); err != nil {
		return nil, err
	}
	return ofWorkspace(c, func(ctx context.Context, workspace, cursor string, limit int) (found []Registration, next string, err error) {
		stored, next, err := c.registry.Registrations(ctx, workspace, cursor, min(limit, maxRegistrations))
		for _, s := range stored {
			found = append(found, registration(s, workspace))
		}
		return found, next, err
	})
}

func registration(s registry.Stored, workspace string) Registration {
	metadata := s.Client.Metadata
	return Registration{s.Client.ClientID, s.Client.ClientName, s.Client.SoftwareID, s.Client.OrgID, &verify.PolicyInput{
		Operation: verify.OperationUpdate, Workspace: workspace, Now: time.Now().UTC(), Request: s.Claims, SSA: s.Statement,
		Registration: &metadata, Certificate: s.Certificate, Client: s.Client.ForPolicy(), Software: &verify.PolicySoftware{Clients: int64(s.Others)},
	}}
}
