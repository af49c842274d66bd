package e2e_test

import (
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// explaining is a play whose gateway keeps explanations, and a request of Acme's.
type explaining struct {
	*story.Play
	t           *testing.T
	token, body string
	cert        string
}

// ask runs caddy dcr explain and reads its JSON.
func (x *explaining) ask(args ...string) (found []registry.Explanation, out string, err error) {
	x.t.Helper()
	out, err = x.Gateway.Command(x.t.Context(), append([]string{"dcr", "explain", "--config", "Caddyfile", "--json"}, args...)...)
	for _, secret := range []string{x.token, x.body, strings.Split(x.body, ".")[1]} {
		if strings.Contains(out, secret) {
			x.t.Errorf("%q tells %q", args, secret)
		}
	}
	text := logLine.ReplaceAllString(out, "")
	if i := strings.LastIndex(text, "\nError: "); i >= 0 {
		text = text[:i]
	}
	if strings.HasPrefix(text, "{") {
		text = "[" + text + "]"
	}
	if strings.HasPrefix(text, "[") {
		if err := json.Unmarshal([]byte(text), &found); err != nil {
			x.t.Fatalf("%v: %s", err, out)
		}
	}
	return found, out, err
}

// logLine is what Caddy says on the other stream while it reads a configuration.
var logLine = regexp.MustCompile(`(?m)^\{"level".*\n`)

// whole asks about the whole request.
func (x *explaining) whole(args ...string) (registry.Explanation, error) {
	x.t.Helper()
	found, out, err := x.ask(append([]string{"--body", x.write("request.jose", x.body), "--cert", x.cert, "--token", "@" + x.write("token", x.token)}, args...)...)
	if len(found) != 1 {
		x.t.Fatalf("%s, %v", out, err)
	}
	return found[0], err
}

func (x *explaining) write(name, text string) string {
	x.t.Helper()
	name = filepath.Join(x.Dir, name)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		x.t.Fatal(err)
	}
	return name
}

// prepares gets a request with other claims.
func (x *explaining) prepares(overrides map[string]any) {
	x.t.Helper()
	var err error
	if x.token, _, err = x.Prepare(x.t.Context()); err != nil {
		x.t.Fatal(err)
	}
	if x.body, err = x.Acme.Request(overrides); err != nil {
		x.t.Fatal(err)
	}
}

// verdicts are the steps in short.
func verdicts(e registry.Explanation) (list []string) {
	for _, s := range e.Steps {
		list = append(list, s.Verdict+" "+s.Step+" "+s.Rule)
	}
	return list
}

