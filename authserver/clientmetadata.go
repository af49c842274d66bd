package authserver

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/dn"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// clientMetadata is the body of a registration at the AS (RFC 7591 2, OpenID
// Connect Registration 2, RFC 8705 2.1.2 and 3.4).
type clientMetadata struct {
	ClientID                string   `json:"client_id,omitempty"` // in an update only
	RedirectURIs            []string `json:"redirect_uris"`
	TokenEndpointAuthMethod string   `json:"token_endpoint_auth_method"`
	TokenEndpointSigningAlg string   `json:"token_endpoint_auth_signing_alg,omitempty"`
	SubjectDN               string   `json:"tls_client_auth_subject_dn,omitempty"`
	SANDNS                  string   `json:"tls_client_auth_san_dns,omitempty"`
	SANURI                  string   `json:"tls_client_auth_san_uri,omitempty"`
	SANIP                   string   `json:"tls_client_auth_san_ip,omitempty"`
	SANEmail                string   `json:"tls_client_auth_san_email,omitempty"`
	BoundAccessTokens       bool     `json:"tls_client_certificate_bound_access_tokens,omitempty"`
	GrantTypes              []string `json:"grant_types"`
	ResponseTypes           []string `json:"response_types"`
	ApplicationType         string   `json:"application_type"`
	IDTokenSigningAlg       string   `json:"id_token_signed_response_alg"`
	RequestObjectSigningAlg string   `json:"request_object_signing_alg,omitempty"`
	Scope                   string   `json:"scope"`
	BackchannelMode         string   `json:"backchannel_token_delivery_mode,omitempty"`
	BackchannelEndpoint     string   `json:"backchannel_client_notification_endpoint,omitempty"`
	BackchannelAlg          string   `json:"backchannel_authentication_request_signing_alg,omitempty"`
	BackchannelUserCode     *bool    `json:"backchannel_user_code_parameter_supported,omitempty"`
	JWKSURI                 string   `json:"jwks_uri,omitempty"`
	// JWKS are the keys themselves, keys their name.
	JWKS              json.RawMessage `json:"jwks,omitempty"`
	ClientName        string          `json:"client_name,omitempty"`
	ClientURI         string          `json:"client_uri,omitempty"`
	LogoURI           string          `json:"logo_uri,omitempty"`
	PolicyURI         string          `json:"policy_uri,omitempty"`
	TOSURI            string          `json:"tos_uri,omitempty"`
	SoftwareStatement string          `json:"software_statement,omitempty"`

	keys string
}

// clientMetadata writes what the AS is told of a client (RFC 7591 2).
func (s *Server) clientMetadata(ctx context.Context, m *Metadata, c *registry.Client) (*clientMetadata, error) {
	o, err := s.withoutKeys(ctx, s.log, m, c)
	if err != nil || s.Keys == nil || c.JWKSURI == "" {
		return o, err
	}
	keys, err := s.Keys(ctx, c)
	if err != nil {
		return nil, err
	}
	keys = KeysFor(c, keys)
	o.JWKSURI, o.JWKS, o.keys = "", verify.AppendJWKS(nil, keys), verify.KeysName(keys)
	return o, nil
}

// withoutKeys is what the AS is told, with the address of the software's keys and not yet
// the keys in its place. log has what is left out.
func (s *Server) withoutKeys(ctx context.Context, log *slog.Logger, m *Metadata, c *registry.Client) (*clientMetadata, error) {
	o := &clientMetadata{
		RedirectURIs: c.Metadata.RedirectURIs, TokenEndpointAuthMethod: c.Metadata.TokenEndpointAuthMethod,
		GrantTypes: c.Metadata.GrantTypes, ResponseTypes: append([]string{}, c.Metadata.ResponseTypes...), // never null: without the member it is code (RFC 7591 2)
		ApplicationType: "web", IDTokenSigningAlg: c.Metadata.IDTokenSigningAlg,
		BackchannelMode: c.Metadata.BackchannelMode, BackchannelEndpoint: c.Metadata.BackchannelEndpoint,
		BackchannelAlg: c.Metadata.BackchannelAlg, BackchannelUserCode: c.Metadata.BackchannelUserCode,
		BoundAccessTokens: m.bindsTokens, JWKSURI: c.JWKSURI, ClientName: c.ClientName,
		ClientURI: c.ClientURI, LogoURI: c.LogoURI, PolicyURI: c.PolicyURI, TOSURI: c.TOSURI,
	}
	o.showable(ctx, log, c)
	if s.SendStatement {
		o.SoftwareStatement = string(c.SoftwareStatement)
	}
	if err := o.authenticate(s, m, c); err != nil {
		return nil, err
	}
	if c.Metadata.ApplicationType != "web" {
		o.ApplicationType = "native" // DCR v3.2 says mobile, OpenID Connect native
	}
	if m.listsRequestObject {
		o.RequestObjectSigningAlg = c.Metadata.RequestObjectSigningAlg
	}
	// OpenID Connect Registration 2: id_token at the authorization endpoint needs it.
	if slices.ContainsFunc(o.ResponseTypes, func(t string) bool { return slices.Contains(strings.Fields(t), "id_token") }) {
		o.GrantTypes = append(slices.Clone(o.GrantTypes), "implicit")
	}
	// An AS may grant anything to a client without a scope, and nobody but a
	// registrar may have dcr_register.
	scopes := slices.DeleteFunc(strings.Fields(c.Metadata.Scope), func(v string) bool { return v == verify.ScopeRegister })
	if o.Scope = strings.Join(scopes, " "); o.Scope == "" {
		return nil, fmt.Errorf("registration %s has no scope", c.ID)
	}
	return o, nil
}

