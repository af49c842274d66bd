package e2e_test

import (
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/checkout"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/trace"
)

// TestExplain: what is said of a request that nobody served is what the gateway does
// with it, step by step, and nothing of it is done.
func TestExplain(t *testing.T) {
	once(t, story.Options{}, func(t *testing.T, p *story.Play) {
		x := &explaining{Play: p, t: t}
		x.cert = x.write("acme.pem", inPEM(p.Acme.Transport))
		client := p.Client(p.Acme)
		reload(t, p, gateway.Workspace("explain on", "policy cel `ssa.org_status == \"Active\"` {", "\tname status", "}", "policy cel `allow().scopes([\"openid\"])` {", "\tname little", "}", "policy cel `false` {", "\tname later", "\tshadow", "}"))

		x.prepares(nil)
		e, err := x.whole()
		if err != nil || e.Outcome != registry.Passed {
			t.Fatalf("got %+v, %v, want it passed", e, err)
		}
		said := verdicts(e)
		for _, want := range []string{
			"passed client_certificate client_certificate", "passed access_token access_token", "passed software_statement signature",
			"passed request signature", "passed request jti", "passed metadata redirect_uris", "passed metadata tls_client_auth_subject_dn",
			"passed policy status", "narrowed policy little", "would_refuse policy later", "unknown registry registry",
		} {
			if !strings.Contains(strings.Join(said, "\n"), want) {
				t.Errorf("no %q in %q", want, said)
			}
		}

		t.Run("as it is served", func(t *testing.T) {
			r, err := client.Register(t.Context(), p.Register, x.token, x.body)
			answered(t, r, err, http.StatusCreated, "")
			served := x.kept(t, r.Header.Get("x-fapi-interaction-id")) // because of the policy in shadow
			if served.Outcome != registry.Accepted || !reflect.DeepEqual(verdicts(served), whenServed(said)) {
				t.Errorf("served %s: %q\nexplained %q", served.Outcome, verdicts(served), said)
			}
		})

		for _, tc := range []struct {
			name      string
			overrides map[string]any
			code      string
			step      string
		}{
			{"redirect URI", map[string]any{"redirect_uris": []string{"https://elsewhere.example/cb"}}, "invalid_redirect_uri", "refused metadata redirect_uris"},
			{"audience", map[string]any{"aud": "https://other.example"}, "invalid_client_metadata", "refused request aud"},
			{"expired", map[string]any{"iat": time.Now().Add(-2 * time.Hour).Unix(), "exp": time.Now().Add(-time.Hour).Unix()}, "invalid_client_metadata", "refused request iat, exp, nbf"},
			{"no statement", map[string]any{"software_statement": ""}, "invalid_software_statement", "refused software_statement software_statement"},
		} {
			t.Run(tc.name, func(t *testing.T) {
				x.prepares(tc.overrides)
				e, err := x.whole()
				if err == nil || e.Outcome != registry.Refused || e.Error != tc.code || verdicts(e)[len(e.Steps)-1] != tc.step {
					t.Errorf("got %+v, %v, want it refused with %s at %q", e, err, tc.code, tc.step)
				}
				r, err := client.Register(t.Context(), p.Register, x.token, x.body)
				answered(t, r, err, e.Status, tc.code)
				served := x.kept(t, r.Header.Get("x-fapi-interaction-id"))
				if r.Text("error_description") != e.ErrorDescription && tc.name != "expired" { // it tells the time
					t.Errorf("told %s, explained %s", r.Text("error_description"), e.ErrorDescription)
				}
				if served.Outcome != registry.Refused || served.Error != e.Error || !reflect.DeepEqual(verdicts(served), whenServed(verdicts(e))) {
					t.Errorf("served %q\nexplained %q", verdicts(served), verdicts(e))
				}
			})
		}

		t.Run("at another time", func(t *testing.T) {
			e, err := x.whole("--at", time.Now().Add(-90*time.Minute).Format(time.RFC3339))
			if err == nil || e.Rule != "software_statement" && e.Rule != "client_certificate" && e.Rule != "access_token" { // none is so old
				t.Errorf("got %+v, %v, want it refused by the statement, the certificate or the token", e, err)
			}
		})
		t.Run("policy", func(t *testing.T) {
			reload(t, p, gateway.Workspace("explain on", "policy cel `ssa.org_status == \"Closed\"` {", "\tname status", "\ttext \"ask us first; we are at +44 20 7946 0000\"", "}"))
			x.prepares(nil)
			r, err := client.Register(t.Context(), p.Register, x.token, x.body)
			answered(t, r, err, http.StatusBadRequest, "unapproved_software_statement")
			served := x.kept(t, r.Header.Get("x-fapi-interaction-id"))
			last := served.Steps[len(served.Steps)-1]
			if input := string(last.Input); !strings.Contains(input, `"org_status": "Active"`) && !strings.Contains(input, `"org_status":"Active"`) || strings.Contains(input, "thumbprint") {
				t.Errorf("the input is %s", input)
			}
			if last.Verdict != trace.Refused || last.Rule != "status" || !strings.Contains(last.Reason, `ssa.org_status == "Closed" is false (line `) || !strings.HasPrefix(last.ErrorDescription, "ask us first") {
				t.Errorf("got %+v, want it refused by the policy status, with its text", last)
			}
		})
		t.Run("management", func(t *testing.T) {
			r, err := client.Read(t.Context(), p.Register, "nobody", x.token)
			answered(t, r, err, http.StatusUnauthorized, "invalid_token")
			served := x.kept(t, r.Header.Get("x-fapi-interaction-id"))
			if served.Operation != "read" || !strings.Contains(strings.Join(verdicts(served), "\n"), "refused access_token access_token") {
				t.Errorf("got %+v, want a read refused for its access token", served)
			}
		})
	})
}

