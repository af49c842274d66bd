package admin

import (
	"encoding/json"
	"errors"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// ClientDetails are all that the registry knows of one client. What secrets there are is not
// told.
type ClientDetails struct {
	Client
	Metadata *verify.Metadata `json:"metadata"`
	// Request are the claims of the request that it is registered with, Statement those of the
	// software statement in it.
	Request   strictjson.Object `json:"request"`
	Statement strictjson.Object `json:"software_statement"`
	// Certificate is the one that the request came with; null where none was demanded, and for
	// a client of a version that did not keep it.
	Certificate *verify.PolicyCertificate `json:"certificate"`
	// Unreadable is why request, statement and certificate are missing.
	Unreadable string `json:"unreadable,omitempty"`
	// JWKSURI is where its keys are, RevokedJWKSURI those that were revoked.
	JWKSURI        string `json:"jwks_uri,omitempty"`
	RevokedJWKSURI string `json:"revoked_jwks_uri,omitempty"`
	// OtherClients is how many other clients its software has in the workspace.
	OtherClients int                   `json:"other_clients_of_software"`
	Suspensions  []registry.Suspension `json:"suspensions"`
	// Findings are what speaks against the client, as of the last look at it.
	Findings      []registry.Finding     `json:"findings"`
	Discrepancies []registry.Discrepancy `json:"discrepancies"`
	Outbox        []registry.OutboxEntry `json:"outbox"`
	// Proposals are the changes that wait for another operator.
	Proposals []registry.Proposal `json:"proposals"`
	// History are the newest changes, the oldest first.
	History []registry.AuditEntry `json:"history"`
}

// client shows one client whole.
func (c *call) client() (any, error) {
	if _, err := c.query(nil, "workspace"); err != nil {
		return nil, err
	}
	workspace, err := c.workspace()
	if err != nil {
		return nil, err
	}
	return c.details(workspace)
}

func (c *call) details(workspace string) (any, error) {
	d, err := c.registry.Details(c.r.Context(), workspace, c.path["client_id"])
	if err != nil {
		return nil, err
	}
	c.tag = d.Tag
	unreadable := ""
	if d.Unreadable != nil {
		unreadable = d.Unreadable.Error()
	}
	return ClientDetails{
		Unreadable: unreadable,
		Client:     clientOf(d.Client), Metadata: &d.Client.Metadata, Request: d.Claims, Statement: d.Statement, Certificate: d.Certificate,
		JWKSURI: d.Client.JWKSURI, RevokedJWKSURI: d.Client.RevokedJWKSURI, OtherClients: d.Others,
		Suspensions: nonNil(d.Suspensions), Findings: nonNil(d.Findings), Discrepancies: nonNil(d.Discrepancies), Outbox: nonNil(d.Outbox), History: nonNil(d.History), Proposals: nonNil(d.Proposals),
	}, nil
}

// changeClient makes a change of one client, and shows what there is after it.
func (c *call) changeClient(change func(workspace, clientID string, act registry.Act) error) (any, error) {
	if _, err := c.query(nil, "workspace"); err != nil {
		return nil, err
	}
	workspace, err := c.workspace()
	if err != nil {
		return nil, err
	}
	act, err := c.act()
	if err != nil {
		return nil, err
	}
	act, proposal, err := c.confirmed(registry.Suspension{Workspace: workspace, Kind: registry.SuspendClient, Value: c.path["client_id"]}, act)
	if err != nil || proposal != nil {
		return proposal, err
	}
	if err := change(workspace, c.path["client_id"], act); err != nil {
		return nil, err
	}
	answer, err := c.details(workspace)
	if errors.Is(err, registry.ErrNotFound) {
		return nil, nil // it was deleted
	}
	return answer, err
}

func (c *call) suspendClient() (any, error) {
	return c.changeClient(func(workspace, clientID string, act registry.Act) error {
		return c.registry.Suspend(c.r.Context(), registry.Suspension{Workspace: workspace, Kind: registry.SuspendClient, Value: clientID, Act: act})
	})
}

func (c *call) resumeClient() (any, error) {
	return c.changeClient(func(workspace, clientID string, act registry.Act) error {
		return c.registry.Resume(c.r.Context(), registry.Suspension{Workspace: workspace, Kind: registry.SuspendClient, Value: clientID, Act: act})
	})
}

func (c *call) deleteClient() (any, error) {
	return c.changeClient(func(workspace, clientID string, act registry.Act) error {
		return c.registry.DeleteByOperator(c.r.Context(), workspace, clientID, act)
	})
}

func (c *call) rotateClientSecret() (any, error) {
	return c.changeClient(func(workspace, clientID string, act registry.Act) error {
		return c.registry.RotateSecret(c.r.Context(), workspace, clientID, act)
	})
}

// Interface guard: the claims are shown as they came.
var _ json.Marshaler = strictjson.Object{}
