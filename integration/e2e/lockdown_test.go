package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// inner is a certificate of an authority that the bank has for its own servers only:
// the files of the authority, the certificate and the key.
func inner(t *testing.T) (authority, certificate, key string) {
	t.Helper()
	make := func(name string, template, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, string, string) {
		own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if signer == nil {
			signer, parent = own, template
		}
		template.SerialNumber, template.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: name}
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, template, parent, own.Public(), signer)
		if err != nil {
			t.Fatal(err)
		}
		secret, err := x509.MarshalECPrivateKey(own)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		for file, block := range map[string]*pem.Block{"certificate.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "EC PRIVATE KEY", Bytes: secret}} {
			if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		parsed, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return parsed, own, filepath.Join(dir, "certificate.pem"), filepath.Join(dir, "key.pem")
	}
	ca, caKey, authority, _ := make("Bank internal", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil, nil)
	_, _, certificate, key = make("gateway", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, ca, caKey)
	return authority, certificate, key
}

// TestLockedServer: an AS that takes requests of the gateway alone, by a secret, by
// mTLS, and both. The whole story goes through the gateway, and nothing goes round it.
func TestLockedServer(t *testing.T) {
	t.Parallel()
	const secret = "a-secret-of-the-hop-to-the-AS"
	authority, certificate, key := inner(t)
	server := gateway.At("authorization_server")
	const shared = "shared_header X-Hop-Secret {env.HOP_SECRET}"
	mtls := "tls_client_auth " + certificate + " " + key
	for name, o := range map[string]story.Options{
		"secret": {
			Edits: []gateway.Edit{server.Add(shared)},
			AS:    func(c *authserverprocess.Config) { c.LockHeader, c.LockSecret = "X-Hop-Secret", secret },
		},
		"mTLS": {
			Edits: []gateway.Edit{server.Add(mtls)}, Transport: mtls,
			AS: func(c *authserverprocess.Config) { c.LockMTLS, c.ClientCA = true, authority },
		},
		"both": {
			Edits: []gateway.Edit{server.Add(shared, mtls)}, Transport: mtls,
			AS: func(c *authserverprocess.Config) {
				c.LockHeader, c.LockSecret, c.LockMTLS, c.ClientCA = "X-Hop-Secret", secret, true, authority
			},
		},
	} {
		o.Environment = map[string]string{"HOP_SECRET": secret}
		t.Run(name, func(t *testing.T) {
			once(t, o, func(t *testing.T, p *story.Play) {
				for _, step := range story.Steps {
					if strings.HasPrefix(step.Title, "The authorization server's own registration") {
						continue // it asks the AS itself, which this one does not let it
					}
					if err := step.Run(p, t.Context()); err != nil {
						t.Fatalf("%s: %v", step.Title, err)
					}
				}
				// Round the gateway, with the certificate of somebody else in the header.
				direct := tpp.NewClient(p.ClientOptions())
				defer direct.Close()
				header := http.Header{"Client-Cert": {clientCert(p.Acme)}, "X-Hop-Secret": {"guess"}}
				r, err := direct.Do(t.Context(), http.MethodGet, p.AS.URL()+"/.well-known/openid-configuration", header, nil)
				if locked := name != "secret"; locked && err == nil || !locked && (err != nil || r.Status != http.StatusForbidden) {
					t.Errorf("round the gateway: %v, %v", r, err)
				}
				// From outside nobody sends the secret through the gateway, nor erases it.
				r, err = p.Client(p.Acme).Do(t.Context(), http.MethodGet, p.Endpoint("jwks_uri"), http.Header{"X-Hop-Secret": {"guess"}, "X_hop_secret": {"guess"}}, nil)
				if err != nil || r.Status != http.StatusOK {
					t.Errorf("jwks: %v, %v, want 200", r, err)
				}
				if status := speak(t, p, "GET "+story.Prefix+"/jwks HTTP/1.1\r\nHost: localhost\r\nConnection: close, X-Hop-Secret\r\n\r\n"); status == "403 Forbidden" {
					t.Errorf("the secret is erased: %s", status)
				}
			})
		})
	}
}
