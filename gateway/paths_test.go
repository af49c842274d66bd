package gateway

import (
	"testing"

	"github.com/caddy-dcr/caddy-dcr/authserver"
)

// paths is the table of an AS under /default/obuk.
func paths(t testing.TB) *table {
	t.Helper()
	h := &Gateway{options: Options{RegisterPath: "/default/obuk/openbankinguk/dcr/v3.2/register", IssuerPath: "/default/obuk"}}
	m := &authserver.Metadata{Issuer: "https://bank.example/default/obuk"}
	for name, path := range map[string]string{
		"token_endpoint": "/default/obuk/token", "userinfo_endpoint": "/default/obuk/userinfo", "jwks_uri": "/default/obuk/jwks",
		"registration_endpoint": "/default/obuk/Reg", "revocation_endpoint": "/elsewhere/revoke",
	} {
		m.Endpoints = append(m.Endpoints, authserver.NewEndpoint(name, path))
	}
	return h.newTable(m)
}

func TestFind(t *testing.T) {
	const register = "/default/obuk/openbankinguk/dcr/v3.2/register"
	for _, c := range []struct {
		path string
		want purpose
		id   string
	}{
		{register, registrations, ""},
		{register + "/", hidden, ""},
		{register + "/abc", registration, "abc"},
		{register + "/abc-DEF.1~_", registration, "abc-DEF.1~_"},
		{register + "/a%20b", registration, "a%20b"},
		{register + "/a%2Fb", registration, "a%2Fb"},
		{register + "/%FF", registration, "%FF"},
		{register + "/%ff", hidden, ""},
		{register + "/%00", hidden, ""},
		{register + "/%FF%00", hidden, ""},
		{register + "/a%2fb", hidden, ""}, // another spelling of the same id
		{register + "/%61", hidden, ""},
		{register + "/abc/", hidden, ""},
		{register + "/abc/def", hidden, ""},
		{register + "/..", hidden, ""},
		{register + "/%2e%2e", hidden, ""},
		{register + "/%2E%2E/x", hidden, ""},
		{"/default/obuk/openbankinguk/dcr/v3.2/registers", passThrough, ""},
		{"/default/obuk/openbankinguk/dcr/v3.2/REGISTER", hidden, ""},
		{"//default/obuk/openbankinguk/dcr/v3.2/register", hidden, ""},

		{"/default/obuk/.well-known/openid-configuration", discovery, ""},
		{"/default/obuk/.well-known/oauth-authorization-server", discovery, ""},
		{"/.well-known/oauth-authorization-server/default/obuk", discovery, ""},
		{"/.well-known/openid-configuration/default/obuk", discovery, ""},
		{"/default/obuk/.well-known/openid-configuration/", hidden, ""},
		{"/.well-known/oauth-authorization-server", passThrough, ""},

		{"/default/obuk/token", clientAuthentication, ""},
		{"/default/obuk/TOKEN", hidden, ""},
		{"/default/obuk/token/", hidden, ""},
		{"/default/obuk/%74oken", hidden, ""},
		{"/default/obuk/%2574oken", hidden, ""},
		{"/caf%25252565", passThrough, ""}, // decoded four times
		{"/caf%2525252565", hidden, ""},    // and once more
		{"/default/obuk/token;v=1", hidden, ""},
		{"/default/obuk/./token", hidden, ""},
		{"/default/obuk/x/../token", hidden, ""},
		{`/default/obuk\token`, hidden, ""},
		{"/default/obuk/tok%00en", hidden, ""},
		{"/default/obuk/token%20", hidden, ""},
		{"/default/obuk/token%zz", hidden, ""},
		{"/default/obuk/token%3fx", hidden, ""},
		{"/default/obuk/token%23", hidden, ""},
		{"/default/obuk/token%00.css", hidden, ""},
		{"/default/obuk/token%253fx", hidden, ""},
		{"/default/obuk/reg%0ax", hidden, ""},
		{"/default/obuk/u%C5%BFerinfo", hidden, ""},              // long s
		{"/default/obuk/to%E2%84%AAen", hidden, ""},              // Kelvin sign
		{"/default/obuk/token%C2%A0", hidden, ""},                // no-break space
		{"/default/obuk/%E2%80%8Btoken", hidden, ""},             // zero-width space
		{"/default/obuk/to%C2%ADken", hidden, ""},                // soft hyphen
		{"/default/obuk/token%E3%80%80", hidden, ""},             // ideographic space
		{"/default/obuk/%EF%BD%94oken", hidden, ""},              // full-width t
		{"/default/obuk%EF%BC%8Ftoken", hidden, ""},              // full-width slash
		{"/default/x/%EF%BC%8E%EF%BC%8E/obuk/token", hidden, ""}, // full-width stops
		{"/default/obuk/token%EF%BC%9Fx", hidden, ""},            // full-width question mark
		{"/default/obuk%c0%aftoken", hidden, ""},                 // over-long slash
		{"/default/obuk/%e0%80%aftoken", hidden, ""},
		{"/default/obuk%25c0%25aftoken", hidden, ""},
		{"/default/obuk%E2%88%95token", hidden, ""}, // division slash
		{"/default/obuk/to%CC%81ken", hidden, ""},   // an accent
		{"/caf%C3%A9", passThrough, ""},
		{"/default/obuk/tokens", passThrough, ""},
		{"/default/obuk/token/sub", passThrough, ""},
		{"/elsewhere/revoke", revocation, ""},
		{"/elsewhere/Revoke", hidden, ""},
		{"/default/obuk/userinfo", endpoint, ""},
		{"/default/obuk/jwks", named, ""},
		{"/default/obuk/JWKS", passThrough, ""},

		{"/default/obuk/Reg", hidden, ""},
		{"/default/obuk/reg", hidden, ""},
		{"/default/obuk/Reg/abc", hidden, ""},
		{"/default/obuk/reg/abc", hidden, ""},
		{"/default/obuk/%52eg", hidden, ""},
		{"/default/obuk/register", passThrough, ""},
		{"/", passThrough, ""},
		{"", passThrough, ""},
		{"*", passThrough, ""},
	} {
		if got, id := paths(t).find(c.path); got != c.want || id != c.id {
			t.Errorf("%s: %d %q, want %d %q", c.path, got, id, c.want, c.id)
		}
	}
}

