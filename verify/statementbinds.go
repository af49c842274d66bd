package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/verify/dn"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// checkStatementBinds checks the outcome against client metadata that the
// directory itself put into the SSA: they bind, the request may only narrow them.
func checkStatementBinds(e *evaluation) error {
	m, stated := &e.out.Metadata, e.ssa.stated()
	for _, c := range []struct {
		name string
		got  []string
	}{
		{"redirect_uris", m.RedirectURIs}, {"grant_types", m.GrantTypes}, {"response_types", m.ResponseTypes},
		{"scope", strings.Fields(m.Scope)}, {"token_endpoint_auth_method", []string{m.TokenEndpointAuthMethod}},
		{"token_endpoint_auth_signing_alg", []string{m.TokenEndpointSigningAlg}},
		{"application_type", []string{m.ApplicationType}}, {"id_token_signed_response_alg", []string{m.IDTokenSigningAlg}},
		{"request_object_signing_alg", []string{m.RequestObjectSigningAlg}},
		{"backchannel_token_delivery_mode", []string{m.BackchannelMode}},
		{"backchannel_client_notification_endpoint", []string{m.BackchannelEndpoint}},
		{"backchannel_authentication_request_signing_alg", []string{m.BackchannelAlg}},
		{"tls_client_auth_subject_dn", []string{m.TLSClientAuthSubjectDN}}, {"tls_client_auth_dn", []string{m.TLSClientAuthSubjectDN}},
		{"tls_client_auth_san_dns", []string{m.TLSClientAuthSANDNS}}, {"tls_client_auth_san_uri", []string{m.TLSClientAuthSANURI}},
		{"tls_client_auth_san_ip", []string{m.TLSClientAuthSANIP}}, {"tls_client_auth_san_email", []string{m.TLSClientAuthSANEmail}},
	} {
		if !stated.Has(c.name) {
			continue
		}
		bound, err := stringOrList(stated, c.name)
		if err != nil {
			return fmt.Errorf("%s %w", c.name, err)
		}
		switch c.name {
		case "scope":
			bound = strings.Fields(strings.Join(bound, " "))
		case "response_types":
			for i := range bound {
				bound[i] = sortWords(bound[i])
			}
		case "application_type": // one thing of two names (see SupportedMetadata.ApplicationTypes)
			if slices.Contains(bound, "mobile") || slices.Contains(bound, "native") {
				bound = append(bound, "mobile", "native")
			}
		case "tls_client_auth_subject_dn", "tls_client_auth_dn": // in whatever form
			if len(bound) == 1 && e.boundDN(bound[0]) {
				continue
			}
		}
		for _, v := range c.got {
			if v != "" && !slices.Contains(bound, v) {
				return fmt.Errorf("its %s binds and does not hold %s", c.name, refusal.Quote(v))
			}
		}
	}
	return nil
}

// boundDN tells whether a statement's DN is the one that was settled.
func (e *evaluation) boundDN(text string) bool {
	name, err := dn.Parse(text)
	return err == nil && name.SameAttributes(e.out.Subject)
}
