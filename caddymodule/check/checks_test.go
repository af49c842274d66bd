package check

import (
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/x509roots/fallback/bundle"

	"github.com/caddy-dcr/caddy-dcr/verify/crl/crltest"
)

const (
	audience  = "audience 0015800001ABCDEFGH"
	statement = "software_statement \"OpenBanking Ltd\" {\n\t\t\tjwks_uri https://AS/keys.jwks\n\t\t\ttrust_pool file DIR/server.pem\n\t\t\torg_status Active\n\t\t\tsoftware_mode Live\n\t\t\tmax_age 720h\n\t\t}"
	tokens    = "access_token dcr_register {\n\t\t\tclient registrar {env.CHECK_SECRET}\n\t\t}"
	lists     = "crl DIR/list.crl\n\t\tcrl_mode strict"
	shared    = "shared_header X-Gateway-Secret {env.CHECK_SECRET}"
	toAS      = "reverse_proxy https://AS {\n\t\ttransport http {\n\t\t\ttls_trust_pool file DIR/server.pem\n\t\t}\n\t}"
	clients   = "client_auth {\n\t\t\tmode verify_if_given\n\t\t\ttrust_pool file DIR/roots.pem\n\t\t}"
	logging   = "log {\n\t\tformat filter {\n\t\t\trequest>headers>X-Gateway-Secret delete\n\t\t}\n\t}"
	wrappers  = "servers {\n\t\tlistener_wrappers {\n\t\t\topenbanking_dcr\n\t\t}\n\t}"
)

// word is an option more in the directive, statementWord one in the directory's block,
// and serverWord one in authorization_server's.
func word(text string) []string { return []string{audience, audience + "\n\t\t" + text} }
func statementWord(text string) []string {
	return []string{"org_status Active", "org_status Active\n\t\t\t" + text}
}
func serverWord(text string) []string { return []string{shared, shared + "\n\t\t\t" + text} }

// answering is a document of the AS with replacements.
func answering(pairs ...string) func(*world) {
	return func(w *world) { w.document = strings.NewReplacer(pairs...) }
}

// firing is what makes a check find something.
type firing struct {
	// pairs are replacements in the good Caddyfile, prepare changes what is around it.
	pairs   []string
	prepare func(*world)
	options Options
	// finds is in the finding, or in one of its details.
	finds string
	// quiet are replacements with which it finds nothing. Default: none are needed.
	quiet []string
}

// private has the keys of the directory at the test's server.
var private = statementWord("private_addresses")

func live(prepare func(*world), finds string, pairs ...string) firing {
	return firing{pairs: append(private, pairs...), prepare: prepare, options: Options{Live: true}, finds: finds, quiet: private}
}

func root(change func(*x509.Certificate), until time.Duration) func(*world) {
	return func(w *world) {
		w.certificate("roots", w.machine.now.Add(until), change)
	}
}

func unchanged(*x509.Certificate) {}

const day = 24 * time.Hour

