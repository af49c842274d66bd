package e2e_test

import (
	"crypto/x509"
	"encoding/asn1"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/directory"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// TestSubjectAlternativeName: with san dns the AS, too, knows a client by a name of its
// certificate, whichever certificate that is.
func TestSubjectAlternativeName(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC, Edits: []gateway.Edit{
		gateway.At("authorization_server").Add("san dns"),
	}}))
	named := func(names ...string) *tpp.Client {
		certificate, err := p.Acme.IssueTransport(directory.TransportOptions{Change: func(c *x509.Certificate) { c.DNSNames = names }})
		if err != nil {
			t.Fatal(err)
		}
		return presenting(t, p, certificate)
	}
	mine := named("acme.example", "other.example")
	id := answered(t, registers(t, p, mine, map[string]any{"tls_client_auth_subject_dn": nil, "tls_client_auth_san_dns": "acme.example"}), nil, 201, "").Text("client_id")
	for _, c := range []struct {
		name   string
		client *tpp.Client
		status int
	}{{"the certificate", mine, 200}, {"a renewed one", named("acme.example"), 200}, {"another name", named("other.example"), 401}} {
		r, err := c.client.Token(t.Context(), p.Endpoint("token_endpoint"), tpp.ClientCredentials(""), tpp.TLSClientAuth(id))
		if err != nil || r.Status != c.status {
			t.Errorf("%s: %v, %v, want %d", c.name, r, err, c.status)
		}
	}
}

// TestRevokedKey: a key that the directory has revoked signs no registration,
// where the operator asks, although it is still published; also after a power failure while
// the directory is down.
func TestRevokedKey(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC, Edits: []gateway.Edit{
		gateway.At("software_statement").Add("revoked_keys"),
	}}))
	old := p.Acme.Signing
	current, err := p.Acme.AddSigningKey("PS256")
	if err != nil {
		t.Fatal(err)
	}
	p.Acme.Revoke(old.ID)
	check := func() {
		t.Helper()
		for _, c := range []struct {
			name   string
			key    directory.Key
			status int
			code   string
		}{{"revoked", old, 400, "invalid_client_metadata"}, {"current", current, 201, ""}} {
			token, _, err := p.Prepare(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			claims, err := p.Acme.RequestClaims(nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := c.key.Sign(claims, map[string]any{"kid": c.key.ID})
			if err != nil {
				t.Fatal(err)
			}
			r, err := p.Client(p.Acme).Register(t.Context(), p.Register, token, body)
			answered(t, r, err, c.status, c.code)
			if c.status == 400 && !strings.Contains(r.Text("error_description"), "revoked") {
				t.Errorf("%s: got %v, want a description that says it is revoked", c.name, r)
			}
		}
	}
	check()
	p.Directory.AddFault(directory.Fault{Status: 503, Times: -1})
	restart(t, p, p.Gateway.Kill)
	check()
}

// TestRenewedCertificate: with dn_match the AS, which compares the whole DN,
// knows that of a renewed certificate before it sees the certificate.
func TestRenewedCertificate(t *testing.T) {
	each(t, story.Options{Edits: []gateway.Edit{
		gateway.Workspace("dn_match attributes organizationIdentifier"),
	}}, func(t *testing.T, p *story.Play) {
		id, err := p.RegisterAnother(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		renewed := func(organization string, from time.Time) *tpp.Client {
			certificate, err := p.Acme.IssueTransport(directory.TransportOptions{
				Subject: []directory.Attribute{{Type: asn1.ObjectIdentifier{2, 5, 4, 6}, Value: "GB"}, {Type: directory.OrganizationIdentifier, Value: organization}, {Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "renewed"}},
				Change:  func(c *x509.Certificate) { c.NotBefore = from },
			})
			if err != nil {
				t.Fatal(err)
			}
			return presenting(t, p, certificate)
		}
		token := func(client *tpp.Client, status int) string {
			t.Helper()
			r, err := client.Token(t.Context(), p.Endpoint("token_endpoint"), tpp.ClientCredentials(""), tpp.TLSClientAuth(id))
			if err != nil || r.Status != status {
				t.Fatalf("%v, %v, want %d", r, err, status)
			}
			return r.Text("access_token")
		}
		young, older := renewed("PSDGB-FCA-123456", time.Now()), renewed("PSDGB-FCA-123456", time.Now().Add(-24*time.Hour))
		token(p.Client(p.Acme), 200)
		token(renewed("PSDGB-FCA-999999", time.Now()), 401)
		token(older, 401)
		own := token(young, 200)
		token(young, 200)
		token(p.Client(p.Acme), 401) // the old one has ended
		r, err := young.Read(t.Context(), p.Register, id, own)
		if answered(t, r, err, 200, ""); !strings.HasPrefix(r.Text("tls_client_auth_subject_dn"), "CN=renewed,") {
			t.Errorf("got %v", r)
		}
	})
}
