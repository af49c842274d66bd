package registry

import (
	"bytes"
	"encoding/json"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// lookup is what the store has of a client that is to be imported.
type lookup struct {
	// imported: this import has written it. present: it is there with the same content.
	imported, present bool
	problem           string
}

func (r *Registry) lookUp(v getter, id string, m *importedClient) (found lookup, err error) {
	c := m.client
	entry, err := get(v, importedKey(id, c))
	if err != nil {
		return found, err
	}
	taken, err := get(v, idKey(c))
	switch {
	case err != nil:
		return found, err
	case entry != nil && taken != nil:
		found.imported = true
		return found, nil
	case taken == nil:
		return r.lookUpAlike(v, c)
	case len(taken) == 0:
		found.problem = "client_id was deleted here, and stays taken; leave out the line, and delete the client at the authorization server"
		return found, nil
	}
	now, err := loadClient(v, c.Workspace, string(taken))
	if err != nil {
		return found, err
	}
	if found.present, err = r.same(v, now, m); err != nil {
		return found, err
	}
	if !found.present {
		found.problem = "client_id is registered here already, with other content; an import replaces nothing: leave out the line"
		return found, nil
	}
	if m.suspended {
		if found.present, err = suspended(v, now); err == nil && !found.present {
			found.problem = "this client is registered here already, and is not suspended; suspend it, or leave out the line"
		}
	}
	return found, err
}

func (r *Registry) lookUpAlike(v getter, c *Client) (found lookup, err error) {
	folded := verify.Fold(c.ClientID)
	for _, kind := range []string{"id", "alike"} {
		other, err := get(v, key(kind, c.Workspace, folded))
		if err != nil {
			return found, err
		}
		if other != nil {
			found.problem = "client_id differs from a registered one only in case, accents or blanks; an authorization server may take them for one, leave out the line"
		}
	}
	return found, nil
}

// same tells whether a client has the content of a line, as far as the line has any.
func (r *Registry) same(v getter, now *Client, m *importedClient) (bool, error) {
	comparable := func(c *Client) *Client {
		one := *c
		one.Schema, one.ID, one.Document, one.Counted, one.Change, one.ChangeUntil, one.Unconfirmed = 0, "", "", false, "", 0, false
		one.AccessTokens, one.Secret, one.Sealed, one.Bridge, one.Keys, one.StatementExpires = nil, nil, nil, "", "", 0
		if !m.issuedGiven {
			one.IssuedAt = 0
		}
		return &one
	}
	a, err := json.Marshal(comparable(now))
	if err != nil {
		return false, err
	}
	b, err := json.Marshal(comparable(m.client))
	if err != nil || !bytes.Equal(a, b) {
		return false, err
	}
	if m.document.request != nil {
		request, err := requestOf(v, now)
		if err != nil || !bytes.Equal(request, m.document.request) {
			return false, err
		}
	}
	if !m.given {
		return true, nil
	}
	own := *now
	if err := r.unseal(&own); err != nil {
		return false, nil // other secrets than those that open
	}
	signing, _ := r.SigningSecret(now) // of a client without one there is none
	hash := []byte(nil)
	if m.secret != nil {
		hash = m.secret.Hash
	}
	return own.Credentials == m.credentials && bytes.Equal(now.SecretHash(), hash) && signing == m.signing, nil
}
