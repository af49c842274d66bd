package caddymodule

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// load is a Caddyfile as caddy validate sees it.
func load(t *testing.T, caddyfile string) (*caddy.Config, error) {
	t.Helper()
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), nil)
	if err != nil {
		return nil, err
	}
	var config caddy.Config
	if err := json.Unmarshal(adapted, &config); err != nil {
		t.Fatal(err)
	}
	return &config, caddy.Validate(&config)
}

// site is a Caddyfile with one workspace; the pairs are replacements.
func site(pairs ...string) string {
	return strings.NewReplacer(pairs...).Replace(`{
	admin off
	log {
		output discard
	}
	openbanking_dcr {
		store badger DIRECTORY
	}
}
http://127.0.0.1:0 {
	openbanking_dcr default/obuk {
		authorization_server https://localhost:1/default/obuk {
			client gateway {env.DCR_TEST_SECRET}
			provision rfc7591
		}
		software_statement "OpenBanking Ltd" {
			jwks_uri https://localhost:1/keys.jwks
		}
	}
	# more
}
`)
}

// workspaceWord and statementWord add a word to the blocks of a site.
func workspaceWord(word string) []string {
	return []string{"dcr default/obuk {", "dcr default/obuk {\n\t\t" + word}
}

func statementWord(word string) []string {
	return []string{"\"OpenBanking Ltd\" {", "\"OpenBanking Ltd\" {\n\t\t\t" + word}
}

