package gateway

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

const tokenPath = "/default/obuk/token"

// tokenRequest is one to the token endpoint, with the certificate where there is one.
func tokenRequest(leaf *x509.Certificate, form string) *http.Request {
	r := httptest.NewRequest("POST", tokenPath, strings.NewReader(form))
	r.Header.Set("Content-Type", formType)
	if leaf != nil {
		r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{leaf}}}
	}
	return r
}

// guardLines serves a request and returns the lines of the log about it.
func (w *whole) guardLines(r *http.Request) (lines []map[string]any) {
	w.t.Helper()
	var log bytes.Buffer
	w.Gateway.log = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.serve(r)
	for line := range strings.Lines(log.String()) {
		var members map[string]any
		if err := json.Unmarshal([]byte(line), &members); err != nil {
			w.t.Fatal(err)
		}
		if members["outcome"] != nil {
			lines = append(lines, members)
		}
	}
	return lines
}

// TestGuardInTheLog: the line of a request at the token endpoint says whose it is, for
// what was refused and for what goes on, as far as it is known.
func TestGuardInTheLog(t *testing.T) {
	until := time.Now().Add(time.Hour)
	w := newWhole(t, nil)
	tpp, other := leaf(t, "tpp", until), leaf(t, "other", until)
	assertion := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"PS256","kid":"key 1"}`)) + "." +
		base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"client","sub":"client"}`)) + ".c2ln"
	of := func(more map[string]any) map[string]any {
		all := map[string]any{"client_id": "client", "software_id": "1", "org_id": "org"}
		for name, value := range more {
			all[name] = value
		}
		return all
	}
	thumbprint := func(leaf *x509.Certificate) any {
		cert, err := captureCertificate(&tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{leaf}}}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return cert.Thumbprint
	}
	for _, c := range []struct {
		name string
		r    *http.Request
		want map[string]any // nil: the member is not there
	}{
		{"served", tokenRequest(tpp, "client_id=client"), of(map[string]any{"level": "DEBUG", "outcome": "passed", "certificate": thumbprint(tpp), "presented_client_id": nil})},
		{"served from memory", tokenRequest(tpp, "client_id=client"), of(map[string]any{"level": "DEBUG", "outcome": "passed", "certificate": thumbprint(tpp)})},
		{"another certificate", tokenRequest(other, "client_id=client"), of(map[string]any{"level": "INFO", "outcome": "refused", "error": "invalid_client", "certificate": thumbprint(other)})},
		{"no certificate", tokenRequest(nil, "client_id=client"), of(map[string]any{"outcome": "refused", "certificate": nil})},
		{"an assertion", tokenRequest(tpp, "client_id=client&client_assertion="+assertion), of(map[string]any{"outcome": "refused", "kid": "key 1", "certificate": thumbprint(tpp)})},
		{"two clients", tokenRequest(tpp, "client_id=client&client_id=nobody"), of(map[string]any{"outcome": "refused", "presented_client_id": "client nobody"})},
		{"an id in another spelling", tokenRequest(tpp, "client_id=CLIENT"), map[string]any{"outcome": "refused", "client_id": nil, "presented_client_id": "CLIENT", "certificate": thumbprint(tpp)}},
		{"what cannot be read", tokenRequest(tpp, "client_id=%01x"+strings.Repeat("y", 200)), map[string]any{"outcome": "refused", "client_id": nil, "presented_client_id": `\x01x` + strings.Repeat("y", 78) + "...", "certificate": thumbprint(tpp)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			lines := w.guardLines(c.r)
			if len(lines) != 1 {
				t.Fatalf("%d lines: %v", len(lines), lines)
			}
			for name, want := range c.want {
				if got := lines[0][name]; got != want {
					t.Errorf("%s is %v, not %v", name, got, want)
				}
			}
		})
	}
	if lines := w.guardLines(tokenRequest(tpp, "client_id=nobody")); len(lines) != 0 {
		t.Errorf("a client that is not the registry's: %v", lines)
	}
}

