package page

import (
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-dcr/caddy-dcr/caddymodule/admin"
	"github.com/caddy-dcr/caddy-dcr/registry"
)

// listRows is how many clients a page of the table has.
const listRows = 50

// clientsPage is a page of the table of clients.
type clientsPage struct {
	Filters    url.Values
	Workspaces []string
	Statuses   []registry.Status
	Expires    []option
	Unused     []option
	Rows       []clientRow
	// Next is the query of the page behind it; empty for none.
	Next template.URL
	// Looked is how many clients were looked at, UpTo when the last of these was registered:
	// a search looks at some thousand a page.
	Looked int
	UpTo   time.Time
	// Filtered: not all clients are asked for.
	Filtered bool
	Status   admin.Status
	// Problem is why there is no table.
	Problem string
}

// option is one of a select.
type option struct{ Value, Text string }

var (
	expiresOptions = []option{{"14", "within 14 days"}, {"30", "within 30 days"}, {"90", "within 90 days"}}
	unusedOptions  = []option{{"30", "for 30 days"}, {"180", "for 180 days"}, {"400", "for 400 days"}}
	statuses       = []registry.Status{registry.Active, registry.AwaitingApproval, registry.Pending, registry.Deleting}
)

// clientRow is a client in the table.
type clientRow struct {
	admin.Client
	// Expires says how soon the certificate ends: soon, over, or nothing.
	Expires string
}

// clientList is the answer of the admin API.
type clientList struct {
	Entries []admin.Client `json:"entries"`
	Next    string         `json:"next"`
	Looked  int            `json:"looked"`
	UpTo    time.Time      `json:"up_to"`
}

// filterNames are the parameters of the page, each as the admin API has it.
var filterNames = []string{"name", "workspace", "status", "suspended", "directory", "org_id", "software_id", "client_id", "dn"}

// clients draws the table.
func (r *request) clients() error {
	asked := r.URL.Query()
	p := clientsPage{Filters: url.Values{}, Statuses: statuses, Expires: expiresOptions, Unused: unusedOptions}
	query := url.Values{"limit": {strconv.Itoa(listRows)}}
	for _, name := range filterNames {
		if value := strings.TrimSpace(asked.Get(name)); value != "" {
			p.Filters.Set(name, value)
			query.Set(name, value)
		}
	}
	now := time.Now().UTC()
	for _, f := range []struct {
		name, parameter string
		options         []option
		sign            int
	}{{"expires", "certificate_expires_before", expiresOptions, 1}, {"unused", "last_used_before", unusedOptions, -1}} {
		days, known := daysOf(asked.Get(f.name), f.options)
		if known {
			p.Filters.Set(f.name, asked.Get(f.name))
			query.Set(f.parameter, now.AddDate(0, 0, f.sign*days).Format(time.RFC3339))
		}
	}
	p.Filtered = len(p.Filters) > 0
	if cursor := asked.Get("cursor"); cursor != "" {
		query.Set("cursor", cursor)
	}
	status := http.StatusOK
	if err := r.findClients(&p, query, now); err != nil {
		p.Problem = err.Error()
		status = statusOf(err)
	}
	if s, _, err := get[admin.Status](r.Context(), r.api, "status", nil); err == nil {
		p.Status = s
		for _, one := range s.Workspaces {
			p.Workspaces = append(p.Workspaces, one.Workspace)
		}
	}
	r.render(status, "clients", view{Title: "Applications", Section: "clients", Data: p})
	return nil
}

func (r *request) findClients(p *clientsPage, query url.Values, now time.Time) error {
	found, _, err := get[clientList](r.Context(), r.api, "clients", query)
	if err != nil {
		return err
	}
	for _, c := range found.Entries {
		p.Rows = append(p.Rows, clientRow{c, expiry(c.CertificateExpiresAt, now)})
	}
	p.Looked, p.UpTo = found.Looked, found.UpTo
	if found.Next != "" {
		next := url.Values{"cursor": {found.Next}}
		for name, values := range p.Filters {
			next[name] = slices.Clone(values)
		}
		p.Next = template.URL(next.Encode())
	}
	return nil
}

// daysOf is the number of days of an option.
func daysOf(value string, options []option) (days int, known bool) {
	for _, o := range options {
		if o.Value == value {
			for _, digit := range value {
				days = days*10 + int(digit-'0')
			}
			return days, true
		}
	}
	return 0, false
}

// expiresSoon is how long before its end a certificate is marked.
const expiresSoon = 30 * 24 * time.Hour

// expiry says whether a certificate has ended (over), or ends soon.
func expiry(at, now time.Time) string {
	switch {
	case at.IsZero() || at.Sub(now) > expiresSoon:
		return ""
	case at.After(now):
		return "soon"
	}
	return "over"
}

// statusOf is the HTTP status for an error of the admin API.
func statusOf(err error) int {
	for _, status := range []int{http.StatusBadRequest, http.StatusNotFound} {
		if refusedWith(err, status) {
			return status
		}
	}
	return http.StatusBadGateway
}
