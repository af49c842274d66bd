package e2e_test

import (
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/registry"
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
		x.t.Fatalf("got %s, %v, want one explanation", out, err)
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

// inPEM is a certificate with its CA's.
func inPEM(pair tls.Certificate) string {
	var text []byte
	for _, c := range pair.Certificate {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c})...)
	}
	return string(text)
}

// kept is the explanation of a request that was served. It is written after the answer.
func (x *explaining) kept(t *testing.T, code string) (e registry.Explanation) {
	t.Helper()
	err := story.Eventually(t.Context(), time.Minute, func() error {
		found, out, err := x.ask("--code", code)
		if len(found) != 1 || found[0].SupportCode != code {
			return fmt.Errorf("got %s, %v, want one explanation of the support code %s", out, err, code)
		}
		e = found[0]
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// answers are those of every server that a request of Acme's needs.
func (x *explaining) answers() (args []string) {
	x.t.Helper()
	client := x.Client(x.Acme)
	x.cert = x.write("acme.pem", inPEM(x.Acme.Transport))
	as := x.AS.URL()
	for i, url := range []string{as + "/.well-known/openid-configuration", x.Directory.JWKSURL(), x.Acme.StatementClaims(nil)["software_jwks_endpoint"].(string)} {
		r, err := client.Do(x.t.Context(), http.MethodGet, url, nil, nil)
		if err != nil || r.Status != http.StatusOK {
			x.t.Fatalf("%s: %v, %v, want 200", url, r, err)
		}
		args = append(args, "--answer", url+"="+x.write(fmt.Sprint("answer", i), string(r.Body)))
	}
	introspection, err := url.Parse(x.Endpoint("introspection_endpoint"))
	if err != nil {
		x.t.Fatal(err)
	}
	answer := `{"active":true,"client_id":"registrar","scope":"dcr_register"}`
	return append(args, "--answer", strings.TrimSuffix(as, story.Prefix)+introspection.Path+"="+x.write("introspection", answer))
}
