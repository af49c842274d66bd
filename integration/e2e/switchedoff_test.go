package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// TestSwitchedOffMethodsAreForbidden: what is switched off is 403 to whoever it would be for, and
// nobody else learns of it; only where the operator wants it so it is 405.
func TestSwitchedOffMethodsAreForbidden(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	id, own := registered(t, p)
	token, body, err := p.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	denied := func(method string) row {
		return row{403, "access_denied", "", method + ": this server does not let clients do this"}
	}
	not := func(allow string) row {
		return row{405, "invalid_request", "", "method: not one of this address; it takes " + allow}
	}
	for _, c := range []struct {
		words string
		// rows by method for the client itself, another's token, no token, no certificate.
		rows  map[string][4]row
		allow string
	}{
		{"management GET", map[string][4]row{
			"PUT":    {denied("PUT"), notYours, noToken, noCertificate},
			"DELETE": {denied("DELETE"), notYours, noToken, noCertificate},
			"PATCH":  {not("GET"), not("GET"), not("GET"), not("GET")},
		}, "GET"},
		{"management off", map[string][4]row{
			"GET":    {denied("GET"), notYours, noToken, noCertificate},
			"PUT":    {denied("PUT"), notYours, noToken, noCertificate},
			"DELETE": {denied("DELETE"), notYours, noToken, noCertificate},
		}, ""},
		{"management PUT DELETE {\nmethod_not_allowed\n}", map[string][4]row{
			"GET": {not("PUT, DELETE"), not("PUT, DELETE"), not("PUT, DELETE"), not("PUT, DELETE")},
		}, "PUT, DELETE"},
	} {
		reload(t, p, gateway.Workspace(c.words))
		for method, rows := range c.rows {
			for i, call := range []story.Call{{As: p.Acme, Token: own}, {As: p.Acme, Token: token}, {As: p.Acme}, {Token: own}} {
				call.Method, call.URL, call.Body = method, p.Register+"/"+id, "x"
				r, err := p.Make(t.Context(), call)
				if err := rows[i].isIn(p, r, err); err != nil {
					t.Errorf("%s, %s as %d: %v", c.words, method, i, err)
				} else if r.Status == 405 && r.Header.Get("Allow") != c.allow {
					t.Errorf("%s, %s: got Allow %q, want %q", c.words, method, r.Header.Get("Allow"), c.allow)
				}
			}
		}
	}
	t.Run("no method at all", func(t *testing.T) { // RFC 9110 10.2.1: then Allow is empty
		reload(t, p, gateway.Workspace("management off {", "\tmethod_not_allowed", "}"))
		for _, method := range []string{"GET", "PUT", "DELETE", "POST"} {
			r, err := p.Make(t.Context(), story.Call{Method: method, URL: p.Register + "/" + id, As: p.Acme, Token: own, Body: "x"})
			answered(t, r, err, 405, "invalid_request")
			if allow, ok := r.Header["Allow"]; !ok || strings.Join(allow, "|") != "" || r.Text("error_description") != "method: not one of this address; it takes no method" {
				t.Errorf("%s: got %s, want an empty Allow, and no method in the description", method, r)
			}
		}
	})
	t.Run("registration off", func(t *testing.T) {
		reload(t, p, gateway.Workspace("registration off"))
		for _, call := range []story.Call{{As: p.Acme, Token: token, Body: body}, {As: p.Acme, Body: "x"}, {Body: "x", ContentType: "text/plain"}} {
			call.Method, call.URL = http.MethodPost, p.Register
			r, err := p.Make(t.Context(), call)
			if err := (row{403, "access_denied", "", "registration: this server takes no new clients"}).isIn(p, r, err); err != nil {
				t.Error(err)
			}
		}
		for _, path := range wellKnown {
			r, err := p.Client(p.Acme).Do(t.Context(), "GET", siteOf(p)+path, nil, nil)
			if err != nil || r.Status != 200 || r.JSON["registration_endpoint"] != nil || r.JSON["token_endpoint"] == nil {
				t.Errorf("%s: %v, %v, want 200", path, r, err)
			}
		}
		r, err := p.Client(p.Acme).Read(t.Context(), p.Register, id, own)
		answered(t, r, err, 200, "")
		r, err = p.Client(p.Acme).Token(t.Context(), p.Endpoint("token_endpoint"), tpp.ClientCredentials(""), tpp.TLSClientAuth(id))
		answered(t, r, err, 200, "")
		again, err := p.Acme.Request(nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err = p.Client(p.Acme).Update(t.Context(), p.Register, id, own, again)
		answered(t, r, err, 200, "")
		r, err = p.Client(p.Acme).Delete(t.Context(), p.Register, id, own)
		answered(t, r, err, 204, "")
	})
}
