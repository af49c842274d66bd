package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry/clientfile"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// How an imported client authenticates, here and at the AS.

// maxImportedSecret is the length of a token or a secret in a file in bytes, at most.
const maxImportedSecret = 4096

// readSecrets takes what the line has of secrets: sealed by an export, or in clear.
func (m *importedClient) readSecrets(r *Registry, l *clientfile.Client) error {
	clear := l.RegistrationAccessToken != "" || l.RegistrationClientURI != "" || l.ClientSecret != ""
	switch {
	case len(l.Sealed) > 0 && clear:
		return errors.New("sealed is there beside secrets in clear; write one of them")
	case len(l.Sealed) > 0:
		return m.readSealed(r, l)
	case (l.RegistrationAccessToken == "") != (l.RegistrationClientURI == ""):
		return errors.New("registration_access_token and registration_client_uri belong together; write both, or neither")
	}
	for name, secret := range map[string]string{"registration_access_token": l.RegistrationAccessToken, "client_secret": l.ClientSecret} {
		if len(secret) > maxImportedSecret || strings.ContainsFunc(secret, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return fmt.Errorf("%s is longer than %d bytes, or has a character beside visible ASCII", name, maxImportedSecret)
		}
	}
	if l.RegistrationClientURI != "" {
		m.credentials.RegistrationAccessToken, m.credentials.RegistrationPath = l.RegistrationAccessToken, registrationPath(l.RegistrationClientURI)
		if m.credentials.RegistrationPath == "" {
			return errors.New("registration_client_uri is no address, nor the path of one; write it as the authorization server gave it out")
		}
	}
	m.given = clear
	return m.takeClientSecret(l)
}

func (m *importedClient) readSealed(r *Registry, l *clientfile.Client) error {
	s, err := r.openLine(l)
	if err != nil {
		return err
	}
	if l.Bridge != s.Credentials.Bridge {
		return errors.New("bridge is not what it was when this client was exported; export it again")
	}
	m.credentials, m.signing, m.given, m.client.AccessTokens = s.Credentials, s.Signing, true, s.AccessTokens
	if s.Hash != nil || s.Signing != "" {
		m.secret = &clientSecret{Hash: s.Hash}
	}
	return nil
}

// takeClientSecret takes the client's secret at the AS. A client that authenticates with a
// secret does so here from now on with the same one, which the gateway uses there.
func (m *importedClient) takeClientSecret(l *clientfile.Client) error {
	method := l.Metadata.TokenEndpointAuthMethod
	bridge := l.Bridge
	if bridge == "" && verify.HasSecret(method) && method != verify.ClientSecretJWT {
		bridge = method
	}
	switch {
	case l.ClientSecret == "" && bridge == "":
		return nil
	case l.ClientSecret == "" && verify.HasSecret(method):
		return fmt.Errorf("client_secret is missing: with %s the gateway checks the client's secret, and is the client at the authorization server; write the secret, or export the client with secrets", method)
	case l.ClientSecret == "":
		return errors.New("the gateway is this client at the authorization server (bridge), and there is no client_secret; write it, or export the client with secrets")
	case bridge != verify.ClientSecretBasic && bridge != verify.ClientSecretPost:
		return errors.New("client_secret is there without bridge; write client_secret_basic or client_secret_post into bridge, by which the gateway is this client at the authorization server")
	}
	m.credentials.Bridge, m.credentials.ClientSecret = bridge, l.ClientSecret
	switch {
	case method == verify.ClientSecretJWT:
		m.secret, m.signing = &clientSecret{}, l.ClientSecret
	case verify.HasSecret(method):
		m.secret = &clientSecret{Hash: verify.SecretHash(l.ClientSecret)}
	}
	if len(l.ClientSecret) < 22 {
		m.warnings = append(m.warnings, "client_secret is shorter than 22 characters, so that somebody may guess it; rotate it at the authorization server")
	}
	return nil
}

