package caddymodule

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSiteClientAuth: what a site makes of client certificates is said when it is loaded,
// with the place and what to write.
func TestSiteClientAuth(t *testing.T) {
	dir := t.TempDir()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	key, err := x509.MarshalPKCS8PrivateKey(server.TLS.Certificates[0].PrivateKey)
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := errors.Join(err,
		os.WriteFile(filepath.Join(dir, "cert.pem"), certificate, 0o600),
		os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600),
		os.WriteFile(filepath.Join(dir, "empty.pem"), []byte("# roots will be here\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	const (
		pool = "trust_pool file DIR/cert.pem\n"
		good = "mode verify_if_given\n" + pool
	)
	site := func(addresses, clientAuth, directive string) string {
		return addresses + " {\ntls DIR/cert.pem DIR/key.pem {\nclient_auth {\n" + clientAuth + "}\n}\n" + directive + "\nAS\n}\n"
	}
	plain := func(words string) string { return "http://a {\n" + directive("default", words) + "AS\n}\n" }
	const header = "client_certificate header rfc9440 {\n" + pool + "}"
	for _, c := range []struct {
		name, caddyfile string
		want            string // in the log, or in the error after "error: "; "" is nothing of certificates
	}{
		{"good", site("https://a", good, "GUARD"), ""},
		{"no TLS", "http://a {\nGUARD\nAS\n}", `"consequence":"every registration is refused with 401`},
		{"no client_auth", "https://a {\ntls DIR/cert.pem DIR/key.pem\nGUARD\nAS\n}", "the site requests no client certificate"},
		{"none, and none is demanded", plain("client_certificate off"), "no client can use tls_client_auth"},
		{"none, and nobody needs one", plain("client_certificate off\ntoken_endpoint_auth_methods private_key_jwt"), ""},
		{"none, and every client must present one", plain("client_certificate off\nendpoint_certificate required\ntoken_endpoint_auth_methods private_key_jwt"), `"consequence":"no registered client can authenticate (endpoint_certificate optional in the directive would not demand one)`},
		{"none, and every client must present one, by any method", plain("client_certificate off\nendpoint_certificate required"), `"consequence":"no registered client can authenticate`},
		{"mode request", site("https://a", "mode request\n", "GUARD"), "the site verifies no client certificate (client_auth has mode request or require"},
		{"mode request with a pool", site("https://a", "mode request\n"+pool, "GUARD"), "the site verifies no client certificate"},
		{"mode require", site("https://a", "mode require\n"+pool, "GUARD"), `"place":"apps/http/servers/srv0/tls_connection_policies/0","cure":"write in the site: tls { client_auth { mode verify_if_given; trust_pool file`},
		{"mode require_and_verify", site("https://a", "mode require_and_verify\n"+pool, "GUARD"), "requires a client certificate on every connection"},
		{"no mode", site("https://a", pool, "GUARD"), "requires a client certificate on every connection"},
		{"no trust_pool", site("https://a", "mode verify_if_given\n", "GUARD"), "error: client_auth of a (apps/http/servers/srv0/tls_connection_policies/0): it has no trust_pool"},
		{"no trust_pool, and everybody", site("https://a", "mode require_and_verify\n", "GUARD"), "error: it has no trust_pool"},
		{"an empty trust_pool", site("https://a", "mode verify_if_given\ntrust_pool file DIR/empty.pem\n", "GUARD"), "error: it holds no certificate"},
		{"a directive in two servers", site("https://a", good, "GUARD") + site("https://a:8443", good, "GUARD"), "error: is configured twice"},
		{"a system's trust_pool", site("https://a", "mode verify_if_given\ntrust_pool system\n", "GUARD"), ""},
		{"an empty trust_pool of the header", plain(strings.Replace(header, "cert.pem", "empty.pem", 1)), "error: client_certificate header: trust_pool: it holds no certificate"},
		{"another site's client_auth", site("https://a", "mode request\n", "GUARD") + site("https://b", good, "respond b"), "the site verifies no client certificate"},
		{"another site without", site("https://a", good, "GUARD") + "https://b {\ntls DIR/cert.pem DIR/key.pem\nrespond b\n}\n", ""},
		{"another site's empty trust_pool", site("https://a", good, "GUARD") + site("https://b", "mode require_and_verify\ntrust_pool file DIR/empty.pem\n", "respond b"), ""},
		{"an address", site("https://127.0.0.1", good, "GUARD"), ""},
		{"a wildcard", site("https://*.b", good, "GUARD"), ""},
		{"every host", site("https://:443", good, "GUARD"), ""},
		{"every host, mode request", site("https://:443", "mode request\n", "GUARD"), "the site verifies no client certificate"},
		{"certificates at another machine", plain("mtls_origin https://matls.a"), ""},
		{"certificates at a host of the site", "https://a, https://matls.a {\ntls DIR/cert.pem DIR/key.pem\n" + directive("default", "mtls_origin https://matls.a") + "AS\n}", "the site requests no client certificate"},
		{"a header from nobody", plain(header), "ignores every client certificate in a header"},
		{"a header from a load balancer", "SERVERS" + plain(header), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.ReplaceAll(withGuards(c.caddyfile), "DIR", dir)
			text = strings.Replace(text, "}\nSERVERS", "servers {\ntrusted_proxies static 10.0.0.0/8\n}\n}\n", 1)
			wrong, ok := strings.CutPrefix(c.want, "error: ")
			if ok {
				if _, err := load(t, text); err == nil || !strings.Contains(err.Error(), wrong) {
					t.Errorf("got %v, want an error with %q", err, wrong)
				}
				return
			}
			log := said(t, text)
			if c.want == "" && (strings.Contains(log, "no client certificate") || strings.Contains(log, "requires a client certificate on every connection") || strings.Contains(log, "tls_client_auth") || strings.Contains(log, "trusted_proxies")) {
				t.Errorf("got %s, want no warning of client certificates", log)
			}
			if !strings.Contains(log, c.want) {
				t.Errorf("%q is not in\n%s", c.want, log)
			}
		})
	}
}