// TestExplainAsDocumented runs the commands of docs/explain.md, beside the files that
// they name.
func TestExplainAsDocumented(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	x := &explaining{Play: p, t: t}
	x.prepares(nil)
	for name, text := range map[string]string{"request.jose": x.body, "token.txt": x.token + "\n", "tpp.pem": inPEM(p.Acme.Transport), "as.json": "{}", "directory.jwks": "{}", "software.jwks": "{}"} {
		x.write(name, text)
	}
	page, err := os.ReadFile(filepath.Join(checkout.Root(), "docs", "explain.md"))
	if err != nil {
		t.Fatal(err)
	}
	commands := checkout.ShellBlocks(page)
	if len(commands) != 3 {
		t.Errorf("%d commands, want 3", len(commands))
	}
	for i, command := range commands {
		words := strings.Fields(strings.ReplaceAll(command, "\\\n", " "))
		out, err := p.Gateway.Command(t.Context(), append(words[1:], "--config", "Caddyfile")...)
		want := []string{"passed: every check", `"outcome": "incomplete"`, "no explanation has the support code"}[i]
		if (err == nil) != (i == 0) || words[0] != "caddy" || !strings.Contains(out, want) {
			t.Errorf("%s: got %v, %s, want an error %t, and %q", command, err, out, i != 0, want)
		}
	}
}

// whenServed are the steps of a request as the gateway knows them, which an explanation
// alone does not.
func whenServed(list []string) []string {
	text := strings.Join(list, "\n")
	for _, unknown := range []string{"request media_type", "client_certificate rate_limit", "registry registry"} {
		text = strings.ReplaceAll(text, "unknown "+unknown, "passed "+unknown)
	}
	return strings.Split(text, "\n")
}

