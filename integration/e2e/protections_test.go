package e2e_test

import (
	"encoding/asn1"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/directory"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// without are the edits that switch protections off in words.
func without(t *testing.T, p *story.Play, protections ...string) (edits []gateway.Edit) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "acme.jwks")
	keys, err := json.Marshal(p.Acme.JWKS())
	if err == nil {
		err = os.WriteFile(file, keys, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(protections, " ")
	body := gateway.At("signed_request_body")
	for _, protection := range protections {
		switch protection {
		case "nothing": // is said of any
			edits = append(edits, gateway.At("access_token").Remove(), body.Remove())
		case "client_certificate":
			edits = append(edits, gateway.Workspace("client_certificate off"))
		case "access_token":
			edits = append(edits, tokenOff)
		case "software_statement":
			edits = append(edits, gateway.At("software_statement").Replace("software_statement off"))
			if !strings.Contains(all, "signed_request_body") {
				edits = append(edits, body.Set("jwks", file))
			}
		case "signed_request_body":
			edits = append(edits, body.Set("off"))
			if !strings.Contains(all, "software_statement") {
				edits = append(edits, gateway.Workspace("bind_certificate ssa_jwks"))
			}
		}
	}
	return edits
}

// TestOneProtectionOff: all are on by default; what is switched off is not
// demanded, and the three others still refuse what they refuse.
func TestOneProtectionOff(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	stages := map[string]stage{
		"client_certificate":  certificateStage,
		"access_token":        tokenStage,
		"software_statement":  {"statement", func(d *draft) { d.forgedStatement = true }, row{400, "invalid_software_statement", "", "software_statement: "}},
		"signed_request_body": {"signature", func(d *draft) { d.forged = true }, row{400, "invalid_client_metadata", "", "registration request has a signature"}},
	}
	for _, off := range append(slices.Collect(maps.Keys(stages)), "nothing") {
		reload(t, p, without(t, p, off)...)
		for name, s := range stages {
			t.Run(off+" off, "+name+" broken", func(t *testing.T) {
				token, _, err := p.Prepare(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				d := &draft{Call: story.Call{Method: http.MethodPost, URL: p.Register, As: p.Acme, Token: token}, claims: map[string]any{}, statement: map[string]any{}}
				if off == "signed_request_body" {
					d.bare = true
				}
				s.spoil(d)
				r, err := p.Make(t.Context(), d.finish(t, p))
				switch {
				case name == off:
					answered(t, r, err, 201, "")
				default:
					if err := s.row.isIn(p, r, err); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
}

// TestTokenOff: without protection 2 a registration needs no token, looks at none
// and uses none up; management needs one as ever.
func TestTokenOff(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	reload(t, p, without(t, p, "access_token")...)
	var id string
	token, _, err := p.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, bearer := range []string{"", "nobody-knows-it", token, token} {
		body, err := p.Acme.Request(nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := p.Client(p.Acme).Register(t.Context(), p.Register, bearer, body)
		id = answered(t, r, err, 201, "").Text("client_id")
	}
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		r, err := p.Make(t.Context(), story.Call{Method: method, URL: p.Register + "/" + id, As: p.Acme, Body: "x"})
		if err := noToken.isIn(p, r, err); err != nil {
			t.Errorf("%s: %v", method, err)
		}
	}
	own, err := p.ClientToken(t.Context(), p.Acme, id)
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Client(p.Acme).Read(t.Context(), p.Register, id, own)
	answered(t, r, err, 200, "")
}

// TestCertificateOff: without protection 1 the DN that a request claims is taken
// as it is, and must be there; a registration is managed by its token alone; the
// token endpoint still demands the certificate.
func TestCertificateOff(t *testing.T) {
	t.Parallel()
	// The AS is told the DN as the TPP wrote it: this one compares RFC 4514.
	p := learn(t, open(t, story.Options{Kind: authserverprocess.OIDCProvider}))
	unbound(t, p)
	reload(t, p, without(t, p, "client_certificate")...)
	none := tpp.NewClient(p.ClientOptions())
	defer none.Close()
	r := registers(t, p, none, map[string]any{"tls_client_auth_subject_dn": nil})
	if err := (row{400, "invalid_client_metadata", "", "tls_client_auth_subject_dn: missing"}).isIn(p, r, nil); err != nil {
		t.Error(err)
	}
	const claimed = "CN=whoever,O=Nobody Ltd,C=GB"
	r = registers(t, p, none, map[string]any{"tls_client_auth_subject_dn": claimed})
	answered(t, r, nil, 201, "")
	if r.Text("tls_client_auth_subject_dn") != claimed || r.Text("tls_client_auth_dn") != claimed {
		t.Errorf("got %s, want the DN %s", r, claimed)
	}
	whoever := r.Text("client_id")
	r = registers(t, p, none, nil)
	id := answered(t, r, nil, 201, "").Text("client_id")

	for _, c := range []struct {
		id     string
		client *tpp.Client
		status int
	}{
		{id, none, 401}, {id, p.Client(p.Other), 401}, {whoever, none, 401}, {whoever, p.Client(p.Acme), 401}, {id, p.Client(p.Acme), 200},
	} {
		r, err := c.client.Token(t.Context(), p.Endpoint("token_endpoint"), tpp.ClientCredentials(""), tpp.TLSClientAuth(c.id))
		if err != nil || r.Status != c.status || c.status == 401 && r.Text("error") != "invalid_client" {
			t.Errorf("token: %v, %v, want %d", r, err, c.status)
		}
	}
	own, err := p.ClientToken(t.Context(), p.Acme, id)
	if err != nil {
		t.Fatal(err)
	}
	body, err := p.Acme.Request(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, client := range map[string]*tpp.Client{"no certificate": none, "another certificate": p.Client(p.Other)} {
		r, err := client.Read(t.Context(), p.Register, id, own)
		answered(t, r, err, 200, "")
		r, err = client.Read(t.Context(), p.Register, id, "nobody-knows-it")
		if err := notYours.isIn(p, r, err); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		r, err = client.Read(t.Context(), p.Register, id, "")
		if err := noToken.isIn(p, r, err); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	r, err = none.Update(t.Context(), p.Register, id, own, body)
	answered(t, r, err, 200, "")
	// Switched on again, it counts again for what was registered without.
	reload(t, p)
	r, err = p.Client(p.Other).Read(t.Context(), p.Register, id, own)
	if err := notYours.isIn(p, r, err); err != nil {
		t.Error(err)
	}
	r, err = p.Client(p.Acme).Delete(t.Context(), p.Register, id, own)
	answered(t, r, err, 204, "")
}

// unbound makes the AS say that it binds no tokens, until it is asked for its
// document again: the gateway then asks for none.
func unbound(t *testing.T, p *story.Play) {
	t.Helper()
	pretend(t, p, -1, map[string]any{"tls_client_certificate_bound_access_tokens": nil})
}

// pretend has the AS publish a document with these changes; nil removes a member.
func pretend(t *testing.T, p *story.Play, times int, changes map[string]any) {
	t.Helper()
	anonymous := tpp.NewClient(p.ClientOptions())
	defer anonymous.Close()
	r, err := anonymous.Discover(t.Context(), p.AS.URL())
	if err != nil || r.Status != 200 {
		t.Fatalf("got %v, %v, want 200", r, err)
	}
	for name, value := range changes {
		if r.JSON[name] = value; value == nil {
			delete(r.JSON, name)
		}
	}
	raw, err := json.Marshal(r.JSON)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.AS.Fault(t.Context(), authserverprocess.Fault{PathContains: "/.well-known/openid-configuration", Method: "GET", Times: times, Status: 200, Body: string(raw)}); err != nil {
		t.Fatal(err)
	}
}

// TestRegistrationWithoutProtections: with all four protections off, and in words so, anybody
// registers, and nobody without a token manages or without its certificate gets one.
func TestRegistrationWithoutProtections(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	edits := without(t, p, "client_certificate", "access_token", "software_statement", "signed_request_body")
	if err := p.Reload(t.Context(), edited(t, p.Caddyfile, edits...)); err == nil || !strings.Contains(fmt.Sprint(err), "all four protections are off") {
		t.Errorf("got %v, want all four protections are off", err)
	}
	reload(t, p, append(edits, gateway.Workspace("unprotected"))...)
	// One that the AS writes as RFC 4514 does: it is told the DN as the TPP wrote it.
	certificate, err := p.Acme.IssueTransport(directory.TransportOptions{Subject: []directory.Attribute{
		{Type: asn1.ObjectIdentifier{2, 5, 4, 6}, Value: "GB"}, {Type: asn1.ObjectIdentifier{2, 5, 4, 10}, Value: "Acme Ltd"}, {Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "acme"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	acme := presenting(t, p, certificate)
	claims, err := p.Acme.RequestClaims(map[string]any{"software_statement": nil, "aud": nil, "iat": nil, "exp": nil, "jti": nil, "tls_client_auth_subject_dn": "CN=acme,O=Acme Ltd,C=GB"})
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Make(t.Context(), story.Call{Method: http.MethodPost, URL: p.Register, Body: string(body), ContentType: "application/json"})
	id := answered(t, r, err, 201, "").Text("client_id")
	r, err = p.Make(t.Context(), story.Call{URL: p.Register + "/" + id})
	if err := noToken.isIn(p, r, err); err != nil {
		t.Error(err)
	}
	r, err = acme.Token(t.Context(), p.Endpoint("token_endpoint"), tpp.ClientCredentials(""), tpp.TLSClientAuth(id))
	own := answered(t, r, err, 200, "").Text("access_token")
	r, err = acme.Read(t.Context(), p.Register, id, own)
	answered(t, r, err, 200, "")
	r, err = p.Client(p.Acme).Token(t.Context(), p.Endpoint("token_endpoint"), tpp.ClientCredentials(""), tpp.TLSClientAuth(id))
	if err != nil || r.Status != 401 {
		t.Errorf("another certificate got a token: %v, %v, want 401", r, err)
	}
}
