package caddymodule

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// TestSiteHosts: what a site is called, from its address.
func TestSiteHosts(t *testing.T) {
	t.Setenv("DCR_TEST_SECRET", "x")
	for address, want := range map[string][]string{
		"http://127.0.0.1:0":                         nil,
		"https://auth.bank.example":                  {"auth.bank.example"},
		"https://a.bank.example, https://b.example":  {"a.bank.example", "b.example"},
		"https://*.bank.example":                     {"*.bank.example"},
		":8443":                                      nil,
		"https://auth.bank.example/default/obuk/x/*": {"auth.bank.example"},
	} {
		adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(site("DIRECTORY", t.TempDir(), "http://127.0.0.1:0 {", address+" {")), nil)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		var config caddy.Config
		if err := json.Unmarshal(adapted, &config); err != nil {
			t.Fatal(err)
		}
		ctx, err := caddy.ProvisionContext(&config)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		app, err := ctx.App("openbanking_dcr")
		if err != nil {
			t.Fatal(err)
		}
		if got := app.(*App).workspaces[0].hosts; !slices.Equal(slices.Sorted(slices.Values(got)), want) {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
}

// TestConnectionErrorsHaveCures: the words that mend what is wrong, by the errors of real connections.
func TestConnectionErrorsHaveCures(t *testing.T) {
	quiet := log.New(io.Discard, "", 0)
	start := func(change func(*httptest.Server)) *httptest.Server {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }))
		s.Config.ErrorLog = quiet
		if change != nil {
			change(s)
		}
		s.StartTLS()
		t.Cleanup(s.Close)
		return s
	}
	server := start(nil)
	demanding := start(func(s *httptest.Server) { s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert} })
	plain := httptest.NewServer(nil)
	defer plain.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	roots.AddCert(demanding.Certificate())
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		o    jwks.Options
		url  string
		want string
	}{
		{"untrusted", jwks.Options{PrivateRanges: true}, server.URL, "write trust_pool"},
		{"another name", jwks.Options{PrivateRanges: true, Roots: roots}, "https://localhost:" + port, "correct the host in WORD, or give the server a certificate"},
		{"nobody there", jwks.Options{PrivateRanges: true, Roots: roots}, "https://" + closed.Addr().String(), "start the server"},
		{"no TLS", jwks.Options{PrivateRanges: true, Roots: roots}, "https://" + plain.Listener.Addr().String(), "it does not speak TLS"},
		{"no answer", jwks.Options{PrivateRanges: true, Roots: roots, Timeout: 50 * time.Millisecond}, "https://" + silent.Addr().String(), "let this machine reach"},
		{"a private address", jwks.Options{Roots: roots}, server.URL, "private_addresses"},
		{"no such name", jwks.Options{PrivateRanges: true, Roots: roots}, "https://nothing.invalid", "mend the name's resolution"},
		{"wants a certificate", jwks.Options{PrivateRanges: true, Roots: roots}, demanding.URL, "tls_client_auth"},
		{"another answer", jwks.Options{PrivateRanges: true, Roots: roots}, server.URL, "see what this URL answers"},
	} {
		_, err := jwks.NewClient(c.o).Get(t.Context(), c.url)
		if err == nil {
			t.Errorf("%s: no error", c.name)
			continue
		}
		if got := cureOf(err, "WORD"); !strings.Contains(got, c.want) || !strings.Contains(got, "WORD") {
			t.Errorf("%s: %q for %v, want %q", c.name, got, err, c.want)
		}
	}
}

// checkedAS is an AS and a directory whose answers are set, by path: a body, a status, or
// nothing for 404.
type checkedAS struct {
	answers map[string]string
	https   *httptest.Server
	asked   atomic.Int32
}

