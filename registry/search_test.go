package registry_test

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// crowd registers clients that differ in all that can be searched for, in two workspaces, and
// suspends some of them.
func (x *fixture) crowd(n int) (all []*registry.Client) {
	x.t.Helper()
	random := rand.New(rand.NewPCG(1, 1))
	for i := range n {
		in := request(fmt.Sprint("jti", i), fmt.Sprint("token", i))
		claims, err := strictjson.Parse(fmt.Appendf(nil, `{"exp":%d}`, time.Now().Add(time.Duration(random.IntN(10))*time.Hour).Unix()))
		if err != nil {
			x.t.Fatal(err)
		}
		in.Request.Statement = &verify.SoftwareStatement{
			SoftwareID: fmt.Sprint("software", random.IntN(40)), OrgID: fmt.Sprint("org", random.IntN(9)), ClientName: fmt.Sprint("TPP Nr. ", random.IntN(30)),
			Issuer: &verify.Issuer{Name: fmt.Sprint("directory", random.IntN(3))}, Claims: claims,
		}
		in.Checked.Metadata.TLSClientAuthSubjectDN = fmt.Sprintf("CN=tpp%d,O=Acme,C=GB", random.IntN(60))
		ws := x.ws
		if random.IntN(3) == 0 {
			ws.Name = "other"
		}
		c, err := x.Register(x.t.Context(), ws, in)
		if err != nil {
			x.t.Fatal(err)
		}
		if c.StatementExpires == 0 {
			x.t.Fatal("the client does not keep when its statement expires")
		}
		all = append(all, c)
		if random.IntN(12) == 0 {
			time.Sleep(time.Hour) // in the bubble's time
		}
	}
	for _, s := range []registry.Suspension{
		{Workspace: "other", Kind: registry.SuspendSoftware, Value: "software3"},
		{Workspace: x.ws.Name, Kind: registry.SuspendOrganisation, Value: "org5"},
		{Workspace: x.ws.Name, Kind: registry.SuspendClient, Value: all[0].ClientID},
	} {
		if err := x.Suspend(x.t.Context(), s); err != nil {
			x.t.Fatal(err)
		}
	}
	for _, c := range all {
		c.Suspended = c.Workspace == "other" && c.SoftwareID == "software3" || c.Workspace != "other" && c.OrgID == "org5" || c.ID == all[0].ID && c.Workspace != "other"
	}
	return all
}

// searched is what a search finds in pages, and fails where a page is not as it must be.
func (x *fixture) searched(workspaces []string, f registry.Filter, limit int) (ids []string, pages int) {
	x.t.Helper()
	for cursor := ""; ; {
		page, err := x.Search(x.t.Context(), workspaces, f, cursor, limit)
		if err != nil {
			x.t.Fatal(err)
		}
		if len(page.Clients) > limit || page.Looked > 2000 {
			x.t.Fatalf("%d clients of %d looked at, want at most %d and 2000", len(page.Clients), page.Looked, limit)
		}
		for _, c := range page.Clients {
			ids = append(ids, c.ID)
		}
		if pages++; pages > 5000 {
			x.t.Fatal("the search does not end")
		}
		if cursor = page.Next; cursor == "" {
			return ids, pages
		}
	}
}