// An AS that names one address for two things gets the stricter of them.
func TestSharedPaths(t *testing.T) {
	h := &Gateway{options: Options{RegisterPath: "/bank/register", IssuerPath: "/bank"}}
	const token, revoke, introspect = "token_endpoint", "revocation_endpoint", "introspection_endpoint"
	for _, c := range []struct {
		names []string
		want  purpose
	}{
		{[]string{"userinfo_endpoint", token}, clientAuthentication},
		{[]string{token, "userinfo_endpoint"}, clientAuthentication},
		{[]string{revoke}, revocation},
		{[]string{revoke, token}, clientAuthentication},
		{[]string{token, revoke}, clientAuthentication},
		{[]string{introspect, revoke}, introspection},
		{[]string{token, introspect}, introspection},
		{[]string{revoke, "userinfo_endpoint"}, revocation},
		{[]string{token + "_draft_01"}, clientAuthentication},
		{[]string{revoke + "_draft_01"}, revocation},
		{[]string{introspect + "_draft_01"}, introspection},
		{[]string{"credentials_endpoint_draft_00"}, endpoint},
	} {
		m := &authserver.Metadata{}
		for _, name := range c.names {
			m.Endpoints = append(m.Endpoints, authserver.NewEndpoint(name, "/bank/oauth"))
		}
		if got, _ := h.newTable(m).find("/bank/oauth"); got != c.want {
			t.Errorf("%v: %d, want %d", c.names, got, c.want)
		}
	}
	m := &authserver.Metadata{Endpoints: []authserver.Endpoint{authserver.NewEndpoint("registration_endpoint", "/bank/oauth"), authserver.NewEndpoint("token_endpoint", "/bank/oauth")}}
	if got, _ := h.newTable(m).find("/bank/oauth"); got != hidden {
		t.Errorf("registration: %d", got)
	}
}

// Every way to register at the AS itself is hidden, by path, whatever its query.
func TestHiddenRegistrations(t *testing.T) {
	h := &Gateway{options: Options{RegisterPath: "/bank/register", IssuerPath: "/bank"}}
	table := h.newTable(&authserver.Metadata{Endpoints: []authserver.Endpoint{
		authserver.NewEndpoint("registration_endpoint", "/bank/reg?realm=/obuk"),
		authserver.NewEndpoint("registration_endpoint", "/bank/mtls/reg"), // an alias
		authserver.NewEndpoint("federation_registration_endpoint", "/bank/federation"),
		authserver.NewEndpoint("registration_endpoint_draft_00", "/bank/draft"),
	}})
	for _, path := range []string{"/bank/reg", "/bank/reg/id", "/bank/REG", "/bank/mtls/reg", "/bank/mtls/reg/id", "/bank/federation", "/bank/draft", "/bank/draft/id"} {
		if got, _ := table.find(path); got != hidden {
			t.Errorf("%s: %d, want %d", path, got, hidden)
		}
	}
}

func TestFindAllocatesNothing(t *testing.T) {
	table := paths(t)
	for _, path := range []string{"/default/obuk/token", "/default/obuk/anything/else", "/accounts/v1"} {
		if n := testing.AllocsPerRun(100, func() { table.find(path) }); n != 0 {
			t.Errorf("%s: %v allocations", path, n)
		}
	}
}

// FuzzNormalPath: the fast way and the slow way agree, and a normal form is its own.
func FuzzNormalPath(f *testing.F) {
	for _, seed := range []string{"/default/obuk/token", "//a/./b/../c;d=1/", "/%74oken%2f", "/%252e%252e/x", `\a\b`, "/A%00b ", "/ü/%C3%BC"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		normal, err := NormalPath(path)
		if plain(path) && (err != nil || normal != path) {
			t.Fatalf("%q is plain, but its normal form is %q, %v", path, normal, err)
		}
		if err != nil {
			return
		}
		if again, err := NormalPath(normal); err == nil && again != normal {
			t.Fatalf("%q becomes %q becomes %q", path, normal, again)
		}
	})
}