// TestValidate: what cannot work does not start, and the error says what to do.
func TestValidate(t *testing.T) {
	t.Setenv("DCR_TEST_SECRET", "x")
	keys := filepath.Join(t.TempDir(), "keys.jwks")
	if err := os.WriteFile(keys, []byte(`{"keys":"none"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	other := func(workspace, url string) string {
		return "openbanking_dcr " + workspace + " {\n\t\tauthorization_server " + url + " {\n\t\t\tprovision rfc7591\n\t\t}\n\t\tsoftware_statement x {\n\t\t\tjwks_uri https://localhost:1/k\n\t\t}\n\t}"
	}
	for _, c := range []struct {
		name  string
		pairs []string
		want  string // "" is no error
	}{
		{"good", nil, ""},
		{"unset secret", []string{"DCR_TEST_SECRET", "DCR_TEST_UNSET"}, "client gateway: "},
		{"plain http", []string{"https://localhost:1/default/obuk", "http://localhost:1/default/obuk"}, "must be an https URL"},
		{"issuer path in upper case", []string{"1/default/obuk", "1/Default/obuk"}, "must be lower-case"},
		{"workspace in upper case", []string{"dcr default/obuk", "dcr Default/obuk"}, "must be lower-case path segments"},
		{"workspace out of its folder", []string{"dcr default/obuk", "dcr default/../x"}, "must be lower-case path segments"},
		{"a lifetime of tokens", workspaceWord("access_token dcr_register {\n\t\t\ttoken_lifetime 10m\n\t\t}"), ""},
		{"a restore", []string{"store badger DIRECTORY", "store badger DIRECTORY\n\t\trestored \"copy of 2026-11-29\""}, ""},
		{"a restore with a long label", []string{"store badger DIRECTORY", "store badger DIRECTORY\n\t\trestored " + strings.Repeat("x", 201)}, "restored: must be at most 200 bytes long"},
		{"unknown clients", workspaceWord("unknown_clients refuse"), ""},
		{"known clients in no file", workspaceWord("unknown_clients pass known nothing.txt"), "nothing.txt"},
		{"known clients in a file that is no list", workspaceWord("unknown_clients pass known " + os.Args[0]), "unknown_clients: "},
		{"register path", []string{"dcr default/obuk {", "dcr default/obuk {\n\t\tregister_path /a//b"}, "register_path"},
		{"dn_format", []string{"provision rfc7591", "provision rfc7591\n\t\t\tdn_format ldap"}, "dn_format"},
		{"keys over http", []string{"https://localhost:1/keys.jwks", "http://localhost:1/keys.jwks"}, "must be an https URL"},
		{"keys from a file without hosts", []string{"jwks_uri https://localhost:1/keys.jwks", "jwks " + keys}, "keys.jwks"},
		{"no such file", []string{"jwks_uri https://localhost:1/keys.jwks", "jwks nothing.jwks"}, "nothing.jwks"},
		{"no such trust pool", []string{"provision rfc7591", "provision rfc7591\n\t\t\ttrust_pool file nothing.pem"}, "nothing.pem"},
		{"the same workspace twice", []string{"# more", other("default/obuk", "https://localhost:1/other")}, "workspace default/obuk is configured twice"},
		{"issuers under one path", []string{"# more", other("other", "https://localhost:2/default/obuk/sub")}, "overlap"},
		{"a rewrite before the guard", []string{"# more", "uri strip_prefix /bank\n\treverse_proxy https://localhost:1"}, ""},
		{"handle_path to the AS", []string{"# more", "handle_path /bank/* {\n\t\treverse_proxy https://localhost:1\n\t}"}, "reverse_proxy after rewrite"},
		{"handle_path that goes on to the AS", []string{"# more", "handle_path /bank/* {\n\t\theader X-A b\n\t}\n\treverse_proxy https://localhost:1"}, "reverse_proxy after rewrite"},
		{"handle_path to files", []string{"# more", "handle_path /static/* {\n\t\tfile_server\n\t}\n\treverse_proxy https://localhost:1"}, ""},
		{"handle_path to another host", []string{"# more", "handle_path /portal/* {\n\t\treverse_proxy portal:80\n\t}\n\treverse_proxy https://localhost:1"}, ""},
		{"handle_path and the AS, one or the other", []string{"# more", "handle_path /portal/* {\n\t\treverse_proxy portal:80\n\t}\n\thandle {\n\t\treverse_proxy https://localhost:1\n\t}"}, ""},
		{"a rewrite in a route", []string{"# more", "route {\n\t\trewrite /x /y\n\t\treverse_proxy https://localhost:1\n\t}"}, "reverse_proxy after rewrite"},
		{"a rewrite of the method", []string{"# more", "handle /a/* {\n\t\tmethod POST\n\t\treverse_proxy https://localhost:1\n\t}"}, "reverse_proxy after rewrite"},
		{"a rewrite of the query", []string{"# more", "handle /a/* {\n\t\turi query client_id x\n\t\treverse_proxy https://localhost:1\n\t}"}, "reverse_proxy after rewrite"},
		{"a rewrite of the proxy's own", []string{"# more", "reverse_proxy https://localhost:1 {\n\t\trewrite /token\n\t}"}, "reverse_proxy after its own rewrite"},
		{"a rewrite in an answer's routes", []string{"# more", "reverse_proxy portal:80 {\n\t\thandle_response {\n\t\t\trewrite /token\n\t\t\treverse_proxy https://localhost:1\n\t\t}\n\t}"}, "reverse_proxy after rewrite"},
		{"a rewrite after an error", []string{"# more", "reverse_proxy https://localhost:1\n\thandle_errors {\n\t\trewrite /token\n\t\treverse_proxy https://localhost:1\n\t}"}, "reverse_proxy after rewrite"},
		{"error pages", []string{"# more", "reverse_proxy https://localhost:1\n\thandle_errors {\n\t\trewrite /{err.status_code}.html\n\t\tfile_server\n\t}"}, ""},
		{"a named route", []string{"http://127.0.0.1:0 {", "&(as) {\n\trewrite /token\n\treverse_proxy https://localhost:1\n}\nhttp://127.0.0.1:0 {", "# more", "invoke as"}, "reverse_proxy after rewrite"},
		{"an upstream that the request names", []string{"# more", "handle_path /x/* {\n\t\treverse_proxy {header.x}:80\n\t}"}, "reverse_proxy after rewrite"},
		{"an answer to some before a rewrite, in a site of every host", []string{"http://127.0.0.1:0 {", "http://:0 {", "# more", "route {\n\t\trespond /health 200\n\t}\n\troute /x {\n\t\trespond 200\n\t}\n\troute {\n\t\trewrite /token\n\t\treverse_proxy https://localhost:1\n\t}"}, "reverse_proxy after rewrite"},
		{"an answer that is not the last (103) before a rewrite", []string{"# more", "handle /x {\n\t\trewrite /token\n\t\trespond 103\n\t\treverse_proxy https://localhost:1\n\t}"}, "reverse_proxy after rewrite"},
		{"forward_auth inside a handle", []string{"# more", "handle /a/* {\n\t\tforward_auth auth:80 {\n\t\t\turi /verify\n\t\t}\n\t\treverse_proxy https://localhost:1\n\t}"}, ""},
		{"forward_auth to the AS", []string{"# more", "handle /a/* {\n\t\tforward_auth https://localhost:1 {\n\t\t\turi /verify\n\t\t}\n\t}"}, "reverse_proxy after its own rewrite"},
		{"headers that are kept", workspaceWord("keep_headers Remote-User"), ""},
		{"headers that never pass", workspaceWord("pass_headers Connection"), "must not be a header of the connection"},
		{"headers with an underscore", workspaceWord("keep_headers remote_user"), "letters, digits and dashes"},
		{"an exception of a kind that is none", workspaceWord("unguarded host a"), "unguarded \"host\": must be upstream or handler, at Caddyfile:"},
		{"an exception of nothing", workspaceWord("unguarded upstream"), "wrong argument count"},
		{"an exception of an empty address", workspaceWord("unguarded upstream \"\""), "unguarded upstream: must not be empty, at Caddyfile:"},
		{"an exception of a handler that hands on", workspaceWord("unguarded handler subroute"), "unguarded handler: must be the name"},
		{"exceptions", workspaceWord("unguarded upstream portal:80 cdn\n\t\tunguarded handler rate_limit"), ""},
		{"two workspaces", []string{"# more", other("other", "https://localhost:2/other")}, ""},
		{"a directory twice", []string{"software_statement \"OpenBanking Ltd\" {", "software_statement \"OpenBanking Ltd\" {\n\t\t\tjwks_uri https://localhost:1/k\n\t\t}\n\t\tsoftware_statement \"OpenBanking Ltd\" {"}, "configured twice"},
		{"version 2", workspaceWord("version 2"), "version \"2\": must be one of"},
		{"version 3.3", workspaceWord("version 3.3"), ""},
		{"lenient about exp", workspaceWord("lenient exp"), "lenient \"exp\": must be some of"},
		{"lenient about everything that may be", workspaceWord("lenient"), ""},
		{"algorithm none", workspaceWord("algorithms none"), "algorithms \"none\": must be some of"},
		{"algorithm HS256", workspaceWord("algorithms PS256 HS256"), "algorithms \"HS256\""},
		{"algorithm RS256, if that is meant", workspaceWord("algorithms RS256"), ""},
		{"method with a secret", workspaceWord("token_endpoint_auth_methods client_secret_basic"), ""},
		{"method none", workspaceWord("token_endpoint_auth_methods none"), "token_endpoint_auth_methods \"none\""},
		{"a role that registers", workspaceWord("role AISP dcr_register"), "must not have dcr_register"},
		{"management by PATCH", workspaceWord("management PATCH"), "management \"PATCH\""},
		{"algorithm none of a directory", statementWord("algorithms none"), "algorithms \"none\""},
		{"self-signed for any organisation", statementWord("self_signed"), "self_signed: must have org_id"},
		{"self-signed for one", statementWord("self_signed unsigned\n\t\t\torg_id x"), ""},
		{"binding in a form that is none", workspaceWord("bind_certificate thumbprint"), "bind_certificate \"thumbprint\""},
		{"binding without a certificate", workspaceWord("bind_certificate common_name\n\t\tclient_certificate off"), "needs a client certificate"},
		{"unsigned and bound", workspaceWord("bind_certificate common_name\n\t\tsigned_request_body off"), ""},
		{"unsigned and not bound", workspaceWord("signed_request_body off"), "tie it to the client certificate"},
		{"DN by an attribute that is none", workspaceWord("dn_match attributes shoeSize"), "dn_match: "},
		{"DN by attributes", workspaceWord("dn_match attributes 2.5.4.97 cn"), ""},
		{"alternative names", []string{"provision rfc7591", "provision rfc7591\n\t\t\tsan dns"}, ""},
		{"alternative name that is none", []string{"provision rfc7591", "provision rfc7591\n\t\t\tsan rid"}, "san \"rid\""},
		{"reregister", workspaceWord("reregister update 10m"), ""},
		{"reregister with a window that is none", workspaceWord("reregister allow 10m"), "must be left out with allow"},
		{"reregister without certificates", workspaceWord("reregister return\n\t\tclient_certificate off"), "needs client certificates"},
		{"approval", workspaceWord("approval manual"), ""},
		{"approval of changes", workspaceWord("approval manual changes"), ""},
		{"origin for certificates", workspaceWord("mtls_origin https://matls.bank.example"), ""},
		{"origin with a path", workspaceWord("mtls_origin https://matls.bank.example/x"), "mtls_origin"},
		{"origin over http", workspaceWord("mtls_origin http://matls.bank.example"), "mtls_origin"},
		{"an introspection endpoint that is not published", []string{"provision rfc7591", "provision rfc7591\n\t\t\tintrospection_endpoint /default/obuk/introspect"}, ""},
		{"introspection without a client", []string{"client gateway {env.DCR_TEST_SECRET}", "validate introspection"}, "needs a client"},
	} {
		t.Run(c.name, func(t *testing.T) {
			directory := filepath.Join(t.TempDir(), "store")
			_, err := load(t, site(append([]string{"DIRECTORY", directory}, c.pairs...)...))
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "openbanking_dcr")):
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
			if _, err := os.Stat(directory); err == nil {
				t.Error("the store was opened")
			}
		})
	}
}

// validateJSON is caddy validate for JSON.
func validateJSON(t *testing.T, text string) error {
	t.Helper()
	var config caddy.Config
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		t.Fatal(err)
	}
	return caddy.Validate(&config)
}

// A secret in JSON gets no further than in a Caddyfile.
func TestLiteralSecrets(t *testing.T) {
	for name, config := range map[string]string{
		"keyset":               `{"apps":{"openbanking_dcr":{"keyset":"literal"}}}`,
		"initial_access_token": `{"apps":{"http":{"servers":{"a":{"routes":[{"handle":[{"handler":"openbanking_dcr","workspace":"w","authorization_server":{"url":"https://localhost:1/w","provision":{"method":"rfc7591","initial_access_token":"literal"}},"software_statements":[{"issuer":"x","jwks_uri":"https://localhost/k"}]}]}]}}}}}`,
	} {
		if err := validateJSON(t, config); err == nil || !strings.Contains(err.Error(), name+" must be a placeholder") || strings.Contains(err.Error(), "literal") {
			t.Errorf("%s: got %v, want an error that demands a placeholder, without the literal", name, err)
		}
	}
}

// A configuration in JSON that protects nothing does not start either.
func TestConfigurationWithoutProtectionDoesNotStart(t *testing.T) {
	const statements = `,"software_statements":[{"issuer":"x","jwks_uri":"https://localhost/k"}]`
	const server = `"authorization_server":{"url":"https://localhost:1/w","provision":{"method":"rfc7591"}}`
	for _, c := range []struct{ config, want string }{
		{`"workspace":"w",` + server, "software_statement is missing"},
		{`"workspace":"w",` + server + `,"software_statements":[]`, "software_statement is missing"},
		{`"workspace":"w",` + server + `,"software_statements":[{"issuer":"x"}]`, "exactly one of jwks and jwks_uri"},
		{`"workspace":"w",` + server + `,"software_statements":[null]`, "software_statement"},
		{`"workspace":"w","software_statements":[{"issuer":"x","jwks_uri":"https://localhost/k"}]`, "authorization_server"},
		{`"workspace":"w","no_software_statement":true,"signed_request_body":{"off":true},"client_certificate":"off","access_token":{"off":true},` + server, "all four protections are off"},
		{`"workspace":"w","signed_request_body":{"off":true,"jwks_uri":"https://localhost/k"},"bind_certificate":["common_name"],` + server + statements, "signed_request_body off: must not be combined with jwks or jwks_uri"},
		{`"workspace":"w","client_certificate":"maybe",` + server + statements, "client_certificate: must be off, or left out"},
		{`"workspace":"w","registration":"maybe",` + server + statements, "registration: must be off, or left out"},
		{`"workspace":"w","statement_rollback":"maybe",` + server + statements, "statement_rollback \"maybe\": must be allow, or left out"},
		{`"workspace":"w","clients_per_software":-2,` + server + statements, "clients_per_software: must be positive, or -1 for off"},
		{`"workspace":"w","bytes_per_organisation":-2,` + server + statements, "bytes_per_organisation: must be positive, or -1 for off"},
		{`"workspace":"w","endpoint_certificate":"maybe",` + server + statements, "endpoint_certificate: must be required or optional"},
		{`"workspace":"w","assertion_audience":"maybe",` + server + statements, "assertion_audience: must be issuer or endpoints"},
		{`"workspace":"w","other_bodies":"maybe",` + server + statements, "other_bodies: must be refuse or pass"},
		{`"workspace":"w","as_registration":"maybe",` + server + statements, "as_registration: must be passthrough, or left out"},
		{`"workspace":"w","approval":{"mode":"automatic"},` + server + statements, "approval \"automatic\": must be manual"},
		{`"workspace":"w","approval":{"mode":"manual","of":"deletions"},` + server + statements, "approval manual \"deletions\": must be one of"},
		{`"workspace":"w","reregister":{"mode":"deny"},` + server + statements, "reregister \"deny\": must be one of"},
		{`"workspace":"w","reregister":{"mode":"return"},"no_software_statement":true,"signed_request_body":{"jwks_uri":"https://localhost/k"},` + server, "needs software statements"},
		{`"workspace":"w","max_lifetime":-1,` + server + statements, "max_lifetime: must be positive"},
		{`"workspace":"w",` + server + `,"software_statements":[{"issuer":"x","jwks_uri":"https://localhost/k","unsigned":true}]`, "only a TPP's own statements may be unsigned"},
		{`"workspace":"w",` + server + `,"software_statements":[{"issuer":"x","jwks_uri":"https://localhost/k","max_age":-1}]`, "max_age: must be positive"},
		{`"workspace":"w","authorization_server":{"url":"https://localhost:1/w","provision":{"method":"rfc7591"},"introspection_endpoint":"https://localhost:2/w/introspect"}` + statements, "is not at https://localhost:1"},
		{`"workspace":"w","authorization_server":{"url":"https://localhost:1/w"},"software_statements":[{"issuer":"x","jwks_uri":"https://localhost/k"}]`, "provision"},
		{server + `,"software_statements":[{"issuer":"x","jwks_uri":"https://localhost/k"}]`, "workspace"},
	} {
		if err := validateJSON(t, `{"apps":{"http":{"servers":{"a":{"routes":[{"handle":[{"handler":"openbanking_dcr",`+c.config+`}]}]}}}}}`); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", c.config, err, c.want)
		}
	}
}
