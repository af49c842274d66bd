package authserver

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// text is a member whose value is a text, as the AS is to have it.
type text struct {
	name, here string
	// absent is what an answer without the member means: its default in RFC 7591 2 or OpenID
	// Connect Registration 2, or nothing.
	absent string
	// shown: it decides nothing, and an AS need not show it.
	shown bool
	// same compares the values in place of their texts. Default: nil.
	same func(a, b string) bool
}

// texts are the members with a text. What the AS is not told is not compared.
func (o *clientMetadata) texts() []text {
	san := func(claim string) func(a, b string) bool {
		return func(a, b string) bool { return sameSAN(claim, a, b) }
	}
	list := []text{
		{name: "token_endpoint_auth_method", here: o.TokenEndpointAuthMethod, absent: ClientSecretBasic},
		{name: "token_endpoint_auth_signing_alg", here: o.TokenEndpointSigningAlg},
		{name: "tls_client_auth_subject_dn", here: o.SubjectDN, same: sameDN},
		{name: "tls_client_auth_san_dns", here: o.SANDNS, same: san("tls_client_auth_san_dns")},
		{name: "tls_client_auth_san_uri", here: o.SANURI, same: san("tls_client_auth_san_uri")},
		{name: "tls_client_auth_san_ip", here: o.SANIP, same: san("tls_client_auth_san_ip")},
		{name: "tls_client_auth_san_email", here: o.SANEmail, same: san("tls_client_auth_san_email")},
		{name: "application_type", here: o.ApplicationType, absent: "web"},
		{name: "id_token_signed_response_alg", here: o.IDTokenSigningAlg, absent: "RS256"},
		{name: "request_object_signing_alg", here: o.RequestObjectSigningAlg},
		{name: "scope", here: o.Scope, same: func(a, b string) bool { return sameSet(strings.Fields(a), strings.Fields(b)) }},
		{name: "backchannel_token_delivery_mode", here: o.BackchannelMode},
		{name: "backchannel_client_notification_endpoint", here: o.BackchannelEndpoint},
		{name: "backchannel_authentication_request_signing_alg", here: o.BackchannelAlg},
		{name: "jwks_uri", here: o.JWKSURI},
		{name: "client_name", here: o.ClientName, shown: true}, {name: "client_uri", here: o.ClientURI, shown: true},
		{name: "logo_uri", here: o.LogoURI, shown: true}, {name: "policy_uri", here: o.PolicyURI, shown: true}, {name: "tos_uri", here: o.TOSURI, shown: true},
	}
	return slices.DeleteFunc(list, func(t text) bool { return t.here == "" })
}

// differences are the members that the AS has otherwise than it was told. Members that it has
// added are none, nor are defaults that it leaves out, the order of what is a set, and another
// spelling of a DN.
func (o *clientMetadata) differences(answer strictjson.Object) (list []registry.Difference, err error) {
	differ := func(name, here, there string) {
		list = append(list, registry.Difference{Member: name, Here: here, There: there})
	}
	for _, t := range o.texts() {
		there, ok, err := answer.String(t.name)
		if err != nil {
			return nil, fmt.Errorf("%s %w", t.name, err)
		}
		if !ok || there == "" {
			if t.shown {
				continue
			}
			there = t.absent
		}
		if there != t.here && (t.same == nil || !t.same(there, t.here)) {
			differ(t.name, t.here, there)
		}
	}
	for _, b := range []struct {
		name string
		here *bool
	}{{"tls_client_certificate_bound_access_tokens", only(o.BoundAccessTokens)}, {"backchannel_user_code_parameter_supported", o.BackchannelUserCode}} {
		there, _, err := answer.Bool(b.name)
		if err != nil {
			return nil, fmt.Errorf("%s %w", b.name, err)
		}
		if b.here != nil && there != *b.here {
			differ(b.name, strconv.FormatBool(*b.here), strconv.FormatBool(there))
		}
	}
	for _, l := range []struct {
		name         string
		here, absent []string
		same         func(here, there []string) bool
	}{
		{"redirect_uris", o.RedirectURIs, nil, sameSet},
		{"grant_types", o.GrantTypes, []string{"authorization_code"}, sameGrants},
		{"response_types", o.ResponseTypes, []string{"code"}, sameResponseTypes},
	} {
		there, ok, err := answer.Strings(l.name)
		if err != nil {
			return nil, fmt.Errorf("%s %w", l.name, err)
		}
		if !ok {
			there = l.absent
		}
		if !l.same(l.here, there) {
			differ(l.name, listText(l.here), listText(there))
		}
	}
	return list, nil
}

// only is nil for false, which the AS is not told.
func only(v bool) *bool {
	if !v {
		return nil
	}
	return &v
}

func listText(list []string) string {
	raw, _ := json.Marshal(append([]string{}, list...)) // strings always can
	return string(raw)
}

func sameSet(a, b []string) bool {
	sorted := func(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }
	return slices.Equal(sorted(a), sorted(b))
}

// sameGrants compares grants. An AS may add refresh_token to a client with users, and implicit
// is only the other side of the response types, which are compared themselves.
func sameGrants(here, there []string) bool {
	users := slices.Contains(here, "authorization_code") || slices.Contains(here, "urn:openid:params:grant-type:ciba")
	compared := func(list []string) []string {
		return slices.DeleteFunc(slices.Clone(list), func(g string) bool {
			return g == "implicit" || g == "refresh_token" && users && !slices.Contains(here, g)
		})
	}
	return sameSet(compared(here), compared(there))
}

// sameResponseTypes compares response types, each of which is a set of words. A client without
// any may be shown with the default.
func sameResponseTypes(here, there []string) bool {
	words := func(list []string) (sorted []string) {
		for _, t := range list {
			sorted = append(sorted, sortedWords(t))
		}
		return sorted
	}
	return sameSet(words(here), words(there)) || len(here) == 0 && slices.Equal(there, []string{"code"})
}
