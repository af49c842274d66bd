package registry

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/caddy-dcr/caddy-dcr/registry/clientfile"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/dn"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// ImportRules are what an import must know of the configuration of a workspace.
type ImportRules struct {
	// Directories are the iss of the software statements that are accepted. NoDirectory:
	// none is demanded, and a client may have no directory.
	Directories []string
	NoDirectory bool
	// Supported is what registrations may ask for.
	Supported verify.SupportedMetadata
	// ClientsPerSoftware is Workspace.ClientsPerSoftware.
	ClientsPerSoftware int
}

// importedClient is a line that can be written.
type importedClient struct {
	line      int
	client    *Client
	document  document
	suspended bool
	// credentials and secret are what the line gives, given that it gives any.
	credentials Credentials
	secret      *clientSecret
	signing     string
	given       bool
	// issuedGiven: the line says when the client was registered.
	issuedGiven bool
	warnings    []string
	// size is about how many bytes writing it takes.
	size int
}

// maxClientID is the length of a client_id in a file in bytes, at most.
const maxClientID = 255

// readLine makes of a line the client that it is about, or says what is wrong with it.
func (r *Registry) readLine(l *clientfile.Client, rules *ImportRules) (*importedClient, error) {
	m := &importedClient{suspended: l.Suspended, issuedGiven: l.IssuedAt != 0}
	now := r.now()
	if err := checkIdentity(l, rules, now); err != nil {
		return nil, err
	}
	m.client = &Client{
		Schema: schema, ID: uuid.NewString(), Workspace: l.Workspace, Status: Active, ClientID: l.ClientID,
		SoftwareID: l.SoftwareID, OrgID: l.OrgID, ClientName: l.ClientName, Directory: l.Directory, IssuedAt: l.IssuedAt, UpdatedAt: l.UpdatedAt,
		Metadata: l.Metadata, MetadataDigest: l.MetadataDigest, Keys: l.Keys, JWKSURI: l.JWKSURI, RevokedJWKSURI: l.RevokedJWKSURI,
		ClientURI: l.ClientURI, LogoURI: l.LogoURI, PolicyURI: l.PolicyURI, TOSURI: l.TOSURI,
		Subject: l.Subject, SubjectFrom: l.SubjectFrom, Thumbprint: l.Thumbprint, CertificateExpires: l.CertificateExpires, StatementExpires: l.StatementExpires,
	}
	if !m.issuedGiven {
		m.client.IssuedAt = now.Unix()
	}
	for _, step := range []func(*clientfile.Client) error{m.readCertificate, m.readDocument, func(l *clientfile.Client) error { return m.readSecrets(r, l) }, m.checkAuthentication} {
		if err := step(l); err != nil {
			return nil, err
		}
	}
	if err := m.measure(); err != nil {
		return nil, err
	}
	m.warn(rules, now)
	return m, nil
}

// measure refuses a client that is too large for one update of the store.
func (m *importedClient) measure() error {
	record, err := json.Marshal(m.client)
	if m.size = len(record) + len(m.document.request) + maxRecord; err == nil && m.size > bulkBytes {
		err = fmt.Errorf("the client takes %d bytes in the store, more than the %d that one may take; leave out what it does not need", m.size, bulkBytes)
	}
	return err
}

// checkIdentity looks at who the client is.
func checkIdentity(l *clientfile.Client, rules *ImportRules, now time.Time) error {
	for _, text := range []struct {
		name, value string
		most        int
		required    bool
	}{
		{"client_id", l.ClientID, maxClientID, true}, {"software_id", l.SoftwareID, maxFilter, true},
		{"org_id", l.OrgID, maxFilter, l.Directory != ""}, {"directory", l.Directory, maxFilter, !rules.NoDirectory},
		{"client_name", l.ClientName, maxFilter, false}, {"metadata.token_endpoint_auth_method", l.Metadata.TokenEndpointAuthMethod, maxFilter, true},
	} {
		switch {
		case text.value == "" && text.required:
			return fmt.Errorf("%s is missing; write it", text.name)
		case len(text.value) > text.most:
			return fmt.Errorf("%s is longer than %d bytes", text.name, text.most)
		case text.name != "client_name" && (strings.ContainsFunc(text.value, deceives) || strings.ContainsRune(text.value, utf8.RuneError) || strings.TrimSpace(text.value) != text.value):
			return fmt.Errorf("%s has a character that nobody sees, or space at an end; write it as it was given out, and change it at the authorization server if it is so there", text.name)
		}
	}
	switch {
	case l.Status != "" && l.Status != string(Active):
		return fmt.Errorf("status is %s; only active clients can be imported, leave out the line", refusal.Quote(l.Status))
	case l.Directory != "" && !slices.Contains(rules.Directories, l.Directory):
		return fmt.Errorf("directory %s is not configured (software_statement); there are %s", refusal.Quote(l.Directory), refusal.QuoteEach(rules.Directories, ", "))
	}
	for name, seconds := range map[string]int64{"issued_at": l.IssuedAt, "updated_at": l.UpdatedAt, "subject_from": l.SubjectFrom} {
		if seconds < 0 || seconds > now.Add(24*time.Hour).Unix() {
			return fmt.Errorf("%s is not a time in the past; write seconds since 1970, not milliseconds", name)
		}
	}
	for name, seconds := range map[string]int64{"certificate_expires": l.CertificateExpires, "statement_expires": l.StatementExpires} {
		if seconds < 0 || time.Unix(seconds, 0).Year() > maxYear {
			return fmt.Errorf("%s is no time; write seconds since 1970", name)
		}
	}
	return nil
}