// TestLogSaysWhyACertificateIsIgnored: a certificate that is not verified, or has
// expired since the handshake, is none; the log says which of all that it is.
func TestLogSaysWhyACertificateIsIgnored(t *testing.T) {
	w := newWhole(t, nil)
	expired := leaf(t, "tpp", time.Now().Add(-time.Minute))
	unverified := tokenRequest(nil, "client_id=client")
	unverified.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf(t, "tpp", time.Now().Add(time.Hour))}}
	for want, r := range map[string]*http.Request{"expired": tokenRequest(expired, "client_id=client"), "none that a trusted CA issued": unverified} {
		lines := w.guardLines(r)
		if len(lines) != 1 || lines[0]["outcome"] != "refused" || !strings.Contains(fmt.Sprint(lines[0]["cause"]), want) {
			t.Errorf("logged %v, want the cause to say %q", lines, want)
		}
	}
}

// TestUnknownRegistrationInTheLog: of a management request that the gateway answers as it
// answers all that are not the client's, the log says for which client it was.
func TestUnknownRegistrationInTheLog(t *testing.T) {
	w := newWhole(t, nil)
	w.options.NeedsCertificate = false
	w.as.says["of-another"] = `{"active":true,"client_id":"other","scope":"accounts"}`
	r := httptest.NewRequest("GET", "/default/obuk/register/nobody", nil)
	r.Header.Set("Authorization", "Bearer of-another")
	lines := w.guardLines(r)
	if len(lines) != 1 || lines[0]["presented_client_id"] != "nobody" || lines[0]["client_id"] != nil {
		t.Errorf("logged %v", lines)
	}
}

// TestInactiveInTheLog: that a token is called inactive here, and not by the AS, is in the
// log, with the reason and whose it is.
func TestInactiveInTheLog(t *testing.T) {
	w := newWhole(t, nil)
	w.says = `{"active":true,"client_id":"client"}`
	w.must(w.store.EndToken(t.Context(), w.ws, registry.Presented{Token: &verify.AccessToken{Raw: "ended"}}))
	ask := func(token string) []map[string]any {
		r := httptest.NewRequest("POST", "/default/obuk/introspect", strings.NewReader("client_id=resource&token="+token))
		r.Header.Set("Content-Type", formType)
		return w.guardLines(r)
	}
	for _, line := range ask("good") {
		if line["level"] != "DEBUG" {
			t.Errorf("a token that is active: %v", line)
		}
	}
	if lines := ask("ended"); len(lines) != 1 || lines[0]["level"] != "INFO" || lines[0]["token_inactive"] != "it was ended here" || lines[0]["presented_client_id"] != "resource" {
		t.Errorf("a token that was ended: %v", lines)
	}
	w.must(w.store.Suspend(t.Context(), w.of(registry.SuspendClient, "client")))
	if lines := ask("good"); len(lines) != 1 || lines[0]["msg"] != "introspection" || lines[0]["token_inactive"] != "its client is suspended" || lines[0]["token_client_id"] != "client" {
		t.Errorf("the token of a suspended client: %v", lines)
	}
}

// TestGuardedTokensInTheLog: at the other endpoints of the AS too.
func TestGuardedTokensInTheLog(t *testing.T) {
	w := newWhole(t, nil)
	w.as.says["own"] = `{"active":true,"client_id":"client"}`
	w.must(w.store.Suspend(t.Context(), w.of(registry.SuspendClient, "client")))
	for name, r := range map[string]*http.Request{
		"userinfo": to(me, "Bearer", "own"), "authorization": httptest.NewRequest("GET", "/default/obuk/auth?client_id=client&response_type=code", nil),
		"introspection": to("/default/obuk/introspect", "Bearer", "own"),
	} {
		lines := w.guardLines(r)
		if len(lines) != 1 || lines[0]["outcome"] != "refused" || lines[0]["client_id"] != "client" || lines[0]["software_id"] != "1" {
			t.Errorf("%s: %v, want one line: refused, client, software 1", name, lines)
		}
	}
}
