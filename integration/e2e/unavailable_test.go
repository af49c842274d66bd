package e2e_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/directory"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// TestUnavailable: whatever fails that is not the TPP's fault is 503 with a
// Retry-After, and burns neither the token nor the request. Where the AS may have
// registered the client, they are held until that is settled, a minute at most.
func TestUnavailable(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC, Edits: []gateway.Edit{gateway.Unlimited}}))
	id, own := registered(t, p)
	internal, err := p.InternalRegistration(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	internal = strings.TrimPrefix(internal, story.Prefix)
	introspection := strings.TrimPrefix(p.Endpoint("introspection_endpoint"), p.Issuer)
	type fault = authserverprocess.Fault
	at := func(path string, f fault) func() error {
		f.PathContains, f.Times = path, -1
		return func() error { return p.AS.Fault(t.Context(), f) }
	}
	directoryDown := func(path string, f directory.Fault) func() error {
		f.Path, f.Times = path, -1
		return func() error { p.Directory.AddFault(f); return nil }
	}
	for n, c := range []struct {
		name  string
		fault func() error
		// methods that need what fails; all of them when empty.
		methods string
		wait    string
	}{
		{"introspection: our secret is wrong", at(introspection, fault{Status: 401, Body: `{"error":"invalid_client"}`}), "", "5"},
		{"introspection: we may not", at(introspection, fault{Status: 403, Body: `{"error":"access_denied"}`}), "", "5"},
		{"introspection: its error", at(introspection, fault{Status: 500, Body: "at Object.<anonymous> (/srv/as/index.js:1:1)"}), "", "5"},
		{"introspection: no JSON", at(introspection, fault{Status: 200, Body: "<html>"}), "", "5"},
		{"introspection: nonsense", at(introspection, fault{Status: 200, Body: `{"active":"yes"}`}), "", "5"},
		{"introspection: no answer", at(introspection, fault{Drop: true}), "", "5"},
		{"introspection: too many", at(introspection, fault{Status: 429, Header: map[string]string{"Retry-After": "9"}}), "", "9"},
		{"introspection: maintenance", at(introspection, fault{Status: 503, Header: map[string]string{"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}}), "", "5"},
		{"registration: our token is wrong", at(internal, fault{Status: 401, Body: `{"error":"invalid_token"}`}), "POST", "5"},
		{"registration: we may not", at(internal, fault{Status: 403}), "POST", "5"},
		{"registration: its error", at(internal, fault{Status: 500, Body: "panic: runtime error\ngoroutine 1 [running]:"}), "POST", "60"},
		{"registration: no JSON", at(internal, fault{Status: 201, Body: "<html>"}), "POST", "60"},
		{"registration: no client", at(internal, fault{Status: 201, Body: "{}"}), "POST", "60"},
		{"registration: a redirect", at(internal, fault{Status: 302, Header: map[string]string{"Location": "https://elsewhere.example/"}}), "POST", "60"},
		{"registration: no answer", at(internal, fault{Drop: true}), "POST", "60"},
		{"registration: maintenance", at(internal, fault{Status: 503, Header: map[string]string{"Retry-After": "120"}}), "POST PUT", "120"},
		{"directory: no answer", directoryDown(p.Directory.JWKSURL(), directory.Fault{Drop: true}), "POST PUT", ""},
		{"directory: its error", directoryDown(p.Directory.JWKSURL(), directory.Fault{Status: 500}), "POST PUT", ""},
		{"directory: no key set", directoryDown(p.Directory.JWKSURL(), directory.Fault{Status: 200, Body: []byte("<html>")}), "POST PUT", ""},
		{"directory: no key", directoryDown(p.Directory.JWKSURL(), directory.Fault{Status: 200, Body: []byte(`{"keys":[]}`)}), "POST PUT", ""},
		{"software's keys: its error", directoryDown(p.Acme.JWKSEndpoint(), directory.Fault{Status: 503}), "POST PUT", ""},
		{"software's keys: a redirect to another origin", directoryDown(p.Acme.JWKSEndpoint(), directory.Fault{Status: 302, Header: http.Header{"Location": {"https://elsewhere.example/keys"}}}), "POST PUT", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			// Key sets are kept for the address of the directory's.
			address := p.Directory.JWKSURL() + "?" + strconv.Itoa(n)
			reload(t, p, gateway.At("jwks_uri").Set(address)) // knows no keys yet
			token, body, err := p.Prepare(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			change, err := p.Acme.Request(nil)
			if err != nil {
				t.Fatal(err)
			}
			call := func(method string) story.Call {
				if method == http.MethodPost {
					return story.Call{Method: method, URL: p.Register, As: p.Acme, Token: token, Body: body}
				}
				return story.Call{Method: method, URL: p.Register + "/" + id, As: p.Acme, Token: own, Body: map[string]string{"PUT": change}[method]}
			}
			if err := c.fault(); err != nil {
				t.Fatal(err)
			}
			for _, method := range []string{"POST", "GET", "PUT", "DELETE"} {
				if c.methods != "" && !strings.Contains(c.methods, method) {
					continue
				}
				r, err := p.Make(t.Context(), call(method))
				if err := notAvailable.isIn(p, r, err); err != nil {
					t.Errorf("%s: %v", method, err)
				} else if c.wait != "" && r.Header.Get("Retry-After") != c.wait {
					t.Errorf("%s: Retry-After %q, want %q", method, r.Header.Get("Retry-After"), c.wait)
				}
			}
			p.Directory.ResetFaults()
			if err := p.AS.ResetFaults(t.Context()); err != nil {
				t.Fatal(err)
			}
			reload(t, p, gateway.At("jwks_uri").Set(address)) // tries again at once
			for method, status := range map[string]int{"POST": 201, "PUT": 200, "GET": 200} {
				r, err := p.Make(t.Context(), call(method))
				if method == "POST" && c.wait == "60" { // what it reserved is being settled
					if err := notAvailable.isIn(p, r, err); err != nil || !strings.HasPrefix(r.Text("error_description"), "a request with the same token, jti or metadata is under way, or is being settled") {
						t.Errorf("held: got %v, %v, want 503, under way or being settled", r, err)
					}
					continue
				}
				answered(t, r, err, status, "")
			}
		})
	}
}

// TestRefusedByTheServer: the AS's no to metadata is the TPP's, with the names of the
// metadata that the AS's words name; the words are in the log.
func TestRefusedByTheServer(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	internal, err := p.InternalRegistration(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	id, own := registered(t, p)
	refused := row{400, "invalid_client_metadata", "", "the authorization server refuses the client metadata"}
	for _, c := range []struct {
		name, body string
		row        row
		says       string
	}{
		{"metadata", `{"error":"invalid_client_metadata","error_description":"scope is odd"}`, refused, "metadata (it names scope);"},
		{"redirect URI", `{"error":"invalid_redirect_uri"}`, row{400, "invalid_redirect_uri", "", "the authorization server refuses the redirect URIs"}, "URIs;"},
		{"statement", `{"error":"invalid_software_statement"}`, refused, "metadata (it names software_statement);"},
		{"long", `{"error":"invalid_client_metadata","error_description":"` + strings.Repeat("x", 5000) + `"}`, refused, "metadata;"},
		{"quotes and letters", `{"error":"invalid_client_metadata","error_description":"\"é\\\u0000\n"}`, refused, "metadata;"},
		{"hosts and files behind it", `{"error":"invalid_client_metadata","error_description":"https://as.internal/x: com.bank.as.Scope at /opt/as/scope.jar: redirect_uris"}`, refused, "metadata (it names redirect_uris);"},
		{"what is behind it", `{"error":"invalid_client_metadata","error_description":"connect ECONNREFUSED 127.0.0.1:5432\n    at TCPConnectWrap (node:net:1555)"}`, refused, "metadata;"},
	} {
		t.Run(c.name, func(t *testing.T) {
			token, body, err := p.Prepare(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			change, err := p.Acme.Request(nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.AS.Fault(t.Context(), authserverprocess.Fault{PathContains: strings.TrimPrefix(internal, story.Prefix), Times: -1, Status: 400, Body: c.body}); err != nil {
				t.Fatal(err)
			}
			calls := []story.Call{{Method: "POST", URL: p.Register, As: p.Acme, Token: token, Body: body}, {Method: "PUT", URL: p.Register + "/" + id, As: p.Acme, Token: own, Body: change}}
			for _, call := range calls {
				r, err := p.Make(t.Context(), call)
				if err := c.row.isIn(p, r, err); err != nil {
					t.Errorf("%s: %v", call.Method, err)
				} else if !strings.Contains(r.Text("error_description"), c.says) {
					t.Errorf("%s: got %s, want %q", call.Method, r, c.says)
				}
			}
			if err := p.AS.ResetFaults(t.Context()); err != nil {
				t.Fatal(err)
			}
			for i, status := range []int{201, 200} { // nothing was burnt
				r, err := p.Make(t.Context(), calls[i])
				answered(t, r, err, status, "")
			}
		})
	}
}