// readCertificate takes the DN from the certificate, where there is one, and checks the others
// against it.
func (m *importedClient) readCertificate(l *clientfile.Client) error {
	c := m.client
	der, err := certificateOf(l)
	if err != nil {
		return err
	}
	if der != nil {
		if len(l.Subject) > 0 {
			return errors.New("subject is there beside a certificate; write one of them")
		}
		leaf, err := x509.ParseCertificate(der)
		if err != nil {
			return errors.New("the certificate cannot be read; write the client's transport certificate as PEM, or its DER in base64 into x5c")
		}
		sum := sha256.Sum256(leaf.Raw)
		c.Subject, c.SubjectFrom = leaf.RawSubject, leaf.NotBefore.Unix()
		c.showedCertificate(&verify.Certificate{Leaf: leaf, Thumbprint: base64.RawURLEncoding.EncodeToString(sum[:])})
	}
	text := c.Metadata.TLSClientAuthSubjectDN
	var written dn.Name
	if text != "" {
		if written, err = dn.Parse(text); err != nil {
			return fmt.Errorf("metadata.tls_client_auth_subject_dn cannot be read: %w; write it as RFC 4514 says (CN=...,O=...,C=GB)", err)
		}
		if written.HasNoValue() {
			return errors.New("metadata.tls_client_auth_subject_dn has no value; write the subject of the client's certificate")
		}
	}
	if len(c.Subject) == 0 {
		return nil
	}
	subject, err := dn.ParseSubject(c.Subject)
	switch {
	case err != nil || subject.HasNoValue():
		return errors.New("the subject of the certificate cannot be read, or is empty")
	case written != nil && !written.Equal(subject) && !written.SameAttributes(subject):
		return fmt.Errorf("metadata.tls_client_auth_subject_dn is not the subject of the certificate, which is %s; write the one that the authorization server has", refusal.QuoteUpTo(subject.String(), 300))
	case c.Metadata.TokenEndpointAuthMethod != "tls_client_auth":
	case written == nil:
		if claim, _ := c.Metadata.SAN(); claim == "" {
			c.Metadata.TLSClientAuthSubjectDN = subject.String()
		}
	case !written.Equal(subject): // in another order, as a registration keeps it too
		c.Metadata.TLSClientAuthSubjectDN = subject.String()
	}
	return nil
}

// certificateOf is the DER of a line's certificate, nil for none.
func certificateOf(l *clientfile.Client) ([]byte, error) {
	switch {
	case l.Certificate != "" && len(l.X5C) > 0:
		return nil, errors.New("certificate and x5c are both there; write one of them")
	case l.Certificate != "":
		block, rest := pem.Decode([]byte(l.Certificate))
		if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
			return nil, errors.New("certificate is not one certificate in PEM")
		}
		return block.Bytes, nil
	case len(l.X5C) > 0:
		der, err := base64.StdEncoding.DecodeString(l.X5C[0])
		if err != nil {
			return nil, errors.New("x5c is not base64 (RFC 7517 4.7)")
		}
		return der, nil
	}
	return nil, nil
}

// readDocument takes the request, or the statement in place of one.
func (m *importedClient) readDocument(l *clientfile.Client) error {
	c := m.client
	switch {
	case l.SignedRequest != "" && l.SoftwareStatement != "":
		return errors.New("signed_request and software_statement are both there; the request has the statement, leave it out")
	case l.SignedRequest != "":
		m.document.request = []byte(l.SignedRequest)
	case l.SoftwareStatement != "" && c.Directory == "":
		return errors.New("software_statement is there without a directory")
	case l.SoftwareStatement != "":
		m.document.request = statementRequest(l.SoftwareStatement)
	default:
		return nil
	}
	if _, err := verify.StoredClaims(m.document.request); err != nil {
		return fmt.Errorf("signed_request cannot be read: %w", err)
	}
	c.Document = c.ID
	_, claims, err := c.Statement(m.document.request)
	if err != nil {
		return errors.New("the software statement cannot be read; write the compact JWS as the directory issued it, or leave it out")
	}
	for name, want := range map[string]string{"software_id": c.SoftwareID, "org_id": c.OrgID} {
		if got, ok, err := claims.String(name); err != nil || ok && got != want {
			return fmt.Errorf("%s is not that of the software statement, which is %s", name, refusal.Quote(got))
		}
	}
	if exp, ok, err := claims.NumericDate("exp"); err == nil && ok && exp.Year() <= maxYear {
		c.StatementExpires = exp.Unix()
	}
	return nil
}

// registrationPath is what counts of a registration_client_uri; empty where there is nothing.
func registrationPath(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" || !strings.HasPrefix(u.EscapedPath(), "/") {
		return ""
	}
	target := url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}
	return target.RequestURI()
}
