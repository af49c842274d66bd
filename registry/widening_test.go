package registry

import (
	"slices"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// TestWidened: what gives a client more, or lets another certificate or key be the client, is
// named; what only goes away is not.
func TestWidened(t *testing.T) {
	base := func() *Client {
		return &Client{Directory: "OpenBanking Ltd", JWKSURI: "https://keys.example/1", ClientName: "A TPP", Metadata: verify.Metadata{
			RedirectURIs: []string{"https://tpp.example/a", "https://tpp.example/b"}, TokenEndpointAuthMethod: "tls_client_auth", GrantTypes: []string{"authorization_code", "client_credentials"},
			ResponseTypes: []string{"code id_token"}, ApplicationType: "web", Scope: "openid accounts payments", TLSClientAuthSubjectDN: "CN=tpp,O=Acme,C=GB",
			BackchannelMode: "poll", IDTokenSigningAlg: "PS256",
		}}
	}
	for name, c := range map[string]struct {
		change func(*Client)
		want   []string
	}{
		"nothing":             {func(*Client) {}, nil},
		"a scope":             {func(c *Client) { c.Metadata.Scope += " fundsconfirmations" }, []string{"adds to scope: fundsconfirmations"}},
		"a scope for another": {func(c *Client) { c.Metadata.Scope = "openid fundsconfirmations" }, []string{"adds to scope: fundsconfirmations"}},
		"scopes in an order":  {func(c *Client) { c.Metadata.Scope = "payments openid accounts" }, nil},
		"fewer scopes":        {func(c *Client) { c.Metadata.Scope = "openid" }, nil},
		"a grant":             {func(c *Client) { c.Metadata.GrantTypes = append(c.Metadata.GrantTypes, "refresh_token") }, []string{"adds to grant_types: refresh_token"}},
		"fewer grants": {func(c *Client) {
			c.Metadata.GrantTypes, c.Metadata.ResponseTypes = []string{"client_credentials"}, []string{}
		}, nil},
		"a response type":      {func(c *Client) { c.Metadata.ResponseTypes = []string{"code"} }, []string{"adds to response_types: code"}},
		"a redirect URI":       {func(c *Client) { c.Metadata.RedirectURIs = []string{"https://tpp.example/c"} }, []string{"adds to redirect_uris: https://tpp.example/c"}},
		"fewer redirect URIs":  {func(c *Client) { c.Metadata.RedirectURIs = c.Metadata.RedirectURIs[1:] }, nil},
		"the method":           {func(c *Client) { c.Metadata.TokenEndpointAuthMethod = "private_key_jwt" }, []string{"changes token_endpoint_auth_method to private_key_jwt"}},
		"the application type": {func(c *Client) { c.Metadata.ApplicationType = "native" }, []string{"changes application_type to native"}},
		"another DN":           {func(c *Client) { c.Metadata.TLSClientAuthSubjectDN = "CN=other,O=Acme,C=GB" }, nil}, // see below
		"the DN as it was":     {func(c *Client) { c.Metadata.TLSClientAuthSubjectDN = "cn=tpp, O=Acme, C=GB" }, nil},
		"a SAN":                {func(c *Client) { c.Metadata.TLSClientAuthSANDNS = "tpp.example" }, []string{"changes subject alternative name to tls_client_auth_san_dns tpp.example"}},
		"the software's keys":  {func(c *Client) { c.JWKSURI = "https://keys.example/2" }, []string{"changes software_jwks_endpoint to https://keys.example/2"}},
		"the directory":        {func(c *Client) { c.Directory = "another" }, []string{"changes directory to another"}},
		"CIBA's mode":          {func(c *Client) { c.Metadata.BackchannelMode = "ping" }, []string{"changes backchannel_token_delivery_mode to ping"}},
		"CIBA's endpoint": {func(c *Client) { c.Metadata.BackchannelEndpoint = "https://tpp.example/ciba" },
			[]string{"changes backchannel_client_notification_endpoint to https://tpp.example/ciba"}},
		"no CIBA":      {func(c *Client) { c.Metadata.BackchannelMode = "" }, nil},
		"an algorithm": {func(c *Client) { c.Metadata.IDTokenSigningAlg = "ES256" }, nil},
		"the name":     {func(c *Client) { c.ClientName = "Another" }, nil},
		"several":      {func(c *Client) { c.Metadata.Scope, c.Directory = "x", "y" }, []string{"adds to scope: x", "changes directory to y"}},
		"no keys":      {func(c *Client) { c.JWKSURI = "" }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			after := base()
			c.change(after)
			got := widened(base(), after)
			if name == "another DN" {
				if len(got) != 1 {
					t.Errorf("%q, want one reason", got)
				}
				return
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// TestWidenedIsBounded: a TPP writes what it adds.
func TestWidenedIsBounded(t *testing.T) {
	before, after := &Client{}, &Client{}
	for range 100 {
		after.Metadata.RedirectURIs = append(after.Metadata.RedirectURIs, string(make([]byte, 5000)))
	}
	got := widened(before, after)
	if len(got) != maxWidened || len(got[0]) > maxWidening {
		t.Errorf("%d reasons, the first of %d bytes; want %d of at most %d", len(got), len(got[0]), maxWidened, maxWidening)
	}
}
