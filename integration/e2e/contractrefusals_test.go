package e2e_test

import (
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/directory"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// refusals are answers of every status and code that the endpoint has.
func (c *contractor) refusals() {
	for name, row := range map[string]struct {
		overrides map[string]any
		code      string
	}{
		"a bad claim":        {map[string]any{"grant_types": []string{"implicit"}}, "invalid_client_metadata"},
		"a bad redirect URI": {map[string]any{"redirect_uris": []string{"https://evil.example/"}}, "invalid_redirect_uri"},
		"no statement":       {map[string]any{"software_statement": "x.y.z"}, "invalid_software_statement"},
		"unknown directory":  {map[string]any{"software_statement": c.statement()}, "unapproved_software_statement"},
	} {
		if r := c.post(name, row.overrides, 400); r.Text("error") != row.code {
			c.t.Errorf("%s: got %v, want %s", name, r, row.code)
		}
	}
	other, err := strangersKey()
	if err != nil {
		c.t.Fatal(err)
	}
	claims, err := c.p.Acme.RequestClaims(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	forged, err := other.Sign(claims, map[string]any{"kid": c.p.Acme.Signing.ID})
	if err != nil {
		c.t.Fatal(err)
	}
	token, _, err := c.p.Prepare(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	id, own := c.client()
	good := story.Call{Method: "POST", URL: c.register, As: c.p.Acme, Token: token, Body: c.body(nil)}
	one, escaped := c.register+"/"+id, c.register+"/%6eobody"
	burnt, _, err := c.p.Prepare(c.t.Context()) // a token that asks for a client that is not its own is refused from then on
	if err != nil {
		c.t.Fatal(err)
	}
	nobody := func(method string) func(*story.Call) {
		return func(x *story.Call) {
			x.Method, x.URL, x.Token = method, c.register+"/nobody", burnt
			if method != http.MethodPut {
				x.Body = ""
			}
		}
	}
	for name, row := range map[string]struct {
		change func(*story.Call)
		status int
	}{
		"another key":       {func(x *story.Call) { x.Body = forged }, 400},
		"not a JWS":         {func(x *story.Call) { x.Body = "x" }, 400},
		"no certificate":    {func(x *story.Call) { x.As = nil }, 401},
		"no token":          {func(x *story.Call) { x.Token = "" }, 401},
		"another's token":   {func(x *story.Call) { x.Token = own }, 403},
		"bad token":         {func(x *story.Call) { x.Token = "x" }, 401},
		"another method":    {func(x *story.Call) { x.Method, x.Body = "GET", "" }, 405},
		"too large":         {func(x *story.Call) { x.Body = strings.Repeat("a", 1<<17) }, 413},
		"media type":        {func(x *story.Call) { x.ContentType = "application/json" }, 415},
		"unknown client":    {nobody("GET"), 401},
		"unknown, changed":  {nobody("PUT"), 401},
		"unknown, deleted":  {nobody("DELETE"), 401},
		"method of none":    {func(x *story.Call) { x.Method, x.URL = "PATCH", one }, 405},
		"posted below":      {func(x *story.Call) { x.URL = one }, 405},
		"change, too large": {func(x *story.Call) { x.Method, x.URL, x.Token, x.Body = "PUT", one, own, strings.Repeat("a", 1<<17) }, 413},
		"change, type":      {func(x *story.Call) { x.Method, x.URL, x.Token, x.ContentType = "PUT", one, own, "application/json" }, 415},
		"escaped, read":     {func(x *story.Call) { x.Method, x.Body, x.URL = "GET", "", escaped }, 404},
		"escaped, changed":  {func(x *story.Call) { x.Method, x.URL = "PUT", escaped }, 404},
		"escaped, deleted":  {func(x *story.Call) { x.Method, x.Body, x.URL = "DELETE", "", escaped }, 404},
		"escaped, posted":   {func(x *story.Call) { x.URL = escaped }, 404},
	} {
		call := good
		row.change(&call)
		c.check(name, call, row.status)
	}
}

// statement is one that the bank does not know the issuer of.
func (c *contractor) statement() string {
	c.t.Helper()
	s, err := c.p.Stranger.Statement(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return s
}

// client registers one and gets it a token.
func (c *contractor) client() (id, token string) {
	c.t.Helper()
	id = c.post("a client", nil, http.StatusCreated).Text("client_id")
	token, err := c.p.ClientToken(c.t.Context(), c.p.Acme, id)
	if err != nil {
		c.t.Fatal(err)
	}
	return id, token
}

// names are those of software that is not as short and plain as the files think.
func (c *contractor) names() {
	reload(c.t, c.p, gateway.Workspace("lenient", "version "+c.version))
	for name, e := range map[string]directory.Enrolment{
		"a comma":   {OrgName: "Other, Sons & Co"},
		"long":      {OrgName: strings.Repeat("Long ", 12) + "Ltd"},
		"a UUID":    {SoftwareID: uuid.NewString()},
		"not ASCII": {OrgName: "Zo\u00eb Ltd"},
	} {
		enrolled, err := c.p.Directory.Enrol(e)
		if err != nil {
			c.t.Fatal(err)
		}
		software := &tpp.Software{Software: enrolled, Audience: story.Bank}
		token, _, err := c.p.Prepare(c.t.Context())
		if err != nil {
			c.t.Fatal(err)
		}
		body, err := software.Request(nil)
		if err != nil {
			c.t.Fatal(err)
		}
		client := software.Client(c.p.ClientOptions())
		r, err := client.Register(c.t.Context(), c.register, token, body)
		client.Close()
		c.hold(name, story.Call{Method: "POST", URL: c.register}, r, err, http.StatusCreated)
	}
}

// switches are answers that only other words in the Caddyfile bring.
func (c *contractor) switches() {
	version := gateway.Workspace("version " + c.version)
	reload(c.t, c.p, version)
	id, own := c.client()
	one := story.Call{URL: c.register + "/" + id, As: c.p.Acme, Token: own}
	calls := func(name string, status int, methods ...string) {
		c.t.Helper()
		for _, method := range methods {
			call := one
			if call.Method = method; method == http.MethodPost {
				call.URL = c.register
			}
			if method == http.MethodPost || method == http.MethodPut {
				call.Body = c.body(nil)
			}
			c.check(name, call, status)
		}
	}
	introspection := strings.TrimPrefix(c.p.Endpoint("introspection_endpoint"), c.p.Issuer)
	if err := c.p.AS.Fault(c.t.Context(), authserverprocess.Fault{PathContains: introspection, Times: -1, Status: http.StatusInternalServerError}); err != nil {
		c.t.Fatal(err)
	}
	calls("the AS is down", 503, "POST", "GET", "PUT", "DELETE")
	if err := c.p.AS.ResetFaults(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	reload(c.t, c.p, version, gateway.Workspace("registration off", "management off"))
	calls("switched off", 403, "POST", "GET", "PUT", "DELETE")
	reload(c.t, c.p, version, gateway.Workspace("management off {", "\tmethod_not_allowed", "}"))
	calls("switched off, as a method", 405, "GET", "PUT", "DELETE")
	reload(c.t, c.p, version, gateway.At("rate_limit").Set("1", "1h"))
	calls("the only one", 200, "GET")
	calls("too many", 429, "POST", "GET", "PUT", "DELETE")
	reload(c.t, c.p, append(without(c.t, c.p, "software_statement"), version)...)
	c.post("without a statement", map[string]any{"software_statement": nil}, 201)
}