func TestSearch(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		all := x.crowd(160)
		began, hour := time.Unix(all[0].IssuedAt, 0), time.Hour
		yes, no := true, false
		for _, c := range []struct {
			name    string
			f       registry.Filter
			matches func(*registry.Client) bool
		}{
			{"all", registry.Filter{}, func(*registry.Client) bool { return true }},
			{"active", registry.Filter{Status: registry.Active}, func(*registry.Client) bool { return true }},
			{"deleting", registry.Filter{Status: registry.Deleting}, func(*registry.Client) bool { return false }},
			{"directory", registry.Filter{Directory: "directory1"}, func(c *registry.Client) bool { return c.Directory == "directory1" }},
			{"organisation", registry.Filter{OrgID: "org2"}, func(c *registry.Client) bool { return c.OrgID == "org2" }},
			{"no such organisation", registry.Filter{OrgID: "org"}, func(*registry.Client) bool { return false }},
			{"software", registry.Filter{SoftwareID: "software7"}, func(c *registry.Client) bool { return c.SoftwareID == "software7" }},
			{"software and organisation", registry.Filter{SoftwareID: "software7", OrgID: "org2"}, func(c *registry.Client) bool { return c.SoftwareID == "software7" && c.OrgID == "org2" }},
			{"client", registry.Filter{ClientID: all[5].ClientID}, func(c *registry.Client) bool { return c.ID == all[5].ID }},
			{"client, of another organisation", registry.Filter{ClientID: all[5].ClientID, OrgID: "org77"}, func(*registry.Client) bool { return false }},
			{"DN in another order", registry.Filter{Subject: "C=gb, O=ACME, CN=tpp4"}, func(c *registry.Client) bool {
				return c.Metadata.TLSClientAuthSubjectDN == "CN=tpp4,O=Acme,C=GB"
			}},
			{"DN and client", registry.Filter{Subject: "CN=nobody", ClientID: all[5].ClientID}, func(*registry.Client) bool { return false }},
			{"name", registry.Filter{Name: "pp nr. 1"}, func(c *registry.Client) bool { return strings.HasPrefix(c.ClientName, "TPP Nr. 1") }},
			{"statement", registry.Filter{StatementExpiresBefore: began.Add(5 * hour)}, func(c *registry.Client) bool { return c.StatementExpires < began.Add(5*hour).Unix() }},
			{"certificate, which none of them has", registry.Filter{CertificateExpiresBefore: began.Add(1e6 * hour)}, func(*registry.Client) bool { return false }},
			{"registered after", registry.Filter{RegisteredAfter: began.Add(3 * hour)}, func(c *registry.Client) bool { return c.IssuedAt >= began.Add(3*hour).Unix() }},
			{"registered before", registry.Filter{RegisteredBefore: began.Add(3 * hour)}, func(c *registry.Client) bool { return c.IssuedAt < began.Add(3*hour).Unix() }},
			{"registered between, of an organisation", registry.Filter{OrgID: "org1", RegisteredAfter: began.Add(3 * hour), RegisteredBefore: began.Add(9 * hour)}, func(c *registry.Client) bool {
				return c.OrgID == "org1" && c.IssuedAt >= began.Add(3*hour).Unix() && c.IssuedAt < began.Add(9*hour).Unix()
			}},
			{"suspended", registry.Filter{Suspended: &yes}, func(c *registry.Client) bool { return c.Suspended }},
			{"not suspended, of an organisation", registry.Filter{Suspended: &no, OrgID: "org5"}, func(c *registry.Client) bool { return !c.Suspended && c.OrgID == "org5" }},
		} {
			for _, workspaces := range [][]string{{x.ws.Name}, {x.ws.Name, "other"}, {"empty", "other"}} {
				var want []string
				for _, client := range all {
					if c.matches(client) && slices.Contains(workspaces, client.Workspace) {
						want = append(want, client.ID)
					}
				}
				slices.Sort(want)
				for _, limit := range []int{7, 1000} {
					got, _ := x.searched(workspaces, c.f, limit)
					slices.Sort(got)
					if !slices.Equal(got, want) {
						t.Errorf("%s in %v, %d at a time: %d found, want %d", c.name, workspaces, limit, len(got), len(want))
					}
				}
			}
		}
		ids, _ := x.searched([]string{x.ws.Name, "other"}, registry.Filter{}, 1)
		place := map[string]int{}
		for i, c := range all {
			place[c.ID] = i
		}
		sorted := slices.IsSortedFunc(ids, func(a, b string) int {
			one, other := all[place[a]], all[place[b]]
			return cmp.Or(cmp.Compare(one.Workspace, other.Workspace), cmp.Compare(one.IssuedAt, other.IssuedAt))
		})
		if !sorted {
			t.Error("the clients do not come in the order in which they were registered")
		}
	})
}

