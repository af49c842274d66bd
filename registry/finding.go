package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// The kinds of Finding.
const (
	// Unused: nobody has used the client for as long as the workspace's Retire says.
	Unused = "unused"
	// KeyRevoked: a key with which the client's software could sign is on its directory's list
	// of revoked keys.
	KeyRevoked = "key_revoked"
	// CertificateRevoked: the client's certificate is on a CRL of the CA that has issued it.
	CertificateRevoked = "certificate_revoked"
	// NoUsableKey: the software's JWKS has keys, and none of them could verify a request.
	NoUsableKey = "no_usable_key"
	// CertificateExpired: the certificate that was last seen has expired.
	CertificateExpired = "certificate_expired"
	// CANotTrusted: the site no longer trusts the CA of the certificate.
	CANotTrusted = "ca_not_trusted"
	// DirectoryNotConfigured: the issuer of the client's software statement is not configured
	// any more.
	DirectoryNotConfigured = "directory_not_configured"
)

// FindingKinds are all of them.
var FindingKinds = []string{Unused, KeyRevoked, CertificateRevoked, NoUsableKey, CertificateExpired, CANotTrusted, DirectoryNotConfigured}

// lostTrust are the kinds that may suspend a client, by on_lost_trust suspend: someone who is
// trusted with it has signed, or published, that this key or certificate is revoked. All others
// may come of one outage, one clock or one wrong configuration, for all clients at once.
var lostTrust = []string{KeyRevoked, CertificateRevoked}

// Finding is something that speaks against a client. It is there until a later pass finds that
// it no longer holds.
type Finding struct {
	// Kind is one of those above, Detail what was found.
	Kind   string `json:"kind"`
	Detail string `json:"detail"`
	// Since is when it was found first, seconds since 1970.
	Since int64 `json:"since"`
	// SuspendedAt is when the gateway has suspended the client for it, seconds since 1970; 0 if
	// it has not. A client that an operator resumes is not suspended for it again.
	SuspendedAt int64 `json:"suspended_at,omitempty"`
}

// ClientFindings are those about one client, one of each kind at most.
type ClientFindings struct {
	Schema       int       `json:"v"`
	Workspace    string    `json:"workspace"`
	Registration string    `json:"registration"`
	ClientID     string    `json:"client_id"`
	ClientName   string    `json:"client_name"`
	SoftwareID   string    `json:"software_id"`
	OrgID        string    `json:"org_id"`
	Directory    string    `json:"directory"`
	Findings     []Finding `json:"findings"`
}

func findingKey(c *Client) string { return key("finding", c.Workspace, c.ID) }

// maxDetail bounds Detail.
const maxDetail = 300

func findingsOf(c *Client, found []Finding) *ClientFindings {
	return &ClientFindings{
		Schema: schema, Workspace: c.Workspace, Registration: c.ID, ClientID: c.ClientID, ClientName: c.ClientName,
		SoftwareID: c.SoftwareID, OrgID: c.OrgID, Directory: c.Directory, Findings: found,
	}
}

// readFindings are those that are stored about a client. Damaged ones are found anew.
func readFindings(r getter, c *Client) ([]Finding, error) {
	data, err := get(r, findingKey(c))
	if err != nil || data == nil {
		return nil, err
	}
	var f ClientFindings
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, nil
	}
	if f.Schema > schema {
		return nil, fmt.Errorf("registry: findings of schema %d, this version knows %d: run the newer version", f.Schema, schema)
	}
	return f.Findings, nil
}

// find is the one of a kind, nil for none.
func find(list []Finding, kind string) *Finding {
	i := slices.IndexFunc(list, func(f Finding) bool { return f.Kind == kind })
	if i < 0 {
		return nil
	}
	return &list[i]
}

// Findings lists the clients of a workspace ("" for all) with findings of a kind ("" for any),
// at most limit, and the cursor to go on with, empty at the end. It looks at no more than 2,000
// clients with findings, and then returns what it has found.
//
// Errors: ErrFilter; ErrCursor.
func (r *Registry) Findings(ctx context.Context, workspace, kind, cursor string, limit int) (list []ClientFindings, next string, err error) {
	if kind != "" && !slices.Contains(FindingKinds, kind) {
		return nil, "", fmt.Errorf("%w: kind is one of %s", ErrFilter, strings.Join(FindingKinds, ", "))
	}
	prefix := workspacePrefix("finding", workspace)
	if cursor != "" && !strings.HasPrefix(cursor, prefix) {
		return nil, "", ErrCursor
	}
	for looked := 0; looked < maxSearched; {
		var entries []Entry
		err := r.store.View(ctx, func(v Reader) (err error) {
			entries, err = v.Scan(prefix, cursor, searchedAtOnce)
			return err
		})
		if err != nil {
			return nil, "", err
		}
		for _, e := range entries {
			looked, cursor = looked+1, e.Key
			f, err := fromJSON[ClientFindings](nil, e)
			if err != nil {
				return nil, "", fmt.Errorf("registry: %s: %w", e.Key, err)
			}
			if kind == "" || find(f.Findings, kind) != nil {
				list = append(list, f)
			}
			if len(list) == limit {
				return list, cursor, nil
			}
		}
		if len(entries) < searchedAtOnce {
			return list, "", nil
		}
	}
	return list, cursor, nil
}
