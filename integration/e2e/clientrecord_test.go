package e2e_test

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/directory"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// TestStatementRegistersSeveralClients: conformance tools use one statement for all that they do,
// and each registration is a client of its own.
func TestStatementRegistersSeveralClients(t *testing.T) {
	onceShared(t, func(t *testing.T, p *story.Play) {
		statement, err := p.Acme.Statement(nil)
		if err != nil {
			t.Fatal(err)
		}
		ids := map[string]bool{}
		for range 3 {
			r := answered(t, registers(t, p, p.Client(p.Acme), map[string]any{"software_statement": statement}), nil, 201, "")
			if r.Text("software_statement") != statement {
				t.Error("the statement comes back as another")
			}
			ids[r.Text("client_id")] = true
		}
		id := slices.Sorted(maps.Keys(ids))[0]
		token, err := p.ClientToken(t.Context(), p.Acme, id)
		if err != nil {
			t.Fatal(err)
		}
		body, err := p.Acme.Request(map[string]any{"software_statement": statement})
		if err != nil {
			t.Fatal(err)
		}
		r, err := p.Client(p.Acme).Update(t.Context(), p.Register, id, token, body)
		answered(t, r, err, 200, "")
		if len(ids) != 3 {
			t.Errorf("%d clients, want 3", len(ids))
		}
	})
}

// TestAnswerMembers: an answer is our record and what the directory vouches for,
// whatever request and statement would like it to say.
func TestAnswerMembers(t *testing.T) {
	onceShared(t, func(t *testing.T, p *story.Play) {
		hostile := map[string]any{
			"client_secret": "s", "client_secret_expires_at": 0, "registration_access_token": "t", "registration_client_uri": "https://evil.example", "client_id": "c",
			"client_id_issued_at": 1, "scopes": []string{"all"}, "error": "e", "error_description": "d", "sub": "x", "aud": "y", "nbf": 1, "jwks": map[string]any{}, "jwks_uri": "https://evil.example",
		}
		claims := maps.Clone(hostile)
		claims["software_version"], claims["org_name"] = 7, "Ünïcode <b>"
		statement, err := p.Acme.Statement(claims)
		if err != nil {
			t.Fatal(err)
		}
		request := map[string]any{"software_statement": statement, "made_up": "x", "request_uris": []string{"https://evil.example"}, "client_secret": "s"}
		r := answered(t, registers(t, p, p.Client(p.Acme), request), nil, 201, "")
		want := []string{
			"application_type", "client_id", "client_id_issued_at", "grant_types", "id_token_signed_response_alg", "redirect_uris", "request_object_signing_alg",
			"response_types", "scope", "scopes", "software_id", "software_statement", "tls_client_auth_dn", "tls_client_auth_subject_dn", "token_endpoint_auth_method",
		}
		for name, value := range p.Acme.StatementClaims(claims) {
			switch {
			case value == nil: // null is absent
			case hostile[name] != nil, name == "iss", name == "iat", name == "exp", name == "jti", name == "software_id":
			default:
				want = append(want, name)
			}
		}
		slices.Sort(want)
		if got := slices.Sorted(maps.Keys(r.JSON)); !slices.Equal(got, slices.Compact(want)) {
			t.Errorf("members\n%q\nwant\n%q", got, want)
		}
		if r.Text("client_id") == "c" || r.JSON["client_id_issued_at"] == float64(1) || r.Text("org_name") != "Ünïcode <b>" || r.JSON["software_version"] != float64(7) {
			t.Errorf("got %v", r)
		}
		if r.Text("scope") != "openid accounts" || r.Text("tls_client_auth_dn") != r.Text("tls_client_auth_subject_dn") {
			t.Errorf("got %v", r)
		}
		scopes, err := json.Marshal(r.JSON["scopes"])
		if err != nil || string(scopes) != `["openid","accounts"]` {
			t.Errorf("got the scopes %s, %v, want openid and accounts", scopes, err)
		}
	})
}

// TestStatementLimitsRequest: client metadata of the statement is the most that a request
// may ask for (RFC 7591 2.3).
func TestStatementLimitsRequest(t *testing.T) {
	onceShared(t, func(t *testing.T, p *story.Play) {
		statement, err := p.Acme.Statement(map[string]any{"grant_types": []string{"client_credentials", "authorization_code"}})
		if err != nil {
			t.Fatal(err)
		}
		more := registers(t, p, p.Client(p.Acme), map[string]any{"software_statement": statement})
		if answered(t, more, nil, 400, "invalid_client_metadata"); !strings.Contains(more.Text("error_description"), "grant_types binds") {
			t.Errorf("got %v", more)
		}
		answered(t, registers(t, p, p.Client(p.Acme), map[string]any{"software_statement": statement, "grant_types": []string{"client_credentials", "authorization_code"}}), nil, 201, "")
		answered(t, registers(t, p, p.Client(p.Acme), map[string]any{"software_statement": statement, "grant_types": []string{"authorization_code"}}), nil, 201, "")
	})
}