func newCheckedAS(t *testing.T) *checkedAS {
	t.Helper()
	as := &checkedAS{answers: map[string]string{
		"/default/obuk/.well-known/openid-configuration": `{"issuer":"https://bank.example/default/obuk","registration_endpoint":"https://bank.example/default/obuk/reg",` +
			`"introspection_endpoint":"https://bank.example/default/obuk/introspect","token_endpoint_auth_methods_supported":["tls_client_auth"]}`,
		"/default/obuk/introspect": `{"active":false}`,
		"/keys":                    `{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`, // RFC 7515 appendix A.3.1
	}}
	as.https = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		as.asked.Add(1)
		w.Header().Set("Content-Type", "application/json")
		answer := as.answers[r.URL.Path]
		if answer == "" {
			answer = "404"
		}
		if status, err := strconv.Atoi(answer); err == nil {
			w.WriteHeader(status)
			return
		}
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(as.https.Close)
	return as
}

// document changes a member of the discovery document; an empty value removes it.
func (as *checkedAS) document(member, value string) {
	const path = "/default/obuk/.well-known/openid-configuration"
	o, err := strictjson.Parse([]byte(as.answers[path]))
	if err != nil {
		panic(err)
	}
	if o = o.Without(member); value != "" {
		o = o.With(member, strictjson.AppendString(nil, value))
	}
	as.answers[path] = string(o.AppendJSON(nil))
}

// handler is one before them.
func (as *checkedAS) handler(t *testing.T) *Handler {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(as.https.Certificate())
	client := jwks.NewClient(jwks.Options{Roots: roots, PrivateRanges: true})
	url := as.https.URL + "/default/obuk"
	server, err := authserver.New(authserver.Options{URL: url, Client: client, ClientID: "gateway", ClientSecret: "s", Supported: verify.DefaultSupportedMetadata()})
	if err != nil {
		t.Fatal(err)
	}
	return &Handler{
		Workspace: "default/obuk", issuerPath: "/default/obuk", as: server, log: slog.New(slog.DiscardHandler), AuthorizationServer: &AuthorizationServer{URL: url},
		SoftwareStatements: []*SoftwareStatement{{Issuer: "OpenBanking Ltd", keys: newProbedKeys(client, as.https.URL+"/keys")}},
	}
}