var firings = map[string]firing{
	"configuration-loads": {pairs: word("unknown_word x"), finds: "unknown word"},
	"secret-missing":      {pairs: []string{"client gateway {env.CHECK_SECRET}", "client gateway {env.CHECK_UNSET}"}, finds: "the environment has no CHECK_UNSET"},
	"file-missing":        {pairs: []string{"DIR/roots.pem", "DIR/none.pem"}, finds: "none.pem: no such file"},
	"example-value":       {pairs: []string{"auth.bank.co.uk {", "auth.bank.example {"}, finds: "auth.bank.example"},

	"protections-off":               {pairs: append(word("client_certificate off\n\t\tsigned_request_body off\n\t\tunprotected"), tokens, "access_token off", statement, "software_statement off"), finds: "all four"},
	"client-certificate-off":        {pairs: word("client_certificate off"), finds: "no client certificate"},
	"access-token-off":              {pairs: []string{tokens, "access_token off"}, finds: "no access token"},
	"software-statement-off":        {pairs: []string{statement, "software_statement off\n\t\tsigned_request_body jwks_uri https://keystore.openbanking.org.uk/k"}, finds: "no software statement"},
	"signed-request-off":            {pairs: word("signed_request_body off\n\t\tbind_certificate ssa_jwks"), finds: "no signed request"},
	"signing-keys-shared":           {pairs: word("signed_request_body jwks_uri https://keystore.openbanking.org.uk/k"), finds: "one set of keys"},
	"endpoint-certificate-optional": {pairs: word("endpoint_certificate optional"), finds: "token endpoint"},
	"registration-passthrough":      {pairs: word("as_registration passthrough"), finds: "reachable through this site"},
	"rate-limit-off":                {pairs: word("rate_limit off"), finds: "nothing limits"},
	"fair-share-off":                {pairs: word("fair_share off"), finds: "all the capacity"},
	"store-share-off":               {pairs: word("bytes_per_organisation off"), finds: "bytes_per_organisation is off"},
	"statement-rollback":            {pairs: word("statement_rollback allow"), finds: "older software statement"},
	"revocation-unchecked":          {pairs: []string{lists, ""}, finds: "was revoked"},
	"revocation-soft":               {pairs: []string{"crl_mode strict", "crl_mode soft"}, finds: "no current revocation list"},
	"revocation-file-ended": {prepare: func(w *world) {
		w.write("list.crl", string(crltest.New(w.t, w.machine.now.Add(-48*time.Hour), "Directory Root", nil, nil).List(nil)))
	}, finds: "list.crl"},
	"organisation-status-any": {pairs: []string{"org_status Active\n", "\n"}, finds: "any status"},
	"software-mode-any":       {pairs: []string{"software_mode Live\n", "\n"}, finds: "any mode"},
	"statement-age-unlimited": {pairs: []string{"max_age 720h\n", "\n"}, finds: "any age"},
	"statements-unsigned": {prepare: func(w *world) { w.write("keys.jwks", keys) },
		pairs: append(word("software_statement 0015800001ABCDEFGH {\n\t\t\tjwks DIR/keys.jwks\n\t\t\tjwks_hosts keys.bank.co.uk\n\t\t\torg_id 0015800001ABCDEFGH\n\t\t\tself_signed unsigned\n\t\t}"), "", ""), finds: "without a signature"},
	"directory-private":             {pairs: private, finds: "private addresses"},
	"algorithm-weak":                {pairs: statementWord("algorithms PS256 RS256"), finds: "RS256"},
	"request-lifetime-long":         {pairs: word("max_lifetime 48h"), finds: "48h"},
	"audience-missing":              {pairs: []string{audience, ""}, finds: "the issuer"},
	"policy-shadow":                 {pairs: word("policy cel true {\n\t\t\tshadow\n\t\t}"), finds: "shadow"},
	"token-not-revoked":             {pairs: []string{tokens, "access_token dcr_register"}, finds: "is not configured"},
	"known-clients-missing":         {pairs: []string{" known DIR/known.txt", ""}, finds: "own clients"},
	"other-bodies":                  {pairs: word("other_bodies pass"), finds: "forwards JSON bodies"},
	"client-secrets":                {pairs: word("token_endpoint_auth_methods client_secret_basic tls_client_auth"), finds: "methods: client_secret_basic"},
	"approval-without-access-token": {pairs: word("approval manual"), finds: "await approval", quiet: word("approval manual changes\n\t\tregistration_access_token")},

	"introspection-client-missing": {pairs: []string{"client gateway {env.CHECK_SECRET}\n", "\n"}, finds: "no client at"},
	"as-trusts-anybody":            {pairs: []string{shared, ""}, finds: "cannot tell"},
	"as-errors-passed":             {pairs: serverWord("as_errors pass"), finds: "error texts"},
	"client-ids-of-as":             {pairs: []string{"client_id_header X-Client-Id", ""}, finds: "chooses the client ids"},
	"checks-off":                   {pairs: []string{"keyset {env.CHECK_KEYSET}", "keyset {env.CHECK_KEYSET}\n\t\tchecks off"}, finds: "by itself"},

	"client-auth-missing":     {pairs: []string{clients, ""}, finds: "requests no client certificate"},
	"client-auth-unverified":  {pairs: []string{"mode verify_if_given", "mode request"}, finds: "verifies no client certificate"},
	"client-auth-required":    {pairs: []string{"mode verify_if_given", "mode require_and_verify"}, finds: "on every connection"},
	"trusted-proxies-missing": {pairs: word("client_certificate header nginx {\n\t\t\ttrust_pool file DIR/roots.pem\n\t\t}"), finds: "trusted_proxies"},
	"proxy-missing":           {pairs: []string{toAS, ""}, finds: "no handler after this directive"},
	"proxy-elsewhere":         {pairs: []string{toAS, "reverse_proxy https://other.bank.co.uk"}, finds: "sends to: [other.bank.co.uk:443]"},
	"proxy-without-tls": {pairs: []string{toAS, "reverse_proxy HOST"}, finds: "without TLS",
		prepare: func(w *world) { w.host = true }},
	"proxy-skips-verification": {pairs: []string{"tls_trust_pool file DIR/server.pem", "tls_insecure_skip_verify"}, finds: "does not verify"},
	"proxy-trust-differs":      {pairs: []string{toAS, "reverse_proxy https://AS"}, finds: "only one of"},
	"proxy-environment":        {prepare: func(w *world) { w.t.Setenv("HTTPS_PROXY", "http://proxy:3128") }, finds: "HTTPS_PROXY"},
	"proxy-credentials-plain": {pairs: []string{audience, audience + "\n\t\tproxy http://{env.CHECK_SECRET}:{env.CHECK_SECRET}@proxy.bank.co.uk:3128",
		"https://AS/keys.jwks", "https://keystore.openbanking.org.uk/keys.jwks"}, finds: "in clear"},
	"other-site-to-as":     {pairs: []string{"auth.bank.co.uk {", "internal.bank.co.uk {\n\treverse_proxy https://AS\n}\n\nauth.bank.co.uk {"}, finds: "another site"},
	"unguarded-as":         {pairs: append(word("unguarded upstream https://AS"), "\topenbanking_dcr default/obuk {", "\thandle /health {\n\t\treverse_proxy https://AS\n\t}\n\thandle {\n\topenbanking_dcr default/obuk {", toAS, toAS+"\n\t}"), finds: "as unguarded allows"},
	"unguarded-not-needed": {pairs: word("unguarded upstream portal.bank.co.uk:443"), finds: "is not needed"},
	"several-workspaces-on-site": {pairs: []string{toAS, "openbanking_dcr test/obuk {\n\t\tauthorization_server https://AS/test/obuk {\n\t\t\tprovision rfc7591\n\t\t}\n\t\tsoftware_statement x {\n\t\t\tjwks_uri https://keystore.openbanking.org.uk/k\n\t\t}\n\t}\n\t" + toAS},
		finds: "the workspace default/obuk too"},
	"site-name-not-public":           {pairs: []string{"auth.bank.co.uk {", "auth.internal {"}, finds: "auth.internal"},
	"site-any-host":                  {pairs: []string{"auth.bank.co.uk {", ":8443 {"}, finds: "every host name"},
	"handshakes-not-logged":          {pairs: []string{wrappers, ""}, finds: "no line in a log"},
	"admin-open":                     {pairs: []string{"admin localhost:2019", "admin :2019"}, finds: ":2019"},
	"admin-off":                      {pairs: []string{"admin localhost:2019", "admin off"}, finds: "is off"},
	"four-eyes-without-certificates": {pairs: []string{"keyset {env.CHECK_KEYSET}", "keyset {env.CHECK_KEYSET}\n\t\tfour_eyes delete resume"}, finds: "knows none by a certificate"},
	"debug-log":                      {pairs: []string{"admin localhost:2019", "admin localhost:2019\n\tdebug"}, finds: "DEBUG"},
	"credentials-logged":             {pairs: []string{wrappers, strings.Replace(wrappers, "servers {", "servers {\n\t\tlog_credentials", 1), "auth.bank.co.uk {", "auth.bank.co.uk {\n\tlog"}, finds: "has credentials"},
	"shared-header-logged":           {pairs: []string{logging, ""}, finds: "X-Gateway-Secret"},
	"addresses-logged":               {pairs: []string{"auth.bank.co.uk {", "auth.bank.co.uk {\n\tlog"}, finds: "whole addresses"},

	"client-roots":         {finds: "CN=Directory Root, until 2", quiet: []string{clients, ""}},
	"client-root-expired":  {prepare: root(unchanged, -day), finds: "CN=roots of the test"},
	"client-root-expiring": {prepare: root(unchanged, 60*day), finds: "CN=roots of the test"},
	"client-root-public": {prepare: func(w *world) {
		for one := range bundle.Roots() {
			w.write("roots.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: one.Certificate})))
			return
		}
	}, finds: "public web CA"},
	"client-root-weak":     {prepare: root(func(c *x509.Certificate) { c.IsCA = false }, 300*day), finds: "CN=roots of the test"},
	"server-root-expired":  {prepare: func(w *world) { w.certificate("server", w.machine.now.Add(-day)) }, finds: "CN=server of the test"},
	"trust-fetched":        {pairs: []string{"trust_pool file DIR/roots.pem", "trust_pool http {\n\t\t\t\tendpoints HOST\n\t\t\t}"}, prepare: func(w *world) { w.host = true }, finds: "fetched when"},
	"certificate-expired":  {prepare: func(w *world) { w.certificate("site", w.machine.now.Add(-day)) }, finds: "CN=site of the test"},
	"certificate-expiring": {prepare: func(w *world) { w.certificate("site", w.machine.now.Add(20*day)) }, finds: "CN=site of the test"},
	"secret-in-clear":      {pairs: []string{toAS, strings.Replace(toAS, "https://AS {", "https://AS {\n\t\theader_up Authorization \"Bearer "+theSecret+"\"", 1)}, finds: "in clear"},
	"secret-file-open":     {prepare: chmod("site.key", 0o644), finds: "mode 0644"},
	"keyset-open-to-others": {pairs: []string{"keyset {env.CHECK_KEYSET}", ""}, prepare: func(w *world) {
		w.t.Setenv("XDG_DATA_HOME", w.dir)
		w.write("caddy/openbanking_dcr/keyset.json", os.Getenv("CHECK_KEYSET"))
		chmod("caddy/openbanking_dcr/keyset.json", 0o644)(w)
	}, finds: "others than its owner"},
	"keyset-generated": {pairs: []string{"keyset {env.CHECK_KEYSET}", ""}, prepare: func(w *world) { w.t.Setenv("XDG_DATA_HOME", w.dir) }, finds: "generates its keyset"},

	"store-open-to-others": {prepare: chmod("store", 0o777), finds: "has mode 0777"},
	"store-missing":        {pairs: []string{"DIR/store", "DIR/other"}, finds: "no store yet"},
	"store-temporary":      {prepare: func(w *world) { w.machine.temporary = []string{w.dir} }, finds: "is emptied"},
	"store-network":        {prepare: func(w *world) { w.machine.fileSystem = func(string) kind { return network } }, finds: "network file system"},
	"store-room":           {prepare: func(w *world) { w.machine.freeRoom = func(string) (uint64, bool) { return 500 << 20, true } }, finds: "500 MiB left"},
	"repair-word-left":     {pairs: []string{"store badger DIR/store", "store badger DIR/store {\n\t\t\taccept_loss 1234-0123456789ab\n\t\t}"}, finds: "accept_loss is written"},
	"runs-as-root":         {prepare: func(w *world) { w.machine.root = true }, finds: "as root"},
	"grace-period-missing": {pairs: []string{"grace_period 20s", ""}, finds: "nothing limits"},
	"grace-period-long":    {pairs: []string{"grace_period 20s", "grace_period 65s"}, finds: "(1m30s, "},
	"stop-timeout-unknown": {prepare: func(w *world) { w.machine.units = nil }, finds: "not known"},

	"as-unusable":              live(func(w *world) { w.as.Close() }, "connection refused"),
	"as-lacks":                 live(answering(`["PS256"]`, `["RS256"]`), "request_object_signing_alg_values_supported"),
	"as-issuer":                live(answering("https://auth.bank.co.uk/default/obuk\",\"token", "https://as.bank.co.uk/default/obuk\",\"token"), "as.bank.co.uk"),
	"as-registration-missing":  live(answering(`"registration_endpoint"`, `"x"`), "registration_endpoint"),
	"as-endpoints-missing":     live(answering(`"token_endpoint"`, `"x"`), "token_endpoint"),
	"as-introspection-missing": live(answering(`"introspection_endpoint"`, `"x"`), "introspection_endpoint"),
	"as-revocation-missing":    live(answering(`"revocation_endpoint"`, `"x"`), "revocation_endpoint"),
	"as-scopes-missing":        live(answering(`"accounts","payments",`, `"accounts",`), "payments"),
	"as-endpoints-foreign":     live(answering(`"x"`, `"x"`, `"token_endpoint":"https://auth.`, `"userinfo_endpoint":"https://other.bank.co.uk/userinfo","token_endpoint":"https://auth.`), "other.bank.co.uk"),
	"as-client-refused":        live(func(w *world) { w.status = http.StatusUnauthorized }, "status 401"),
	"as-clock":                 live(func(w *world) { w.date = time.Now().Add(-5 * time.Hour) }, "5h0m"),
	"as-certificate-expiring":  live(func(w *world) { w.machine.now = w.as.Certificate().NotAfter.Add(-day) }, "within 30 days"),
	"as-exposed":               live(func(w *world) { w.outside = true }, "did not pass the gateway"),
	"directory-unusable":       live(answering(`"kty"`, `"x"`), "cannot be used"),
	"revocation-list-missing": live(func(w *world) {
		w.write("list.crl", string(crltest.New(w.t, w.machine.now.Add(-48*time.Hour), "Directory Root", nil, nil).List(nil)))
	}, "list.crl"),
	"site-name-unresolved": {pairs: []string{"auth.bank.co.uk {", "nowhere.invalid {"}, options: Options{Live: true}, finds: "nowhere.invalid", quiet: []string{"auth.bank.co.uk {", "localhost {"}},
}

func chmod(name string, mode os.FileMode) func(*world) {
	return func(w *world) {
		if err := os.Chmod(filepath.Join(w.dir, name), mode); err != nil {
			w.t.Fatal(err)
		}
	}
}

// others are checks that another test makes fire, or that no test can where it runs as root.
var others = []string{"app-layer4", "store-not-writable", "keyset-not-readable"}

// TestEachCheck: each fires where it should, with all that a finding must have and without a
// secret, and does not where nothing is wrong.
func TestEachCheck(t *testing.T) {
	for _, c := range Checks {
		if slices.Contains(others, c.Name) {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			f, ok := firings[c.Name]
			if !ok {
				t.Fatal("no test makes it fire")
			}
			quiet := newWorld(t).check(f.options, f.quiet...)
			if found := quiet.of(c.Name); len(found) > 0 {
				t.Errorf("got %+v where nothing is wrong", found)
			}
			w := newWorld(t)
			if f.prepare != nil {
				f.prepare(w)
			}
			if w.outside {
				f.options.Outside = strings.TrimPrefix(w.as.URL, "https://")
			}
			report := w.check(f.options, f.pairs...)
			found := report.of(c.Name)
			if len(found) == 0 {
				t.Fatalf("it does not fire; got %+v", report.Findings)
			}
			text := ""
			for _, one := range found {
				text += one.Found + " " + strings.Join(one.Details, " ") + " "
				if one.Severity != c.Severity || one.Found == "" || one.Why == "" || one.Write == "" {
					t.Errorf("something is missing in %+v", one)
				}
			}
			if !strings.Contains(text, f.finds) {
				t.Errorf("got %s, want %q in it", text, f.finds)
			}
		})
	}
	for name := range firings {
		if !slices.ContainsFunc(Checks, func(c Check) bool { return c.Name == name }) {
			t.Errorf("%s is in no row of the table", name)
		}
	}
}