// TestSearchOverAReload: the workspaces come in another order then.
func TestSearchOverAReload(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		all := x.crowd(60)
		page, err := x.Search(x.t.Context(), []string{x.ws.Name, "other"}, registry.Filter{}, "", 10)
		if err != nil {
			t.Fatal(err)
		}
		rest, err := x.Search(x.t.Context(), []string{"other", x.ws.Name}, registry.Filter{}, page.Next, 1000)
		if err != nil || len(page.Clients)+len(rest.Clients) != len(all) {
			t.Errorf("%d and %d clients, %v; want all of %d", len(page.Clients), len(rest.Clients), err, len(all))
		}
	})
}

// TestSearchLooksAtABoundedNumber: a search for what is rare says how far it has looked.
func TestSearchLooksAtABoundedNumber(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		var last *registry.Client
		began := time.Now()
		const clients = 2100
		for i := range clients {
			in := request(fmt.Sprint("jti", i), fmt.Sprint("token", i))
			if i == clients-1 {
				in.Request.Statement.ClientName = "The rare one"
			}
			last = x.register(in)
		}
		workspaces := []string{x.ws.Name}
		f := registry.Filter{Name: "rare"}
		page, err := x.Search(x.t.Context(), workspaces, f, "", 10)
		if err != nil || len(page.Clients) != 0 || page.Looked != 2000 || page.Next == "" || page.UpTo > last.IssuedAt || page.UpTo < began.Unix() {
			t.Fatalf("%+v, %v; want no client of 2000, up to when the last of them was registered, and a cursor", page, err)
		}
		if found, pages := x.searched(workspaces, f, 10); !slices.Equal(found, []string{last.ID}) || pages != 2 {
			t.Errorf("%v in %d pages, want %s in 2", found, pages, last.ID)
		}
	})
}

func TestSearchRefuses(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		for i := range 5 {
			x.register(request(fmt.Sprint("jti", i), fmt.Sprint("token", i)))
		}
		for name, f := range map[string]registry.Filter{
			"a long text": {Name: strings.Repeat("n", 1025)}, "no UTF-8": {OrgID: "\xff"}, "no DN": {Subject: "nobody"},
			"status pending": {Status: registry.Pending}, "status deleted": {Status: registry.Deleted}, "no status": {Status: "odd"},
		} {
			if _, err := x.Search(x.t.Context(), []string{x.ws.Name}, f, "", 10); !errors.Is(err, registry.ErrFilter) {
				t.Errorf("%s: %v, want %v", name, err, registry.ErrFilter)
			}
		}
		if _, err := x.Search(x.t.Context(), []string{x.ws.Name}, registry.Filter{Name: strings.Repeat("n", 1024)}, "", 10); err != nil {
			t.Errorf("1024 bytes: %v", err)
		}
		f := registry.Filter{OrgID: "org1"}
		page, err := x.Search(x.t.Context(), []string{x.ws.Name}, f, "", 2)
		if err != nil || page.Next == "" {
			t.Fatal(page, err)
		}
		refuses := func(what string, workspaces []string, f registry.Filter, cursor string) {
			t.Helper()
			if _, err := x.Search(x.t.Context(), workspaces, f, cursor, 2); !errors.Is(err, registry.ErrCursor) {
				t.Errorf("%s: %v, want %v", what, err, registry.ErrCursor)
			}
		}
		refuses("of another filter", []string{x.ws.Name}, registry.Filter{OrgID: "org2"}, page.Next)
		refuses("of no filter", []string{x.ws.Name}, registry.Filter{}, page.Next)
		refuses("of another workspace", []string{"other"}, f, page.Next)
		refuses("a long one", []string{x.ws.Name}, f, strings.Repeat("A", 5000))
		for i := range page.Next {
			refuses(fmt.Sprint("cut off at ", i), []string{x.ws.Name}, f, page.Next[:max(i, 1)])
			for _, c := range []byte("A/+-_=z\n\xff") {
				changed := []byte(page.Next)
				if changed[i] = c; string(changed) != page.Next {
					refuses(fmt.Sprintf("with %q at %d", c, i), []string{x.ws.Name}, f, string(changed))
				}
			}
		}
		refuses("with more", []string{x.ws.Name}, f, page.Next+base64.RawURLEncoding.EncodeToString([]byte("abc")))
	})
}
