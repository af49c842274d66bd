package registry

import (
	"slices"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/verify/trace"
)

// maxWidened is how many reasons of one change are kept, maxWidening how long each may be in
// bytes: a TPP writes them.
const (
	maxWidened  = 20
	maxWidening = 300
)

// widened says what a client has after a change that it had not before: what it may ask for,
// where users and answers are sent, and who may authenticate as it. What only goes away is
// not among it, nor is what the client is called and which algorithms it signs with.
func widened(before, after *Client) (added []string) {
	add := func(what, value string) {
		if text := trace.Bounded(what + " " + value); len(added) < maxWidened {
			added = append(added, strings.ToValidUTF8(text[:min(len(text), maxWidening)], ""))
		}
	}
	m, n := &before.Metadata, &after.Metadata
	for _, list := range []struct {
		name     string
		old, new []string
	}{
		{"scope", strings.Fields(m.Scope), strings.Fields(n.Scope)},
		{"grant_types", m.GrantTypes, n.GrantTypes},
		{"response_types", m.ResponseTypes, n.ResponseTypes},
		{"redirect_uris", m.RedirectURIs, n.RedirectURIs},
	} {
		for _, value := range list.new {
			if !slices.Contains(list.old, value) {
				add("adds to "+list.name+":", value)
			}
		}
	}
	sanClaim, san := m.SAN()
	newClaim, newSAN := n.SAN()
	for _, text := range []struct{ name, old, new string }{
		{"token_endpoint_auth_method", m.TokenEndpointAuthMethod, n.TokenEndpointAuthMethod},
		{"application_type", m.ApplicationType, n.ApplicationType}, // how redirect URIs are compared
		{"DN", before.canonicalDN(), after.canonicalDN()},
		{"subject alternative name", strings.TrimSpace(sanClaim + " " + san), strings.TrimSpace(newClaim + " " + newSAN)},
		{"software_jwks_endpoint", before.JWKSURI, after.JWKSURI}, // whose keys authenticate it
		{"directory", before.Directory, after.Directory},
		{"backchannel_token_delivery_mode", m.BackchannelMode, n.BackchannelMode},
		{"backchannel_client_notification_endpoint", m.BackchannelEndpoint, n.BackchannelEndpoint},
	} {
		if text.old != text.new && text.new != "" {
			add("changes "+text.name+" to", text.new)
		}
	}
	return added
}

// canonicalDN is the DN of the client in one spelling and order. A text that is no DN is
// compared as it is.
func (c *Client) canonicalDN() string {
	name, err := c.DN()
	if err != nil {
		return c.Metadata.TLSClientAuthSubjectDN
	}
	return name.Canonical()
}
