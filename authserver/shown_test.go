package authserver_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/registry"
)

// TestUnsafeAddressesAndNamesAreNotSent: addresses and names that people would see, or that the
// AS would fetch, are told as they are safe, at registration and at an update. The record
// keeps what the statement says.
func TestUnsafeAddressesAndNamesAreNotSent(t *testing.T) {
	const pages = `,"client_uri":"https://tpp.example","logo_uri":"https://tpp.example/logo","policy_uri":"https://tpp.example/policy","tos_uri":"https://tpp.example/tos"`
	for _, test := range []struct {
		name      string
		change    func(*registry.Client)
		was, told string
		logged    []string
	}{
		{"as it should be", func(*registry.Client) {}, "", "", nil},
		{"a script for a page", func(c *registry.Client) { c.PolicyURI = "javascript:alert(document.cookie)" }, `,"policy_uri":"https://tpp.example/policy"`, "", []string{"claim=software_policy_uri", "javascript:alert"}},
		{"an address of the inner network", func(c *registry.Client) { c.LogoURI = "https://169.254.169.254/latest" }, `,"logo_uri":"https://tpp.example/logo"`, "", []string{"claim=software_logo_uri", "has an IP address"}},
		{"markup", func(c *registry.Client) { c.TOSURI = `https://tpp.example/"><script>` }, `,"tos_uri":"https://tpp.example/tos"`, "", []string{"claim=software_tos_uri"}},
		{"an inner name", func(c *registry.Client) { c.ClientURI = "https://wiki.internal" }, `,"client_uri":"https://tpp.example"`, "", []string{"claim=software_client_uri", "is not in the public DNS"}},
		{"all of them", func(c *registry.Client) {
			c.ClientURI, c.LogoURI, c.PolicyURI, c.TOSURI = "http://tpp.example", "//tpp.example/", "https://u:p@tpp.example", "https://localhost"
		}, pages, "", []string{"software_client_uri", "software_logo_uri", "software_policy_uri", "software_tos_uri"}},
		{"a name with a tag", func(c *registry.Client) { c.ClientName = "<img src=x>Acme" }, `Acme \"Pay\" \u0026 Söhne`, `img src=xAcme`, []string{"claim=software_client_name"}},
		{"a name that turns", func(c *registry.Client) { c.ClientName = "Acme\u202e" }, `Acme \"Pay\" \u0026 Söhne`, `Acme`, []string{`claim=software_client_name`}},
		{"a name of nothing", func(c *registry.Client) { c.ClientName = "\u200b" }, `Acme \"Pay\" \u0026 Söhne`, `software`, []string{"claim=software_client_name"}},
		{"no name", func(c *registry.Client) { c.ClientName = "" }, `"client_name":"Acme \"Pay\" \u0026 Söhne",`, "", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t, nil)
			e.on(register, registered(http.StatusCreated))
			ctx := authserver.WithSupportCode(t.Context(), "0b0f8b0c")
			c := tpp(t)
			test.change(c)
			before := *c
			p, err := e.Create(ctx, c)
			if err != nil {
				t.Fatal(err)
			}
			want := strings.Replace(whole, test.was, test.told, 1)
			if got := e.only(register).body; got != want {
				t.Errorf("told\n%s\nwant\n%s", got, want)
			}
			if c.LogoURI != before.LogoURI || c.PolicyURI != before.PolicyURI || c.TOSURI != before.TOSURI || c.ClientURI != before.ClientURI || c.ClientName != before.ClientName {
				t.Error("the record was changed")
			}
			log := e.log.String()
			for _, word := range test.logged {
				if !strings.Contains(log, word) || !strings.Contains(log, "support_code=0b0f8b0c") || !strings.Contains(log, "registration=6f1c") {
					t.Errorf("the log has no %s: %s", word, log)
				}
			}
			if len(test.logged) == 0 && strings.Contains(log, "claim=") {
				t.Errorf("logged %s", log)
			}
			e.updates(t.Context(), c, p, want)
		})
	}
}

// updates tells the AS of the client again, as of a record of before.
func (e *edge) updates(ctx context.Context, c *registry.Client, p *registry.Provisioned, want string) {
	e.t.Helper()
	const put = "PUT /as/reg/client-1"
	c.ClientID, c.Credentials = p.ClientID, p.Credentials
	e.on(put, registered(http.StatusOK))
	if _, err := e.Update(ctx, c); err != nil {
		e.t.Fatal(err)
	}
	sent := e.to(put)
	if want = `{"client_id":"client-1",` + want[1:]; len(sent) != 1 || sent[0].body != want {
		e.t.Errorf("told at the update\n%+v\nwant\n%s", sent, want)
	}
}
