package e2e_test

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/directory"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// TestUnsignedRequest: bare JSON registers where the certificate is bound to the
// statement, and whoever has only seen the statement does not get in with it.
func TestUnsignedRequest(t *testing.T) {
	once(t, story.Options{Replace: []gateway.Replacement{
		{Old: "\t\tsigned_request_body\n", New: "\t\tsigned_request_body off\n\t\tbind_certificate ssa_jwks\n"},
	}}, func(t *testing.T, p *story.Play) {
		claims, err := p.Acme.RequestClaims(map[string]any{"iss": nil, "aud": nil, "iat": nil, "exp": nil, "jti": nil, "tls_client_auth_subject_dn": nil})
		if err != nil {
			t.Fatal(err)
		}
		bare, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := p.Acme.Request(nil)
		if err != nil {
			t.Fatal(err)
		}
		post := func(client *tpp.Client, contentType, body string) (*tpp.Response, error) {
			t.Helper()
			token, _, err := p.Prepare(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return client.Do(t.Context(), http.MethodPost, p.Register, http.Header{"Content-Type": {contentType}, "Authorization": {"Bearer " + token}}, []byte(body))
		}
		r, err := post(p.Client(p.Acme), "application/json", string(bare))
		id := answered(t, r, err, 201, "").Text("client_id")
		r2, err := post(p.Client(p.Acme), "application/json; charset=utf-8", string(bare))
		answered(t, r2, err, 201, "")
		token, err := p.ClientToken(t.Context(), p.Acme, id)
		if err != nil {
			t.Fatal(err)
		}
		read, err := p.Client(p.Acme).Read(t.Context(), p.Register, id, token)
		if answered(t, read, err, 200, ""); string(read.Body) != string(r.Body) {
			t.Errorf("read\n%s\nregistered\n%s", read.Body, r.Body)
		}

		r, err = post(p.Client(p.Other), "application/json", string(bare))
		if answered(t, r, err, 400, "invalid_client_metadata"); !strings.HasPrefix(r.Text("error_description"), "client_certificate: ") {
			t.Errorf("got %v", r)
		}
		r, err = post(p.Client(p.Acme), "application/jose", signed)
		answered(t, r, err, 415, "invalid_request")
		r, err = post(p.Client(p.Acme), "application/json", signed)
		answered(t, r, err, 400, "invalid_client_metadata")
		r, err = post(p.Client(p.Acme), "application/json", `{"software_statement":"x",`+string(bare)[1:])
		answered(t, r, err, 400, "invalid_client_metadata")

		// An update brings no other DN.
		claims["tls_client_auth_subject_dn"] = "CN=other,C=GB"
		if bare, err = json.Marshal(claims); err != nil {
			t.Fatal(err)
		}
		r, err = p.Client(p.Acme).Do(t.Context(), http.MethodPut, p.Register+"/"+id, http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + token}}, bare)
		answered(t, r, err, 400, "invalid_client_metadata")
		r, err = p.Client(p.Acme).Delete(t.Context(), p.Register, id, token)
		answered(t, r, err, 204, "")
	})
}

// TestSubjectAlternativeName: a client that is known by a name of its certificate
// gets a token and manages itself with any certificate that has this name.
func TestSubjectAlternativeName(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC, Replace: []gateway.Replacement{
		{Old: "\t\t\ttoken_endpoint_auth auto\n", New: "\t\t\ttoken_endpoint_auth auto\n\t\t\tsan dns\n"},
	}}))
	named := func(names ...string) *tpp.Client {
		certificate, err := p.Acme.IssueTransport(directory.TransportOptions{Change: func(c *x509.Certificate) { c.DNSNames = names }})
		if err != nil {
			t.Fatal(err)
		}
		return presenting(t, p, certificate)
	}
	mine := named("acme.example", "other.example")
	by := func(claim, value string) map[string]any {
		return map[string]any{"tls_client_auth_subject_dn": nil, claim: value}
	}
	r := answered(t, registers(t, p, mine, by("tls_client_auth_san_dns", "acme.example")), nil, 201, "")
	if r.Text("tls_client_auth_san_dns") != "acme.example" || r.JSON["tls_client_auth_subject_dn"] != nil {
		t.Errorf("got %v", r)
	}
	id := r.Text("client_id")
	for _, c := range []struct {
		name   string
		client *tpp.Client
		status int
	}{
		{"the certificate", mine, 200}, {"a renewed one", named("acme.example"), 200},
		{"another name", named("other.example"), 401}, {"a wildcard", named("*.example"), 401}, {"no name", p.Client(p.Acme), 401},
	} {
		r, err := c.client.Token(t.Context(), p.Endpoint("token_endpoint"), tpp.ClientCredentials(""), tpp.TLSClientAuth(id))
		if err != nil || r.Status != c.status {
			t.Errorf("%s: %v, %v", c.name, r, err)
			continue
		}
		if c.status != 200 {
			continue
		}
		token := r.Text("access_token")
		if r, err := c.client.Read(t.Context(), p.Register, id, token); err != nil || r.Status != 200 {
			t.Errorf("%s reads: %v, %v", c.name, r, err)
		}
		if r, err := p.Client(p.Acme).Read(t.Context(), p.Register, id, token); err != nil || r.Status != 401 {
			t.Errorf("another certificate reads with the token of %s: %v, %v", c.name, r, err)
		}
	}
	answered(t, registers(t, p, mine, by("tls_client_auth_san_dns", "third.example")), nil, 400, "invalid_client_metadata")
	answered(t, registers(t, p, mine, by("tls_client_auth_san_email", "ops@acme.example")), nil, 400, "invalid_client_metadata")
}

// TestRevokedKey: a key that the directory has revoked signs no registration,
// where the operator asks, although it is still published; also after a power failure while
// the directory is down.
func TestRevokedKey(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC, Replace: []gateway.Replacement{
		{Old: "\t\tsoftware_statement \"OpenBanking Ltd\" {\n", New: "\t\tsoftware_statement \"OpenBanking Ltd\" {\n\t\t\trevoked_keys\n"},
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
				t.Errorf("%s: %v", c.name, r)
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
	each(t, story.Options{Replace: []gateway.Replacement{
		{Old: "\topenbanking_dcr default/obuk {\n", New: "\topenbanking_dcr default/obuk {\n\t\tdn_match attributes organizationIdentifier\n"},
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