// authenticate fills in how the client, or the gateway in its place, authenticates.
func (o *clientMetadata) authenticate(s *Server, m *Metadata, c *registry.Client) error {
	bridge, err := m.bridgeOf(c)
	if err != nil {
		return err
	}
	switch {
	case bridge != "":
		o.TokenEndpointAuthMethod = bridge
	case o.TokenEndpointAuthMethod == "tls_client_auth":
		if claim, _ := c.Metadata.SAN(); claim != "" {
			o.SANDNS, o.SANURI = c.Metadata.TLSClientAuthSANDNS, c.Metadata.TLSClientAuthSANURI
			o.SANIP, o.SANEmail = c.Metadata.TLSClientAuthSANIP, c.Metadata.TLSClientAuthSANEmail
			return nil
		}
		o.SubjectDN, err = subjectDN(s.DNFormat, c)
	case o.TokenEndpointAuthMethod == "private_key_jwt":
		o.TokenEndpointSigningAlg = c.Metadata.TokenEndpointSigningAlg
	}
	return err
}

// bridged tells whether the gateway authenticates in the client's place.
func (o *clientMetadata) bridged() bool {
	return slices.Contains(bridgeMethods, o.TokenEndpointAuthMethod)
}

func (o *clientMetadata) encode() ([]byte, error) { return json.Marshal(o) }

// stored compares the AS's answer with what it was told. It may have stored less
// (RFC 7591 3.2.1): then our record says less too. What it added is ignored. How
// the client authenticates is not a matter of less.
func (o *clientMetadata) stored(answer strictjson.Object, c *registry.Client) (verify.Metadata, error) {
	m := c.Metadata
	var said [2]string
	for i, name := range []string{"token_endpoint_auth_method", "tls_client_auth_subject_dn"} {
		var err error
		if said[i], _, err = answer.String(name); err != nil {
			return m, fmt.Errorf("its answer's %s %w", name, err)
		}
	}
	if method := said[0]; method != o.TokenEndpointAuthMethod {
		return m, fmt.Errorf("it registered token_endpoint_auth_method %s, not %s", refusal.Quote(method), o.TokenEndpointAuthMethod)
	}
	if text := said[1]; o.SubjectDN != "" && text != o.SubjectDN && !sameDN(text, o.SubjectDN) {
		return m, fmt.Errorf("it registered tls_client_auth_subject_dn %s, not %s", refusal.Quote(text), refusal.Quote(o.SubjectDN))
	}
	if claim, value := m.SAN(); claim != "" && !o.bridged() {
		text, _, err := answer.String(claim)
		if err != nil || !sameSAN(claim, text, value) {
			return m, fmt.Errorf("it registered %s %s, not %s", claim, refusal.Quote(text), refusal.Quote(value))
		}
	}
	scope := strings.Fields(m.Scope)
	for _, l := range []struct {
		name string
		list *[]string
	}{
		{"redirect_uris", &m.RedirectURIs}, {"grant_types", &m.GrantTypes}, {"response_types", &m.ResponseTypes}, {"scope", &scope},
	} {
		var err error
		if *l.list, err = narrowed(answer, l.name, *l.list); err != nil {
			return m, err
		}
		if l.name == "grant_types" && len(m.GrantTypes) < len(c.Metadata.GrantTypes) {
			m.FollowGrants() // of the response types the answer may then have none
		}
	}
	m.Scope = strings.Join(scope, " ")
	return m, nil
}

// narrowed is what of list the answer has. An answer that does not speak of it
// has changed nothing.
func narrowed(answer strictjson.Object, name string, list []string) ([]string, error) {
	if !answer.Has(name) || len(list) == 0 {
		return list, nil
	}
	var have []string
	var err error
	if name == "scope" {
		var text string
		text, _, err = answer.String(name)
		have = strings.Fields(text)
	} else {
		have, _, err = answer.Strings(name)
	}
	if err != nil {
		return nil, fmt.Errorf("its answer's %s %w", name, err)
	}
	if name == "response_types" {
		for i, t := range have {
			have[i] = sortedWords(t)
		}
	}
	out := slices.DeleteFunc(slices.Clone(list), func(v string) bool { return !slices.Contains(have, v) })
	if len(out) == 0 {
		return nil, fmt.Errorf("it registered none of the %s", name)
	}
	return out, nil
}

func sameSAN(claim, a, b string) bool {
	x, err := verify.ReadSAN(claim, a)
	if err != nil {
		return false
	}
	y, err := verify.ReadSAN(claim, b)
	return err == nil && x == y
}

func sameDN(a, b string) bool {
	x, err := dn.Parse(a)
	if err != nil {
		return false
	}
	y, err := dn.Parse(b)
	return err == nil && x.Equal(y)
}