// TestGoodConfiguration: nothing is found in it but the CAs that it trusts.
func TestGoodConfiguration(t *testing.T) {
	report := newWorld(t).check(Options{})
	for _, f := range report.Findings {
		if f.Check != "client-roots" {
			t.Errorf("got %+v", f)
		}
	}
	if want := len(Checks) - len(report.LeftOut); report.Total != len(Checks) || report.Checked >= want || len(report.LeftOut) != 1 || report.LeftOut[0].Reason != "--live" {
		t.Errorf("got %d of %d, %v, want the live ones left out", report.Checked, report.Total, report.LeftOut)
	}
}

// TestRedirectOutsideIsNoAnswer: an address that only sends to another one, such as the gateway's,
// is not where the authorization server answers.
func TestRedirectOutsideIsNoAnswer(t *testing.T) {
	w := newWorld(t)
	asked := false
	other := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		asked = true
		http.Redirect(rw, r, w.as.URL+r.URL.Path, http.StatusFound)
	}))
	defer other.Close()
	report := w.check(Options{Live: true, Outside: strings.TrimPrefix(other.URL, "https://")})
	if found := report.of(asExposed); len(found) > 0 || !asked {
		t.Errorf("got %+v, asked %t; want that it is asked and not exposed", found, asked)
	}
}