// TestChecks: what is wrong with a workspace is told within one round, with the URL that was
// asked and the cure; what is right is not told of.
func TestChecks(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*checkedAS, *Handler)
		check  string // "" for nothing wrong
		url    string // its end
		cure   string
	}{
		{"all right", nil, "", "", ""},
		{"the site's host is the issuer's", func(_ *checkedAS, h *Handler) { h.hosts = []string{"other.example", "*.example"} }, "", "", ""},
		{"the AS is elsewhere", func(as *checkedAS, _ *Handler) { as.answers["/default/obuk/.well-known/openid-configuration"] = "" }, "authorization_server", "/default/obuk/.well-known/openid-configuration", "see what this URL answers"},
		{"another host in the issuer", func(_ *checkedAS, h *Handler) { h.hosts = []string{"auth.bank.example"} }, "authorization_server", "/openid-configuration", "as issuer (https://auth.bank.example/default/obuk)"},
		{"another path in the issuer", func(as *checkedAS, _ *Handler) { as.document("issuer", "https://bank.example/other") }, "authorization_server", "/openid-configuration", "as issuer (/default/obuk)"},
		{"a wrong secret, and another host in the issuer", func(as *checkedAS, h *Handler) {
			as.answers["/default/obuk/introspect"], h.hosts = "401", []string{"auth.bank.example"}
		}, "authorization_server client", "", "compare client gateway and its secret"},
		{"no algorithm in common", func(as *checkedAS, _ *Handler) {
			const document = "/default/obuk/.well-known/openid-configuration"
			as.answers[document] = strings.TrimSuffix(as.answers[document], "}") + `,"id_token_signing_alg_values_supported":["RS256"]}`
		}, "authorization_server", "/openid-configuration", "let the authorization server have one of PS256, ES256 in id_token_signing_alg_values_supported"},
		{"no registration", func(as *checkedAS, _ *Handler) { as.document("registration_endpoint", "") }, "authorization_server", "/openid-configuration", "or write registration off"},
		{"no registration, and none is meant", func(as *checkedAS, h *Handler) { as.document("registration_endpoint", ""); h.Registration = "off" }, "", "", ""},
		{"a wrong secret", func(as *checkedAS, _ *Handler) { as.answers["/default/obuk/introspect"] = "401" }, "client", "/default/obuk/introspect", "compare client gateway and its secret"},
		{"may not introspect", func(as *checkedAS, _ *Handler) { as.answers["/default/obuk/introspect"] = "403" }, "client", "/default/obuk/introspect", "let client gateway introspect"},
		{"the AS has no answer now", func(as *checkedAS, _ *Handler) { as.answers["/default/obuk/introspect"] = "503" }, "", "", ""},
		{"the directory has no keys", func(as *checkedAS, _ *Handler) { as.answers["/keys"] = `{"keys":[]}` }, "directory", "/keys", `correct jwks_uri of software_statement "OpenBanking Ltd"`},
		{"the directory is elsewhere", func(as *checkedAS, _ *Handler) { as.answers["/keys"] = "" }, "directory", "/keys", "see what this URL answers"},
	} {
		t.Run(c.name, func(t *testing.T) {
			as := newCheckedAS(t)
			h := as.handler(t)
			if c.change != nil {
				c.change(as, h)
			}
			p := newProbing(t)
			p.probes, p.more = h.probes()
			p.runs(1)
			if c.check == "" {
				if p.log.Len() > 0 {
					t.Errorf("got %s, want no line", p.log.String())
				}
				return
			}
			checks := strings.Fields(c.check)
			if p.logged("ERROR") != len(checks) {
				t.Fatalf("logged %s, want an error of %v", p.log.String(), checks)
			}
			for _, want := range []string{"check=" + checks[0] + " ", c.url + " ", strings.ReplaceAll(c.cure, `"`, `\"`)} {
				if !strings.Contains(p.log.String(), want) {
					t.Errorf("logged %s, want %q in it", p.log.String(), want)
				}
			}
			for _, one := range p.all() {
				if one.wrong.Load() != slices.Contains(checks, one.name) {
					t.Errorf("%s: got wrong %t, want %t", one.name, one.wrong.Load(), slices.Contains(checks, one.name))
				}
			}
		})
	}
}

// TestChecksOfAConfiguration: they begin when it starts, are seen in the metrics, and end
// with it; a configuration that is only validated, or says checks off, asks nobody.
func TestChecksOfAConfiguration(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	for _, off := range []bool{false, true} {
		as := newCheckedAS(t)
		as.answers["/default/obuk/introspect"] = "401"
		a := configuration(t, inMemory{t.Name()}, "")
		h := as.handler(t)
		h.app, a.workspaces = a, []*Handler{h}
		if a.Checks = ""; off {
			a.Checks = "off"
		}
		if n := as.asked.Load(); n != 0 {
			t.Errorf("asked %d times before the start", n)
		}
		if err := a.Start(); err != nil {
			t.Fatal(err)
		}
		failed := func() map[string]float64 {
			metrics := prometheus.NewRegistry()
			metrics.MustRegister(collector{a})
			families, err := metrics.Gather()
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]float64{}
			for _, f := range families {
				if f.GetName() == "caddy_openbanking_dcr_check_failed" {
					for _, m := range f.GetMetric() {
						got[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
					}
				}
			}
			return got
		}
		want := map[string]float64{"authorization_server": 0, "directory": 0, "client": 1}
		if off {
			want = map[string]float64{}
		}
		for deadline := time.Now().Add(10 * time.Second); !maps.Equal(failed(), want); runtime.Gosched() {
			if time.Now().After(deadline) {
				t.Fatalf("off %v: %v, want %v", off, failed(), want)
			}
		}
		if err := errors.Join(a.Stop(), a.Cleanup()); err != nil {
			t.Error(err)
		}
		if a.checks != nil {
			for _, done := range a.checks.done {
				select {
				case <-done:
				default:
					t.Error("the checks go on after the configuration's end")
				}
			}
		}
		if n := as.asked.Load(); off && n != 0 {
			t.Errorf("checks off: asked %d times", n)
		}
	}
}
