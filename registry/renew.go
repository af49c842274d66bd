package registry

import (
	"bytes"
	"context"
	"errors"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// Renew makes the DN of a renewed certificate the one that authenticates a client.
// Whoever calls has found that the certificate is the client's although its DN is
// another (dn.Match); the AS compares on its own, so that it must know the
// new one before it sees the certificate. Everything else stays.
//
// Only a certificate that is younger than the one whose DN counts renews it:
// otherwise two certificates in use side by side would change the AS with every
// request.
//
// Errors: InvalidClient for an older certificate; those of Update.
func (r *Registry) Renew(ctx context.Context, ws Workspace, clientID string, cert *verify.Certificate) (*Client, error) {
	// First without a write: an older certificate may come with every request.
	if c, err := r.Client(ctx, ws.Name, clientID); err == nil {
		if done, err := renewed(c, cert); done || err != nil {
			return c, err
		}
	}
	ch := r.newChange(ws, clientID, Registration{Origin: Origin{Certificate: cert.Thumbprint}}, AuditRenewed)
	ch.check = func(now *Client) error {
		done, err := renewed(now, cert)
		if done { // by another request meanwhile
			return errNothingToDo
		}
		return err
	}
	ch.edit = func(c *Client) {
		c.Subject, c.SubjectFrom, c.Metadata.TLSClientAuthSubjectDN = cert.Leaf.RawSubject, cert.Leaf.NotBefore.Unix(), cert.Subject.String()
		c.showedCertificate(cert)
	}
	switch err := run(ctx, ch); {
	case errors.Is(err, errNothingToDo):
		return r.Client(ctx, ws.Name, clientID)
	case err != nil:
		return nil, err
	}
	return ch.client, nil
}

// renewed tells whether the certificate's DN is the client's already, or refuses a
// certificate that is no younger than the client's.
func renewed(c *Client, cert *verify.Certificate) (done bool, err error) {
	switch {
	case bytes.Equal(c.Subject, cert.Leaf.RawSubject):
		return true, nil
	case cert.Leaf.NotBefore.Unix() <= c.SubjectFrom:
		return false, refusal.New(refusal.InvalidClient, "client_authentication", "client authentication: this certificate was renewed; connect with the newer one")
	}
	return false, nil
}

// RefreshKeys tells the AS what keys the software has now, where it does not fetch
// them itself. Everything else stays.
//
// Errors: those of Update.
func (r *Registry) RefreshKeys(ctx context.Context, ws Workspace, clientID string) error {
	return run(ctx, r.newChange(ws, clientID, Registration{}, AuditKeysRefreshed))
}