// TestUpdateReplaces: a PUT is the whole new record; what it leaves out has its
// default again. Id, time of issue and tokens stay.
func TestUpdateReplaces(t *testing.T) {
	eachShared(t, func(t *testing.T, p *story.Play) {
		client := p.Client(p.Acme)
		first := answered(t, registers(t, p, client, map[string]any{
			"scope": "openid", "response_types": []string{"code"}, "redirect_uris": []string{"https://tpp.example/other"}, "token_endpoint_auth_signing_alg": "ES256",
		}), nil, 201, "")
		id := first.Text("client_id")
		token, err := p.ClientToken(t.Context(), p.Acme, id)
		if err != nil {
			t.Fatal(err)
		}
		body, err := p.Acme.Request(map[string]any{"scope": nil, "response_types": nil, "redirect_uris": nil, "software_id": nil})
		if err != nil {
			t.Fatal(err)
		}
		r, err := client.Update(t.Context(), p.Register, id, token, body)
		answered(t, r, err, 200, "")
		if r.Text("client_id") != id || r.JSON["client_id_issued_at"] != first.JSON["client_id_issued_at"] {
			t.Errorf("got %v, want the client %s with its time of issue", r, id)
		}
		for name, want := range map[string]string{
			"scope": `"openid accounts"`, "response_types": `["code id_token"]`, "redirect_uris": `["https://tpp.example/callback","https://tpp.example/other"]`, "token_endpoint_auth_signing_alg": "null",
		} {
			if got, err := json.Marshal(r.JSON[name]); err != nil || string(got) != want {
				t.Errorf("%s is %s, want %s, %v", name, got, want, err)
			}
		}
		read, err := client.Read(t.Context(), p.Register, id, token) // the token of before
		if answered(t, read, err, 200, ""); string(read.Body) != string(r.Body) {
			t.Errorf("got\n%s\nwant as changed\n%s", read.Body, r.Body)
		}
	})
}

// TestNewDNByUpdate: a PUT with the client's own certificate may name another one
// that the directory publishes for the software; with the 200 the old one ends.
func TestNewDNByUpdate(t *testing.T) {
	each(t, story.Options{}, func(t *testing.T, p *story.Play) {
		id := answered(t, registers(t, p, p.Client(p.Acme), nil), nil, 201, "").Text("client_id")
		issue := func(cn string, unpublished bool) (*tpp.Client, string) {
			certificate, err := p.Acme.IssueTransport(directory.TransportOptions{Unpublished: unpublished, Subject: []directory.Attribute{
				{Type: asn1.ObjectIdentifier{2, 5, 4, 6}, Value: "GB"}, {Type: directory.OrganizationIdentifier, Value: "PSDGB-FCA-123456"}, {Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: cn},
			}})
			if err != nil {
				t.Fatal(err)
			}
			leaf, err := x509.ParseCertificate(certificate.Certificate[0])
			if err != nil {
				t.Fatal(err)
			}
			dn, err := directory.SubjectDN(leaf.RawSubject)
			if err != nil {
				t.Fatal(err)
			}
			return presenting(t, p, certificate), dn
		}
		_, foreign := issue("unpublished", true)
		next, dn := issue("next", false)
		token, err := p.ClientToken(t.Context(), p.Acme, id)
		if err != nil {
			t.Fatal(err)
		}
		put := func(dn string) (*tpp.Response, error) {
			body, err := p.Acme.Request(map[string]any{"tls_client_auth_subject_dn": dn})
			if err != nil {
				t.Fatal(err)
			}
			return p.Client(p.Acme).Update(t.Context(), p.Register, id, token, body)
		}
		r, err := put(foreign)
		answered(t, r, err, 400, "invalid_client_metadata")
		reload(t, p) // the keys of before are fresh for a while, and were asked for again just now
		r, err = put(dn)
		answered(t, r, err, 200, "")
		for client, status := range map[*tpp.Client]int{p.Client(p.Acme): http.StatusUnauthorized, next: http.StatusOK} {
			r, err := client.Token(t.Context(), p.Endpoint("token_endpoint"), tpp.ClientCredentials(""), tpp.TLSClientAuth(id))
			if err != nil || r.Status != status {
				t.Errorf("token: %v, %v, want %d", r, err, status)
			}
		}
		r, err = p.Client(p.Acme).Read(t.Context(), p.Register, id, token)
		answered(t, r, err, 401, "invalid_token")
	})
}
