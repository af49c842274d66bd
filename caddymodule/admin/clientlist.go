package admin

import (
	"fmt"
	"strconv"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// label is that of every client of the registry, as in the Applications view.
const label = "DCR"

// Client is one client in a list. Times are RFC 3339; those that are not known are left out.
type Client struct {
	ClientID     string          `json:"client_id"`
	Registration string          `json:"registration"`
	Workspace    string          `json:"workspace"`
	Label        string          `json:"label"`
	Status       registry.Status `json:"status"`
	Suspended    bool            `json:"suspended"`
	ClientName   string          `json:"client_name"`
	SoftwareID   string          `json:"software_id"`
	OrgID        string          `json:"org_id"`
	Directory    string          `json:"directory"`
	// TokenEndpointAuth is native or bridge.
	TokenEndpointAuth       string `json:"token_endpoint_auth"`
	TokenEndpointAuthMethod string `json:"token_endpoint_auth_method"`
	// DN is that of the certificate, RFC 4514.
	DN                   string    `json:"dn,omitempty"`
	Thumbprint           string    `json:"thumbprint,omitempty"`
	CertificateExpiresAt time.Time `json:"certificate_expires_at,omitzero"`
	StatementExpiresAt   time.Time `json:"statement_expires_at,omitzero"`
	RegisteredAt         time.Time `json:"registered_at"`
	UpdatedAt            time.Time `json:"updated_at,omitzero"`
	// LastUsed is the day (UTC) of its last use, CertificateLastSeen the certificate that it came
	// with then. Both are missing for a client that was not used since marks are kept.
	LastUsed            string           `json:"last_used,omitempty"`
	CertificateLastSeen *SeenCertificate `json:"certificate_last_seen,omitempty"`
}

// SeenCertificate is a certificate that a client was used with.
type SeenCertificate struct {
	Thumbprint string    `json:"thumbprint"`
	Serial     string    `json:"serial"`
	ExpiresAt  time.Time `json:"expires_at,omitzero"`
}

func clientOf(c *registry.Client) Client {
	name := ""
	if dn, err := c.DN(); err == nil && len(dn) > 0 {
		name = dn.String()
	}
	lastUsed, seen := lastUse(c.Use)
	return Client{
		LastUsed: lastUsed, CertificateLastSeen: seen,
		ClientID: c.ClientID, Registration: c.ID, Workspace: c.Workspace, Label: label, Status: c.Status, Suspended: c.Suspended,
		ClientName: c.ClientName, SoftwareID: c.SoftwareID, OrgID: c.OrgID, Directory: c.Directory,
		TokenEndpointAuth: c.TokenEndpointAuth(), TokenEndpointAuthMethod: c.Metadata.TokenEndpointAuthMethod, DN: name, Thumbprint: c.Thumbprint,
		CertificateExpiresAt: timeOf(c.CertificateExpires), StatementExpiresAt: timeOf(c.StatementExpires), RegisteredAt: timeOf(c.IssuedAt), UpdatedAt: timeOf(c.UpdatedAt),
	}
}

func lastUse(u *registry.Use) (day string, seen *SeenCertificate) {
	if u == nil {
		return "", nil
	}
	if c := u.Certificate; c != nil {
		seen = &SeenCertificate{Thumbprint: c.Thumbprint, Serial: c.Serial, ExpiresAt: timeOf(c.Expires)}
	}
	return registry.DayTime(u.Day).Format(time.DateOnly), seen
}

// maxTime is the end of the year 9999: RFC 3339 has no later one.
const maxTime = 253402300799

// timeOf is zero for 0, and for what RFC 3339 cannot write.
func timeOf(seconds int64) time.Time {
	if seconds <= 0 || seconds > maxTime {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// clientPage is a page of the list. Looked is how many clients were looked at for it, UpTo when
// the last of these was registered.
type clientPage struct {
	Entries []Client  `json:"entries"`
	Next    string    `json:"next,omitempty"`
	Looked  int       `json:"looked"`
	UpTo    time.Time `json:"up_to,omitzero"`
}

// clientFilters are the parameters that choose clients.
var clientFilters = []string{
	"workspace", "label", "status", "suspended", "directory", "org_id", "software_id", "client_id", "dn", "name",
	"certificate_expires_before", "statement_expires_before", "registered_after", "registered_before",
	"last_used_after", "last_used_before",
}

// clients lists those that the filters choose.
func (c *call) clients() (any, error) {
	q, err := c.query(nil, append([]string{"cursor", "limit"}, clientFilters...)...)
	if err == nil {
		err = c.filter()
	}
	if err != nil {
		return nil, err
	}
	f, err := clientFilter(q)
	if err != nil {
		return nil, err
	}
	n, err := limit(q["limit"])
	if err != nil {
		return nil, err
	}
	workspaces := c.app.Workspaces()
	if q["workspace"] != "" {
		workspaces = []string{q["workspace"]}
	}
	found, err := c.registry.Search(c.r.Context(), workspaces, f, q["cursor"], n)
	if err != nil {
		return nil, err
	}
	page := clientPage{Entries: []Client{}, Next: found.Next, Looked: found.Looked, UpTo: timeOf(found.UpTo)}
	for _, client := range found.Clients {
		page.Entries = append(page.Entries, clientOf(client))
	}
	return page, nil
}

func clientFilter(q map[string]string) (f registry.Filter, err error) {
	if l := q["label"]; l != "" && l != label {
		return f, badRequest("label: the only one is %s", label)
	}
	f = registry.Filter{
		Status: registry.Status(q["status"]), Directory: q["directory"], OrgID: q["org_id"], SoftwareID: q["software_id"], ClientID: q["client_id"], Subject: q["dn"], Name: q["name"],
	}
	if text := q["suspended"]; text != "" {
		is, err := strconv.ParseBool(text)
		if err != nil || text != fmt.Sprint(is) {
			return f, badRequest("suspended: true or false")
		}
		f.Suspended = &is
	}
	for name, to := range map[string]*time.Time{
		"certificate_expires_before": &f.CertificateExpiresBefore, "statement_expires_before": &f.StatementExpiresBefore,
		"registered_after": &f.RegisteredAfter, "registered_before": &f.RegisteredBefore,
		"last_used_after": &f.LastUsedAfter, "last_used_before": &f.LastUsedBefore,
	} {
		if q[name] == "" {
			continue
		}
		if *to, err = time.Parse(time.RFC3339, q[name]); err != nil || to.Year() < 1970 || to.Year() > 9999 {
			return f, badRequest("%s: a time like 2026-01-31T00:00:00Z", name)
		}
	}
	return f, nil
}
