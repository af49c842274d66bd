package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/checkout"
	"github.com/caddy-dcr/caddy-dcr/integration/directory"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// hydraPage is what docs/ory-hydra.md says, made to run on this machine.
type hydraPage struct {
	*testing.T
	binary, dir, gateway string
	yaml, caddyfile      string
	commands             []string
	site                 int
	admin, control       string // Hydra's API, and the gateway's for clients
	environment          []string
	software             *tpp.Software
	anybody              *tpp.Client
}

var pageBlock = regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)```$")

// openHydraPage reads the page. The names of the bank stay: only who listens where, and
// who has issued certificates, is another.
func openHydraPage(t *testing.T) *hydraPage {
	h := &hydraPage{T: t, binary: os.Getenv("HYDRA_BINARY"), dir: t.TempDir()}
	if h.binary == "" {
		t.Skip("HYDRA_BINARY names no Ory Hydra")
	}
	try := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile(filepath.Join(checkout.Root(), "docs", "ory-hydra.md"))
	try(err)
	h.gateway, err = gateway.Build()
	try(err)
	d, err := directory.Start(t.Context(), directory.Options{})
	try(err)
	t.Cleanup(func() { _ = d.Stop() })
	software, err := d.Enrol(directory.Enrolment{Roles: []string{"AISP"}, WithoutAlg: true})
	try(err)
	h.software, h.anybody = &tpp.Software{Software: software, Audience: story.Bank}, tpp.NewClient(tpp.ClientOptions{Roots: d.Roots()})
	try(d.WriteFiles(h.dir))
	server, err := d.ServerCertificate("auth.bank.example")
	try(err)
	certificate, key, err := directory.WriteCertificate(h.dir, "server", server)
	try(err)
	ca, port := filepath.Join(h.dir, "ca.pem"), [5]string{}
	for i := range port {
		h.site, err = gateway.FreePort()
		try(err)
		port[i] = strconv.Itoa(h.site)
	}
	h.admin, h.control = "https://127.0.0.1:"+port[1], "http://127.0.0.1:"+port[3]+"/openbanking_dcr/clients/"
	here := strings.NewReplacer(
		"/var/lib/hydra/", h.dir+"/", "/etc/hydra/hydra.pem", certificate, "/etc/hydra/hydra.key", key,
		"port: 4444", "host: 127.0.0.1\n    port: "+port[0], "port: 4445", "host: 127.0.0.1\n    port: "+port[1],
		"https://hydra.internal:4444", "https://127.0.0.1:"+port[0], "https://hydra.internal:4445", h.admin, "localhost:9443", "localhost:"+port[2],
		"\tskip_install_trust\n", "\tskip_install_trust\n\tadmin 127.0.0.1:"+port[3]+"\n\tdefault_bind 127.0.0.1\n\thttps_port "+port[4]+
			"\n\tauto_https disable_redirects\n\topenbanking_dcr {\n\t\tstore badger store\n\t}\n",
		// The site's certificate here is for localhost too, and Caddy would show it there.
		"\tbind 127.0.0.1\n", "\tbind 127.0.0.1\n\ttls "+certificate+" "+key+"\n", "pki_root local", "file "+ca,
		"hydra-roots.pem", ca, "open-banking-roots.pem", ca, "\nauth.bank.example {\n\ttls {\n", "\nauth.bank.example {\n\ttls "+certificate+" "+key+" {\n",
		"https://keystore.openbanking.org.uk/keystore/openbanking.jwks", d.JWKSURL()+"\n\t\t\tprivate_addresses\n\t\t\ttrust_pool file "+ca,
	)
	for _, block := range pageBlock.FindAllStringSubmatch(string(page), -1) {
		switch text := here.Replace(block[2]); block[1] {
		case "yaml":
			h.yaml = text
		case "caddyfile":
			h.caddyfile = text
		case "sh":
			h.commands = append(h.commands, strings.Split(text, "\n")...)
		}
	}
	h.environment = []string{"AS_SECRET=secretOfTheGateway", "REGISTRAR_SECRET=secretOfTheRegistrar", "AS_BASIC=" + basic("gateway", "secretOfTheGateway")}
	return h
}

// hydra is the page's command that begins so.
func (h *hydraPage) hydra(begins string) *exec.Cmd {
	for _, line := range h.commands {
		if arguments, is := strings.CutPrefix(line, "hydra "); is && strings.HasPrefix(arguments, begins) {
			cmd := exec.Command("sh", "-c", "exec "+h.binary+" "+arguments)
			cmd.Dir, cmd.Env = h.dir, append(append(os.Environ(), "SSL_CERT_FILE="+filepath.Join(h.dir, "ca.pem"), "SECRETS_SYSTEM=a secret of the system", "SQA_OPT_OUT=true"), h.environment...)
			return cmd
		}
	}
	h.Fatalf("the page has no command hydra %s", begins)
	return nil
}

func (h *hydraPage) run(begins string) {
	h.Helper()
	if out, err := h.hydra(begins).CombinedOutput(); err != nil {
		h.Fatalf("hydra %s: %v\n%s", begins, err, out)
	}
}

// configure writes hydra.yml without the line that holds a text.
func (h *hydraPage) configure(without string) {
	h.Helper()
	if err := os.WriteFile(filepath.Join(h.dir, "hydra.yml"), []byte(lacking(h.yaml, without)), 0o600); err != nil {
		h.Fatal(err)
	}
}

func lacking(text, without string) string {
	if without == "" {
		return text
	}
	return regexp.MustCompile("(?m)^.*"+without+".*\n").ReplaceAllString(text, "")
}

// serve runs Hydra until the test ends.
func (h *hydraPage) serve(t *testing.T) {
	t.Helper()
	cmd := h.hydra("serve")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	eventually(t, func() error {
		return answers(h.anybody.Do(t.Context(), http.MethodGet, h.admin+"/health/ready", nil, nil))(200)
	})
}

// start runs a Caddyfile until the test ends.
func (h *hydraPage) start(t *testing.T, caddyfile string, env ...string) *gateway.Process {
	t.Helper()
	p, err := gateway.Start(t.Context(), h.gateway, t.TempDir(), caddyfile, append(h.environment, env...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop() })
	return p
}

func eventually(t *testing.T, check func() error) {
	t.Helper()
	if err := story.Eventually(t.Context(), time.Minute, check); err != nil {
		t.Fatal(err)
	}
}

// answers tells whether an answer has a status.
func answers(r *tpp.Response, err error) func(status int) error {
	return func(status int) error {
		if err == nil && r.Status != status {
			err = fmt.Errorf("%s, want %d", r, status)
		}
		return err
	}
}

// TestHydra: in front of Ory Hydra, docs/ory-hydra.md is enough for the first registration,
// and the log names what is left out of it before the first request.
func TestHydra(t *testing.T) {
	h := openHydraPage(t)
	h.configure("")
	h.run("migrate")
	t.Run("obstacles", h.obstacles)
	t.Run("registration", h.registration)
}

func (h *hydraPage) obstacles(t *testing.T) {
	proxy, site, _ := strings.Cut(h.caddyfile, "\nauth.bank.example {")
	global, _, _ := strings.Cut(proxy, "\n# Hydra behind")
	// In one process the gateway may ask before the other site answers, and then not for minutes.
	h.start(t, regexp.MustCompile(`admin 127\S+`).ReplaceAllString(proxy, "admin off"))
	for i, o := range []struct{ hydra, caddy, env, log string }{
		{"", "", "", "let the authorization server have one of PS256, ES256 in id_token_signing_alg_values_supported"}, // there is no key yet
		{"", "", "REGISTRAR_SECRET=another", "compare client registrar and its secret"},
		{"", "", "AS_SECRET=another", "compare client gateway and its secret"},
		{"client_registration_url", "", "", "names no registration_endpoint"},
		{"supported_scope", "", "", `"scopes":["accounts","payments","fundsconfirmations"]`},
		{"", "introspection_endpoint", "", "names no introspection_endpoint"},
	} {
		t.Run(o.log, func(t *testing.T) {
			h.configure(o.hydra)
			h.serve(t)
			if i == 1 {
				h.run("create jwk")
				h.run("create client")
			}
			p := h.start(t, lacking(global+"\nauth.bank.example {"+site, o.caddy), o.env)
			eventually(t, func() error {
				if !strings.Contains(p.Log(), o.log) {
					return fmt.Errorf("the log is\n%s", p.Log())
				}
				return nil
			})
		})
	}
}

func (h *hydraPage) registration(t *testing.T) {
	h.configure("")
	h.serve(t)
	h.start(t, h.caddyfile)
	const issuer = "https://auth.bank.example"
	const register = issuer + "/obuk/openbankinguk/dcr/v3.2/register"
	ctx := t.Context()
	c := h.software.Client(tpp.ClientOptions{Roots: h.anybody.HTTP.Transport.(*http.Transport).TLSClientConfig.RootCAs, Address: "127.0.0.1:" + strconv.Itoa(h.site)})
	eventually(t, func() error { return answers(c.Discover(ctx, issuer))(200) })
	must := func(r *tpp.Response, err error) func(status int) *tpp.Response {
		return func(status int) *tpp.Response {
			t.Helper()
			if err := answers(r, err)(status); err != nil {
				t.Fatal(err)
			}
			return r
		}
	}
	request := func() string {
		body, err := h.software.Request(nil)
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	registrars := must(c.Token(ctx, issuer+"/oauth2/token", tpp.ClientCredentials("dcr_register"), tpp.Basic("registrar", "secretOfTheRegistrar")))(200).Text("access_token")
	id := must(c.Register(ctx, register, registrars, request()))(201).Text("client_id")
	token := must(c.Token(ctx, issuer+"/oauth2/token", tpp.ClientCredentials("accounts"), tpp.TLSClientAuth(id)))(200).Text("access_token")

	introspect := func(token string, auth tpp.Auth, status int) *tpp.Response {
		t.Helper()
		return must(c.Token(ctx, issuer+"/admin/oauth2/introspect", map[string][]string{"token": {token}}, auth))(status)
	}
	gateways := tpp.Basic("gateway", "secretOfTheGateway")
	inactive := func(token string) func() error {
		return func() error {
			if r := introspect(token, gateways, 200); r.JSON["active"] != false {
				return fmt.Errorf("%s, want an inactive token", r)
			}
			return nil
		}
	}
	if r := introspect(token, gateways, 200); r.JSON["active"] != true || r.JSON["cnf"] == nil {
		t.Errorf("%s, want an active token that is bound", r)
	}
	introspect(token, nil, 401)
	introspect(token, tpp.TLSClientAuth(id), 503)
	eventually(t, inactive(registrars))

	must(c.Read(ctx, register, id, token))(200)
	must(c.Update(ctx, register, id, token, request()))(200)
	change := func(what string) {
		t.Helper()
		seen := must(h.anybody.Do(ctx, http.MethodGet, h.control+id, nil, nil))(200)
		header := http.Header{"Content-Type": {"application/json"}, "If-Match": {seen.Header.Get("Etag")}}
		must(h.anybody.Do(ctx, http.MethodPost, h.control+id+"/"+what, header, []byte(`{"reason":"a test","operator":"Anna"}`)))(200)
	}
	change("suspend")
	for _, path := range []string{"/userinfo", "/credentials"} { // which takes no GET: what refuses it is the gateway
		must(c.Do(ctx, http.MethodGet, issuer+path, http.Header{"Authorization": {"Bearer " + token}}, nil))(401)
	}
	change("resume")
	must(c.Delete(ctx, register, id, token))(204)
	eventually(t, inactive(token))
	eventually(t, func() error {
		return answers(h.anybody.Do(ctx, http.MethodGet, h.admin+"/admin/clients/"+id, nil, nil))(404)
	})
}