// checkAuthentication refuses a client that the guard would refuse with every request.
func (m *importedClient) checkAuthentication(*clientfile.Client) error {
	c := m.client
	method := c.Metadata.TokenEndpointAuthMethod
	claim, san := c.Metadata.SAN()
	names := 0
	for _, name := range []string{c.Metadata.TLSClientAuthSANDNS, c.Metadata.TLSClientAuthSANURI, c.Metadata.TLSClientAuthSANIP, c.Metadata.TLSClientAuthSANEmail, c.Metadata.TLSClientAuthSubjectDN} {
		if name != "" {
			names++
		}
	}
	if claim != "" {
		if _, err := verify.ReadSAN(claim, san); err != nil {
			return fmt.Errorf("metadata.%s: %w", claim, err)
		}
	}
	switch {
	case verify.HasSecret(method) && (m.secret == nil || m.credentials.Bridge == ""):
		return fmt.Errorf("this client cannot authenticate: with %s it needs client_secret; write it, or export the client with secrets", method)
	case method != "tls_client_auth" && method != "private_key_jwt" && !verify.HasSecret(method):
		return fmt.Errorf("this client cannot authenticate: token_endpoint_auth_method %s is not supported, only tls_client_auth, private_key_jwt and %s; leave out the line, and the gateway does not know the client (unknown_clients)", refusal.Quote(method), strings.Join(verify.SecretMethods, ", "))
	case method == "tls_client_auth" && names == 0:
		return errors.New("this client cannot authenticate: there is no metadata.tls_client_auth_subject_dn, no tls_client_auth_san_... and no certificate; write one of them")
	case names > 1:
		return errors.New("metadata has several of tls_client_auth_subject_dn and tls_client_auth_san_...; write the one that the authorization server has")
	case names > 0 && method != "tls_client_auth":
		return errors.New("metadata has a tls_client_auth_... name, which only goes with tls_client_auth; leave it out, and write the certificate")
	case method == "private_key_jwt" && m.credentials.Bridge != "" && c.JWKSURI == "":
		return errors.New("this client cannot authenticate: with private_key_jwt in bridge mode the gateway needs its keys; write jwks_uri")
	}
	return nil
}

// managed tells whether the client can manage its registration: that takes its certificate.
func (m *importedClient) managed() bool {
	claim, _ := m.client.Metadata.SAN()
	return claim != "" || len(m.client.Subject) > 0 || m.client.Metadata.TLSClientAuthSubjectDN != ""
}

// warn notes what is no reason to refuse the client.
func (m *importedClient) warn(rules *ImportRules, now time.Time) {
	c := m.client
	if len(c.ClientID) > 36 || url.PathEscape(c.ClientID) != c.ClientID || c.ClientID == "." || c.ClientID == ".." {
		m.warnings = append(m.warnings, "conformance tools refuse a client_id of more than 36 characters, or one that a path must escape")
	}
	if c.CertificateExpires != 0 && c.CertificateExpires < now.Unix() {
		m.warnings = append(m.warnings, "the certificate has expired; the client needs another one with the same subject")
	}
	if c.Metadata.Scope == "" {
		m.warnings = append(m.warnings, "metadata.scope is missing; the authorization server can be told of no change of this client before its next PUT")
	}
	if why := refusedNow(c, rules); why != "" {
		m.warnings = append(m.warnings, "a registration with these metadata would be refused now: "+why)
	}
}

// refusedNow is what the rules for metadata have against a client; empty for nothing. What the
// software statement says is left aside: it may be an old one, or none.
func refusedNow(c *Client, rules *ImportRules) string {
	text, err := json.Marshal(&c.Metadata)
	if err != nil {
		return err.Error()
	}
	claims, err := strictjson.Parse(text)
	if err != nil {
		return err.Error()
	}
	statement := &verify.SoftwareStatement{None: true, Issuer: &verify.Issuer{UnlistedRedirectURIs: true}, SoftwareID: c.SoftwareID, OrgID: c.OrgID}
	_, err = verify.CheckMetadata(context.Background(), verify.MetadataInput{Request: &verify.Request{Claims: claims, Statement: statement}, Supported: rules.Supported})
	if err == nil {
		return ""
	}
	return refusal.From(err).Description
}