// TestExplain: what is said of a request that nobody served is what the gateway does
// with it, step by step, and nothing of it is done.
func TestExplain(t *testing.T) {
	each(t, story.Options{}, func(t *testing.T, p *story.Play) {
		x := &explaining{Play: p, t: t}
		x.cert = x.write("acme.pem", inPEM(p.Acme.Transport))
		client := p.Client(p.Acme)
		reload(t, p, "explain on\n policy cel `ssa.org_status == \"Active\"` {\n name status\n }\n policy cel `allow().scopes([\"openid\"])` {\n name little\n }\n policy cel `false` {\n name later\n shadow\n }")

		x.prepares(nil)
		e, err := x.whole()
		if err != nil || e.Outcome != registry.Passed {
			t.Fatalf("%+v, %v", e, err)
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
			if served.Outcome != registry.Accepted || !reflect.DeepEqual(verdicts(served), replaced(said, "unknown registry registry", "passed registry registry")) {
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
			{"expired", map[string]any{"iat": time.Now().Add(-2 * time.Hour).Unix(), "exp": time.Now().Add(-time.Hour).Unix()}, "invalid_client_metadata", "refused request exp"},
			{"no statement", map[string]any{"software_statement": ""}, "invalid_software_statement", "refused software_statement software_statement"},
		} {
			t.Run(tc.name, func(t *testing.T) {
				x.prepares(tc.overrides)
				e, err := x.whole()
				if err == nil || e.Outcome != registry.Refused || e.Error != tc.code || verdicts(e)[len(e.Steps)-1] != tc.step {
					t.Errorf("%+v, %v", e, err)
				}
				r, err := client.Register(t.Context(), p.Register, x.token, x.body)
				answered(t, r, err, e.Status, tc.code)
				served := x.kept(t, r.Header.Get("x-fapi-interaction-id"))
				if r.Text("error_description") != e.Told && tc.name != "expired" { // it tells the time
					t.Errorf("told %s, explained %s", r.Text("error_description"), e.Told)
				}
				if served.Outcome != registry.Refused || served.Error != e.Error || !reflect.DeepEqual(verdicts(served), verdicts(e)) {
					t.Errorf("served %q\nexplained %q", verdicts(served), verdicts(e))
				}
			})
		}

		t.Run("at another time", func(t *testing.T) {
			e, err := x.whole("--at", time.Now().Add(-90*time.Minute).Format(time.RFC3339))
			if err == nil || e.Rule != "software_statement" && e.Rule != "client_certificate" && e.Rule != "access_token" { // none is so old
				t.Errorf("%+v, %v", e, err)
			}
		})
		t.Run("policy", func(t *testing.T) {
			reload(t, p, "explain on\n policy cel `ssa.org_status == \"Closed\"` {\n name status\n text \"ask us first; we are at +44 20 7946 0000\"\n }")
			x.prepares(nil)
			r, err := client.Register(t.Context(), p.Register, x.token, x.body)
			answered(t, r, err, http.StatusBadRequest, "unapproved_software_statement")
			served := x.kept(t, r.Header.Get("x-fapi-interaction-id"))
			last := served.Steps[len(served.Steps)-1]
			if last.Verdict != verify.VerdictRefused || last.Rule != "status" || !strings.Contains(last.Reason, `ssa.org_status == "Closed" is false (line `) || !strings.HasPrefix(last.Told, "ask us first") {
				t.Errorf("%+v", last)
			}
		})
		t.Run("management", func(t *testing.T) {
			r, err := client.Read(t.Context(), p.Register, "nobody", x.token)
			answered(t, r, err, http.StatusUnauthorized, "invalid_token")
			served := x.kept(t, r.Header.Get("x-fapi-interaction-id"))
			if served.Operation != "read" || !strings.Contains(strings.Join(verdicts(served), "\n"), "refused access_token access_token") {
				t.Errorf("%+v", served)
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
	for name, text := range map[string]string{"request.jose": x.body, "token.txt": x.token + "\n", "tpp.pem": inPEM(p.Acme.Transport), "keys.jwks": "{}"} {
		x.write(name, text)
	}
	page, err := os.ReadFile(filepath.Join(gateway.Root(), "docs", "explain.md"))
	if err != nil {
		t.Fatal(err)
	}
	commands := shellBlock.FindAllStringSubmatch(string(page), -1)
	if len(commands) != 3 {
		t.Errorf("%d commands", len(commands))
	}
	for i, command := range commands {
		words := strings.Fields(command[1])
		out, err := p.Gateway.Command(t.Context(), append(words[1:], "--config", "Caddyfile")...)
		want := []string{"passed: every check", `"outcome": "incomplete"`, "no explanation has the support code"}[i]
		if (err == nil) != (i == 0) || words[0] != "caddy" || !strings.Contains(out, want) {
			t.Errorf("%s: %v, %s", command[1], err, out)
		}
	}
}

// inPEM is a certificate with its CA's.
func inPEM(pair tls.Certificate) string {
	var text []byte
	for _, c := range pair.Certificate {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c})...)
	}
	return string(text)
}

// kept is the explanation of a request that was served.
func (x *explaining) kept(t *testing.T, code string) registry.Explanation {
	t.Helper()
	for {
		found, out, err := x.ask("--code", code)
		if len(found) == 1 && found[0].SupportCode == code {
			return found[0]
		}
		if t.Context().Err() != nil || !strings.Contains(out, "no explanation") { // it is written after the answer
			t.Fatalf("%s, %v", out, err)
		}
	}
}

func replaced(list []string, old, new string) []string {
	return strings.Split(strings.ReplaceAll(strings.Join(list, "\n"), old, new), "\n")
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
		t.Errorf("%s, %v", out, err)
	}
	// A certificate of a CA that the site does not trust.
	found, out, err = x.ask("--body", body, "--cert", x.write("stranger.pem", inPEM(p.Stranger.Transport)))
	if err == nil || len(found) != 1 || found[0].Status != http.StatusUnauthorized || found[0].Rule != "client_certificate" || !strings.Contains(out, "signed by unknown authority") {
		t.Errorf("%s, %v", out, err)
	}
	// Nothing is asked.
	found, out, err = x.ask("--body", body, "--offline")
	if err == nil || len(found) != 1 || found[0].Outcome != registry.Incomplete || !strings.Contains(out, "not asked") {
		t.Errorf("%s, %v", out, err)
	}
	for _, args := range [][]string{{}, {"--body", "none"}, {"--body", body, "--code", "x"}, {"--body", body, "--cert", body}, {"--body", body, "--at", "noon"},
		{"--body", body, "--answer", "x"}, {"--body", body, "--workspace", "default/none"}, {"--code", "x"}} {
		if found, out, err := x.ask(args...); err == nil || len(found) != 0 {
			t.Errorf("%q: %s", args, out)
		}
	}
}
