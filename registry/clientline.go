package registry

import (
	"encoding/json"
	"errors"
	"unicode/utf8"

	"github.com/caddy-dcr/caddy-dcr/registry/clientfile"
)

// exportedSecrets are what an exported client has that nobody may read. They are sealed for
// the client's place in any store that has the keyset.
type exportedSecrets struct {
	Credentials Credentials `json:"credentials"`
	// Hash and Signing are the client's own secret, of which it has one or the other or none.
	Hash    []byte `json:"hash,omitempty"`
	Signing string `json:"signing,omitempty"`
	// AccessTokens are the gateway's own registration access tokens.
	AccessTokens []accessToken `json:"access_tokens,omitempty"`
}

// exportContext is another than that of a record: a line opens where its client does not exist.
func exportContext(workspace, clientID string) string { return key("export", workspace, clientID) }

// lineOf is a client as an export has it.
func (r *Registry) lineOf(v Reader, c *Client) (*clientfile.Client, error) {
	l := &clientfile.Client{
		ClientID: c.ClientID, Workspace: c.Workspace, Status: string(c.Status), SoftwareID: c.SoftwareID, OrgID: c.OrgID, Directory: c.Directory, ClientName: c.ClientName,
		IssuedAt: c.IssuedAt, UpdatedAt: c.UpdatedAt, Metadata: c.Metadata, MetadataDigest: c.MetadataDigest, Keys: c.Keys,
		JWKSURI: c.JWKSURI, RevokedJWKSURI: c.RevokedJWKSURI, ClientURI: c.ClientURI, LogoURI: c.LogoURI, PolicyURI: c.PolicyURI, TOSURI: c.TOSURI,
		Subject: c.Subject, SubjectFrom: c.SubjectFrom, Thumbprint: c.Thumbprint, CertificateExpires: c.CertificateExpires, StatementExpires: c.StatementExpires,
		Bridge: c.Bridge,
	}
	var err error
	if l.Suspended, err = suspended(v, c); err != nil {
		return nil, err
	}
	request, err := requestOf(v, c)
	if err != nil {
		return nil, err
	}
	if utf8.Valid(request) { // as all are that were verified
		l.SignedRequest = string(request)
	}
	return l, nil
}

// sealLine adds the secrets of a client to its line. A client whose secrets do not open with
// this keyset has none.
func (r *Registry) sealLine(l *clientfile.Client, c *Client) error {
	s := exportedSecrets{AccessTokens: c.AccessTokens, Hash: c.SecretHash()}
	if err := r.unseal(c); err != nil {
		return err
	}
	s.Credentials = c.Credentials
	if c.Secret != nil && len(c.Secret.Sealed) > 0 {
		var err error
		if s.Signing, err = r.SigningSecret(c); err != nil {
			return err
		}
	}
	if s.Credentials == (Credentials{}) && s.Hash == nil && s.Signing == "" && s.AccessTokens == nil {
		return nil
	}
	text, err := json.Marshal(s)
	if err == nil {
		l.Sealed, err = r.sealer.Seal(text, exportContext(c.Workspace, c.ClientID))
	}
	return err
}

// openLine are the secrets of an exported line.
func (r *Registry) openLine(l *clientfile.Client) (s exportedSecrets, err error) {
	text, err := r.sealer.Open(l.Sealed, exportContext(l.Workspace, l.ClientID))
	if err != nil {
		return s, errors.New("sealed does not open with this gateway's keyset as the secrets of this client_id in this workspace; use the keyset of the gateway that exported it, or export without secrets")
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, errors.New("sealed cannot be read")
	}
	return s, nil
}
