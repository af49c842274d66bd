package authserver

import (
	"slices"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// Publish is the document as TPPs are to see it (RFC 8414 2): addresses
// of the AS at the gateway's origin, registration at the gateway's endpoint, and
// the lists that decide about a registration set to what would be accepted. All
// other members are as the AS wrote them. registrationEndpoint is empty where
// nobody can register. mtlsOrigin is where clients authenticate with certificates
// when that is another origin (RFC 8705 5), else empty.
func (m *Metadata) Publish(origin, mtlsOrigin, registrationEndpoint string) []byte {
	d := m.Document.Without("mtls_endpoint_aliases", "signed_metadata")
	own := m.published()
	for _, member := range d.Members() {
		if text, ok, err := d.String(member.Name); own[member.Name] && ok && err == nil {
			d = d.With(member.Name, strictjson.AppendString(nil, strings.TrimSuffix(origin, "/")+path(text)))
		}
	}
	if registrationEndpoint == "" {
		d = d.Without("registration_endpoint")
	} else {
		d = d.With("registration_endpoint", strictjson.AppendString(nil, registrationEndpoint))
	}
	if mtlsOrigin = strings.TrimSuffix(mtlsOrigin, "/"); mtlsOrigin != "" && mtlsOrigin != strings.TrimSuffix(origin, "/") {
		d = d.With("mtls_endpoint_aliases", aliases(d, own, mtlsOrigin, registrationEndpoint))
	}
	// Which certificate the gateway has bound a token to only introspection says: without
	// it nothing binds a token to its certificate at a resource server (RFC 8705 3.3).
	if m.gatewayBinds && m.Path("introspection_endpoint") != "" {
		d = d.With("tls_client_certificate_bound_access_tokens", []byte("true"))
	}
	a := m.Supported
	for _, list := range []struct {
		name   string
		values []string
	}{
		{"token_endpoint_auth_methods_supported", a.AuthMethods},
		{"token_endpoint_auth_signing_alg_values_supported", a.AssertionAlgs()},
		{"grant_types_supported", a.GrantTypes},
		{"response_types_supported", a.ResponseTypes},
		{"id_token_signing_alg_values_supported", a.IDTokenAlgs},
		{"request_object_signing_alg_values_supported", a.RequestObjectAlgs},
		{"scopes_supported", a.Scopes},
	} {
		if len(list.values) == 0 { // RFC 8414 3.2
			d = d.Without(list.name)
			continue
		}
		d = d.With(list.name, strictjson.AppendStrings(nil, list.values))
	}
	// Where clients authenticate at the gateway they do so at every endpoint. What others
	// may do there, a resource server that introspects, stays.
	if m.bridge.method != "" {
		for _, name := range []string{"revocation_endpoint_auth_methods_supported", "introspection_endpoint_auth_methods_supported"} {
			if listed, ok, err := d.Strings(name); ok && err == nil {
				d = d.With(name, strictjson.AppendStrings(nil, union(a.AuthMethods, listed)))
			}
		}
	}
	if len(a.BackchannelModes) > 0 { // otherwise CIBA is none of the gateway's business
		d = d.With("backchannel_token_delivery_modes_supported", strictjson.AppendStrings(nil, a.BackchannelModes))
		d = d.With("backchannel_authentication_request_signing_alg_values_supported", strictjson.AppendStrings(nil, a.BackchannelAlgs))
	}
	return d.AppendJSON(nil)
}

// published are the names of the endpoints that the document of the AS itself has.
func (m *Metadata) published() map[string]bool {
	own := map[string]bool{}
	for _, e := range m.Endpoints {
		own[e.Name] = own[e.Name] || !e.alias && !e.given
	}
	return own
}

// union is a, and what of b is not in it.
func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, v := range b {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

// mutual are the endpoints at which a certificate counts (RFC 8705 5).
var mutual = []string{
	"token_endpoint", "revocation_endpoint", "introspection_endpoint", "pushed_authorization_request_endpoint",
	"device_authorization_endpoint", "backchannel_authentication_endpoint", "userinfo_endpoint",
}

// aliases are the AS's own endpoints at the origin for certificates.
func aliases(d strictjson.Object, own map[string]bool, mtlsOrigin, registrationEndpoint string) []byte {
	var o strictjson.Object
	for _, name := range mutual {
		if text, ok, err := d.String(name); ok && err == nil && own[name] {
			o = o.With(name, strictjson.AppendString(nil, mtlsOrigin+path(text)))
		}
	}
	if registrationEndpoint != "" {
		o = o.With("registration_endpoint", strictjson.AppendString(nil, mtlsOrigin+path(registrationEndpoint)))
	}
	return o.AppendJSON(nil)
}
