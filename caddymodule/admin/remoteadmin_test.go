package admin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"io"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-dcr/caddy-dcr/internal/wait"
)

// certified is an operator with a certificate.
type certified struct {
	t    *testing.T
	der  []byte
	http *http.Client
	url  string
}

func newCertified(t *testing.T, name, port string) *certified {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, InsecureSkipVerify: true, // the server is not what is tested
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &certified{t, der, &http.Client{Transport: transport, Timeout: 10 * time.Second}, "https://localhost:" + port + prefix}
}

func (c *certified) asks(method, path, body, tag string) (status int, says, etag string) {
	c.t.Helper()
	status, says, etag, err := c.tries(method, path, body, tag)
	if err != nil {
		c.t.Fatal(err)
	}
	return status, says, etag
}

func (c *certified) tries(method, path, body, tag string) (status int, says, etag string, err error) {
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, strings.NewReader(body))
	if err != nil {
		return 0, "", "", err
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("If-Match", tag)
	}
	res, err := c.http.Do(r)
	if err != nil {
		return 0, "", "", err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	return res.StatusCode, string(answer), res.Header.Get("Etag"), err
}

// TestFourEyesAtTheRemoteEndpoint of Caddy, where each operator has a certificate.
func TestFourEyesAtTheRemoteEndpoint(t *testing.T) {
	port := freePort(t)
	anna, bert := newCertified(t, "Anna", port), newCertified(t, "Bert", port)
	storage, err := json.Marshal(map[string]string{"module": "file_system", "root": t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	startWith(t, "admin localhost:"+freePort(t), "four_eyes delete", func(config *caddy.Config) {
		config.StorageRaw = storage
		config.Admin.Identity = &caddy.IdentityConfig{Identifiers: []string{"localhost"}, IssuersRaw: []json.RawMessage{json.RawMessage(`{"module":"internal"}`)}}
		config.Admin.Remote = &caddy.RemoteAdmin{Listen: ":" + port}
		for _, operator := range []*certified{anna, bert} {
			config.Admin.Remote.AccessControl = append(config.Admin.Remote.AccessControl, &caddy.AdminAccess{PublicKeys: []string{base64.StdEncoding.EncodeToString(operator.der)}})
		}
	})
	stageOf(t, 1)
	wait.Until(t, "the certificate of the endpoint", func() bool {
		_, _, _, err := anna.tries("GET", "status", "", "")
		return err == nil
	})
	status, says, tag := anna.asks("GET", "clients/1", "", "")
	if status != 200 || tag == "" {
		t.Fatalf("%d %s", status, says)
	}
	for _, step := range []struct {
		who    *certified
		status int
		says   string
	}{
		{anna, 202, `"operator":{"name":"CN=Anna","known":"certificate"}`},
		{anna, 409, "another operator must make the same call"},
		{bert, 204, ""},
	} {
		// What the body says of the operator does not count.
		if status, says, _ := step.who.asks("POST", "clients/1/delete", `{"reason":"contract ended","operator":"Eve"}`, tag); status != step.status || !strings.Contains(says, step.says) {
			t.Errorf("%d %s, want %d %q", status, says, step.status, step.says)
		}
	}
	if status, says, _ := bert.asks("GET", "audit", "", ""); status != 200 || !strings.Contains(says, `"operator":{"name":"CN=Bert","known":"certificate"}`) || !strings.Contains(says, `"proposed":{"operator":{"name":"CN=Anna"`) || strings.Contains(says, "Eve") {
		t.Errorf("%d %s, want Bert and Anna", status, says)
	}
}
