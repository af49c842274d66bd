package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/verify/dn"
)

// asks asks for a token of a client with a certificate, and holds that it gets an answer of
// this status, and that the AS sees no request but one that is answered so with 200.
func (s *stage) asks(what string, certificate tls.Certificate, id string, status int) {
	s.t.Helper()
	a := s.form(&certificate, tokenPath, "grant_type=client_credentials&client_id="+id)
	if seen := s.as.passed(); a.status != status || (len(seen) == 1) != (status == http.StatusOK) {
		s.t.Errorf("%s: got %s, the authorization server saw %+v, want %d", what, a, seen, status)
	}
}

// TestSubjectAlternativeName: a client that is known by a name of its certificate gets a
// token and manages itself with any certificate that has this name.
func TestSubjectAlternativeName(t *testing.T) {
	s := newStage(t, func(_ *stage, _ *Options, as *authserver.Options) {
		as.Supported.SubjectNames = []string{"tls_client_auth_subject_dn", "tls_client_auth_san_dns"}
	})
	named := func(names ...string) *software {
		tpp := *s.acme
		tpp.transport = clientCA().issue(t, tpp.subject, func(c *x509.Certificate) { c.DNSNames = names })
		return &tpp
	}
	mine := named("acme.example", "other.example")
	by := func(claim, value string) map[string]any {
		return map[string]any{"tls_client_auth_subject_dn": nil, claim: value}
	}
	a := s.register(mine, by("tls_client_auth_san_dns", "acme.example"))
	if a.status != http.StatusCreated || a.text("tls_client_auth_san_dns") != "acme.example" || a.members["tls_client_auth_subject_dn"] != nil {
		t.Fatalf("got %s, want 201 with tls_client_auth_san_dns acme.example", a)
	}
	id := a.text("client_id")
	for _, c := range []struct {
		name string
		as   *software
		good bool
	}{
		{"the certificate", mine, true}, {"a renewed one", named("acme.example"), true},
		{"another name", named("other.example"), false}, {"a wildcard", named("*.example"), false}, {"no name", s.acme, false},
	} {
		status := map[bool]int{true: http.StatusOK, false: http.StatusUnauthorized}[c.good]
		s.asks(c.name, c.as.transport, id, status)
		if a := s.dcr(c.as, http.MethodGet, stageRegister+"/"+id, s.clientToken(id, c.as), ""); a.status != status {
			t.Errorf("%s reads: got %s, want %d", c.name, a, status)
		}
	}
	if a := s.dcr(s.acme, http.MethodGet, stageRegister+"/"+id, s.clientToken(id, mine), ""); a.status != http.StatusUnauthorized {
		t.Errorf("another certificate reads with the client's token: got %s, want 401", a)
	}
	for claim, value := range map[string]string{"tls_client_auth_san_dns": "third.example", "tls_client_auth_san_email": "ops@acme.example"} {
		if a := s.register(mine, by(claim, value)); a.status != http.StatusBadRequest || a.text("error") != "invalid_client_metadata" {
			t.Errorf("%s %s: got %s, want 400 invalid_client_metadata", claim, value, a)
		}
	}
}

// TestRenewedCertificate: with dn_match the DN of a renewed certificate counts from its first
// use on, and that of an older one no more.
func TestRenewedCertificate(t *testing.T) {
	s := newStage(t, func(_ *stage, o *Options, _ *authserver.Options) {
		o.Match = dn.Match{Attributes: []string{oidOrganizationIdentifier.String()}}
	})
	id, _ := s.registered(s.acme, nil)
	renewed := func(organization string, from time.Time) *software {
		tpp := *s.acme
		tpp.subject = []attribute{{oidCountry, "GB"}, {oidOrganizationIdentifier, organization}, {oidCommonName, "renewed"}}
		tpp.transport = clientCA().issue(t, tpp.subject, func(c *x509.Certificate) { c.NotBefore = from })
		return &tpp
	}
	young, older := renewed("PSDGB-FCA-123456", time.Now()), renewed("PSDGB-FCA-123456", time.Now().Add(-24*time.Hour))
	s.asks("the first", s.acme.transport, id, http.StatusOK)
	s.asks("another organisation's", renewed("PSDGB-FCA-999999", time.Now()).transport, id, http.StatusUnauthorized)
	s.asks("an older one", older.transport, id, http.StatusUnauthorized)
	for range 2 {
		s.asks("a younger one", young.transport, id, http.StatusOK)
	}
	s.asks("the first, which has ended", s.acme.transport, id, http.StatusUnauthorized)
	a := s.dcr(young, http.MethodGet, stageRegister+"/"+id, s.clientToken(id, young), "")
	if dn := a.text("tls_client_auth_subject_dn"); a.status != http.StatusOK || !strings.HasPrefix(dn, "CN=renewed,") {
		t.Errorf("got %s, want 200 and a DN that begins with CN=renewed,", a)
	}
}
