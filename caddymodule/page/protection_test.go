package page

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

const gateway = `
auth.bank.example {
	tls internal
	openbanking_dcr default/obuk {
		authorization_server https://as.internal:9443/default/obuk {
			provision rfc7591
		}
		software_statement "OpenBanking Ltd" {
			jwks_uri https://directory.example/keys.jwks
		}
	}
	reverse_proxy https://as.internal:9443
}
`

// hash is that of a password, for basic_auth.
const hash = "$2a$04$IzqM6UJoq3VvJqzqYp.wguVbNw3WvR0yoKgpVrNHXnlHVDOnOPHfK"

// validate loads a configuration with these sites, and starts nothing.
func validate(t *testing.T, sites string) error {
	t.Helper()
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	text := "{\n\tadmin off\n\tskip_install_trust\n\tlog {\n\t\toutput discard\n\t}\n\topenbanking_dcr {\n\t\tstore badger " + t.TempDir() + "\n\t}\n}\n" + gateway + sites
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), nil)
	if err != nil {
		return err
	}
	var config caddy.Config
	if err := json.Unmarshal(adapted, &config); err != nil {
		t.Fatal(err)
	}
	return caddy.Validate(&config)
}

// TestProtection: the page loads only where nobody but operators can come to it.
func TestProtection(t *testing.T) {
	const (
		basic   = "\tbasic_auth {\n\t\tanna " + hash + "\n\t}\n"
		forward = "\tforward_auth login.internal:80 {\n\t\turi /verify\n\t\tcopy_headers Remote-User Remote-Groups\n\t}\n"
		site    = "ops.bank.example {\n\ttls internal\n"
	)
	for name, c := range map[string]struct {
		sites string
		// refused is in the error; empty for none.
		refused string
	}{
		"in the open":                                 {site + "\topenbanking_dcr_admin\n}\n", "everybody who can connect"},
		"on loopback":                                 {"http://localhost:8088 {\n\tbind 127.0.0.1 ::1\n\topenbanking_dcr_admin\n}\n", ""},
		"on all addresses, as localhost":              {"http://localhost:8088 {\n\topenbanking_dcr_admin\n}\n", "everybody who can connect"},
		"on loopback and another":                     {"http://localhost:8088 {\n\tbind 127.0.0.1 10.0.0.1\n\topenbanking_dcr_admin\n}\n", "everybody who can connect"},
		"behind basic_auth":                           {site + basic + "\topenbanking_dcr_admin {\n\t\toperators anna\n\t}\n}\n", ""},
		"behind basic_auth, in a handle_path":         {site + "\thandle_path /dcr/* {\n" + basic + "\topenbanking_dcr_admin\n\t}\n}\n", ""},
		"behind basic_auth of another path":           {site + "\tbasic_auth /other {\n\t\tanna " + hash + "\n\t}\n\topenbanking_dcr_admin\n}\n", "everybody who can connect"},
		"beside basic_auth, in another handle":        {site + "\thandle /other* {\n" + basic + "\t}\n\thandle {\n\topenbanking_dcr_admin\n\t}\n}\n", "everybody who can connect"},
		"before basic_auth":                           {site + "\troute {\n\topenbanking_dcr_admin\n" + basic + "\t}\n}\n", "everybody who can connect"},
		"in the error routes behind basic_auth":       {site + basic + "\thandle_errors {\n\topenbanking_dcr_admin\n\t}\n}\n", "everybody who can connect"},
		"two ways, one in the open":                   {site + "\thandle /a* {\n" + basic + "\topenbanking_dcr_admin\n\t}\n\thandle {\n\topenbanking_dcr_admin\n\t}\n}\n", "everybody who can connect"},
		"in a named route":                            {"&(page) {\n\topenbanking_dcr_admin\n}\n" + site + "\troute {\n" + basic + "\tinvoke page\n\t}\n}\n", ""},
		"in a named route, in the open":               {"&(page) {\n\topenbanking_dcr_admin\n}\n" + site + "\tinvoke page\n}\n", "everybody who can connect"},
		"behind forward_auth":                         {site + forward + "\topenbanking_dcr_admin {\n\t\tuser_header Remote-User\n\t\trole_header Remote-Groups operators\n\t}\n}\n", ""},
		"a header that is not copied":                 {site + forward + "\topenbanking_dcr_admin {\n\t\tuser_header X-User\n\t}\n}\n", "anybody could send this header"},
		"a header behind basic_auth":                  {site + basic + "\topenbanking_dcr_admin {\n\t\tuser_header Remote-User\n\t}\n}\n", "anybody could send this header"},
		"a proxy that goes on after any answer":       {site + "\treverse_proxy login.internal:80 {\n\t\tmethod GET\n\t\thandle_response {\n\t\t\trequest_header X-A b\n\t\t}\n\t}\n\topenbanking_dcr_admin\n}\n", "everybody who can connect"},
		"a header that is written after forward_auth": {site + forward + "\trequest_header Remote-User {http.request.header.X-User}\n\topenbanking_dcr_admin {\n\t\tuser_header Remote-User\n\t}\n}\n", "anybody could send this header"},
		"a header that is sometimes written":          {site + forward + "\t@d header X-Dev *\n\trequest_header @d Remote-User anna\n\topenbanking_dcr_admin {\n\t\tuser_header Remote-User\n\t}\n}\n", "anybody could send this header"},
		"a header that one answer deletes":            {site + "\troute {\n\treverse_proxy login.internal:80 {\n\t\tmethod GET\n\t\trewrite /verify\n\t\t@ok status 200\n\t\thandle_response @ok {\n\t\t\tvars a b\n\t\t}\n\t\t@two status 2xx\n\t\thandle_response @two {\n\t\t\trequest_header -Remote-User\n\t\t}\n\t}\n\topenbanking_dcr_admin {\n\t\tuser_header Remote-User\n\t}\n\t}\n}\n", "anybody could send this header"},
		"at a unix socket":                            {"http:// {\n\tbind unix//run/page.sock\n\topenbanking_dcr_admin\n}\n", "everybody who can connect"},
		"protected elsewhere":                         {site + "\topenbanking_dcr_admin {\n\t\tprotected_elsewhere\n\t}\n}\n", ""},
		"operators whom nobody can know":              {site + "\topenbanking_dcr_admin {\n\t\tprotected_elsewhere\n\t\toperators anna\n\t}\n}\n", "nobody is known by a name"},
		"viewers without certificates":                {site + basic + "\topenbanking_dcr_admin {\n\t\tviewers anna\n\t}\n}\n", "is for client_certificates"},
		"certificates without a CA":                   {site + "\topenbanking_dcr_admin {\n\t\tclient_certificates\n\t\toperators CN=Anna\n\t}\n}\n", "trust_pool is missing"},
		"a role header without a role":                {site + forward + "\topenbanking_dcr_admin {\n\t\trole_header Remote-Groups\n\t}\n}\n", "role_header"},
		"an unknown word":                             {site + "\topenbanking_dcr_admin {\n\t\tallow all\n\t}\n}\n", "unknown word allow"},
	} {
		t.Run(name, func(t *testing.T) {
			err := validate(t, c.sites)
			if c.refused == "" && err != nil || c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)) {
				t.Errorf("got %v, want %q", err, c.refused)
			}
		})
	}
}