// TestExplainWithLess: what is not given is not refused, and said.
func TestExplainWithLess(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	x := &explaining{Play: p, t: t}
	x.prepares(nil)
	body := x.write("request.jose", x.body)

	found, out, err := x.ask("--body", body)
	if err == nil || len(found) != 1 || found[0].Outcome != registry.Incomplete || !strings.Contains(out, "none was given") {
		t.Errorf("got %s, %v, want one explanation, incomplete, that says what was not given", out, err)
	}
	// What needs them is not known, and not refused.
	config := x.write("Caddyfile.more", edited(t, p.Caddyfile, gateway.Workspace("bind_certificate common_name", "policy cel `token.client_id == \"registrar\"`")))
	for _, tc := range []struct {
		args  []string
		until string
	}{
		{nil, "unknown metadata client_certificate"},
		{[]string{"--cert", x.write("acme.pem", inPEM(p.Acme.Transport))}, "unknown policy cel-1"},
	} {
		found, out, err := x.ask(append([]string{"--config", config, "--adapter", "caddyfile", "--body", body}, tc.args...)...)
		if err == nil || len(found) != 1 || found[0].Outcome != registry.Incomplete || verdicts(found[0])[len(found[0].Steps)-1] != tc.until {
			t.Errorf("%q: %s, %v, want one explanation", tc.args, out, err)
		}
	}
	// A certificate of a CA that the site does not trust.
	found, out, err = x.ask("--body", body, "--cert", x.write("stranger.pem", inPEM(p.Stranger.Transport)))
	if err == nil || len(found) != 1 || found[0].Status != http.StatusUnauthorized || found[0].Rule != "client_certificate" || !strings.Contains(out, "signed by unknown authority") {
		t.Errorf("got %s, %v, want one explanation, with 401 for a certificate of an unknown authority", out, err)
	}
	// With what the servers would say nothing is asked, and all is known.
	e, err := x.whole(append([]string{"--offline"}, x.answers()...)...)
	if err != nil || e.Outcome != registry.Passed {
		t.Errorf("got %+v, %v, want it passed", e, err)
	}
	for _, args := range [][]string{{"--offline"}, {"--offline", "--cert", x.write("acme.pem", inPEM(p.Acme.Transport)), "--token", x.token}} {
		found, out, err = x.ask(append([]string{"--body", body}, args...)...)
		if err == nil || len(found) != 1 || found[0].Outcome != registry.Incomplete || !strings.Contains(out, "not asked") {
			t.Errorf("got %s, %v, want one explanation, incomplete, that says what was not asked", out, err)
		}
	}
	for _, args := range [][]string{{}, {"--body", "none"}, {"--body", body, "--code", "x"}, {"--body", body, "--cert", body}, {"--body", body, "--at", "noon"},
		{"--body", body, "--answer", "x"}, {"--body", body, "--token", "@" + x.write("empty", "\n")}, {"--body", "-", "--token", "@-"}, {"--body", body, "--token", body}, {"--body", body, "--remote", "host"}, {"--body", body, "extra"}, {"--code", "x", "--workspace", "default/obuk"},
		{"--body", body, "--workspace", "default/none"}, {"--code", "x"}} {
		if found, out, err := x.ask(args...); err == nil || len(found) != 0 {
			t.Errorf("%q: %s, want no explanation", args, out)
		}
	}
}

// TestExplainWhichSite: a certificate is held against the site that the workspace is
// on, not against another one of the configuration.
func TestExplainWhichSite(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	x := &explaining{Play: p, t: t}
	x.prepares(nil)
	stranger := p.Stranger.Transport
	stranger.Certificate = stranger.Certificate[1:]
	clientAuth := gateway.At(siteOf(p), "tls", "client_auth")
	other := gateway.At(siteOf(p)).After("https://localhost:1 {", "\ttls "+filepath.Join(p.Dir, "server.pem")+" "+filepath.Join(p.Dir, "server.key")+" {",
		"\t\tclient_auth {", "\t\t\tmode require_and_verify", "\t\t\ttrust_pool file "+filepath.Join(p.Dir, "ca.pem"), "\t\t}", "\t}", "\trespond other", "}")
	for _, tc := range []struct {
		name   string
		edits  []gateway.Edit
		counts bool
	}{
		{"as it is", nil, true},
		{"another CA here", []gateway.Edit{gateway.At("client_auth", "trust_pool").Set("file", x.write("stranger-ca.pem", inPEM(stranger))), other}, false},
		{"none here", []gateway.Edit{clientAuth.Replace("client_auth {", "\tmode request", "}"), other}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			caddyfile := edited(t, p.Caddyfile, tc.edits...)
			found, out, err := x.ask("--config", x.write("Caddyfile.other", caddyfile), "--adapter", "caddyfile", "--body", x.write("request.jose", x.body), "--cert", x.write("acme.pem", inPEM(p.Acme.Transport)))
			if len(found) != 1 {
				t.Fatalf("got %s, %v, want one explanation, with\n%s", out, err, caddyfile)
			}
			refused := found[0].Status == http.StatusUnauthorized && found[0].Rule == "client_certificate"
			if refused == tc.counts || tc.counts && found[0].Outcome != registry.Incomplete {
				t.Errorf("got %s, %v, want the certificate refused: %t", out, err, !tc.counts)
			}
		})
	}
}
