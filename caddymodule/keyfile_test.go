package caddymodule

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// oneKey is a JWKS with one key.
func oneKey(t *testing.T, kid string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString
	return fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-256","use":"sig","kid":%q,"x":%q,"y":%q}]}`, kid, text(point[1:33]), text(point[33:]))
}

// TestKeyFileWithoutKeys: after all keys were withdrawn none counts, and the log warns of it.
// What is no JWKS, or holds a private key, changes nothing, and a first file has a key.
func TestKeyFileWithoutKeys(t *testing.T) {
	good := oneKey(t, "a")
	for text, want := range map[string]int{
		`{"keys":[]}`: 0, `{"keys":[{"kty":"AKP"}]}`: 0, `{"keys":[{"kty":"oct","k":"AAAA"}]}`: 1,
		`{}`: 1, `null`: 1, `{"keys":null}`: 1, `{"keys":[1]}`: 0, good[:40]: 1, "": 1,
	} {
		t.Run(text, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "keys.jwks")
			write(t, name, good)
			log := new(lockedBuffer)
			watch := &fileWatch{log: slog.New(slog.NewJSONHandler(log, nil))}
			k, err := newKeyFile(name, watch)
			if err != nil {
				t.Fatal(err)
			}
			write(t, name, text)
			err = k.read()
			keys, _ := k.Keys(t.Context())
			if len(keys) != want || (err == nil) != (want == 0) {
				t.Errorf("got %d keys, %v, want %d", len(keys), err, want)
			}
			log.mu.Lock()
			said := log.text.String()
			log.mu.Unlock()
			if strings.Contains(said, "found no usable key in a JWKS file that has changed") != (want == 0) {
				t.Errorf("got %s, want a warning of the file %t", said, want == 0)
			}
			if strings.Contains(said, "ignores a key of a JWKS") != (want == 0 && text != `{"keys":[]}`) {
				t.Errorf("of what does not count it said: %s", said)
			}
			if _, err := newKeyFile(name, watch); err == nil {
				t.Error("a file without keys was taken at first")
			}
		})
	}
}

// TestKeyFileIsReadAgain: a key that is withdrawn from a JWKS file ends without a reload,
// while requests are verified with it. A file that is no JWKS changes nothing.
func TestKeyFileIsReadAgain(t *testing.T) {
	name := filepath.Join(t.TempDir(), "keys.jwks")
	write(t, name, oneKey(t, "a"))
	watch := &fileWatch{log: slog.New(slog.DiscardHandler)}
	k, err := newKeyFile(name, watch)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var requests sync.WaitGroup
	for range 4 {
		requests.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if keys, err := k.Keys(t.Context()); err != nil || len(keys) != 1 {
					t.Errorf("got %v, %v, want one key", keys, err)
					return
				}
			}
		})
	}
	holds := func(kid string) {
		t.Helper()
		watch.look(time.Now())
		if keys, err := k.Refresh(t.Context()); err != nil || keys[0].ID != kid {
			t.Errorf("%v, %v, want %s", keys, err, kid)
		}
	}
	holds("a")
	write(t, name, oneKey(t, "b"))
	holds("b")
	write(t, name, `{"keys":[`)
	holds("b")
	write(t, name, oneKey(t, "c"))
	holds("c")
	close(done)
	within10s(t, "the requests' end", requests.Wait)
}

// writePair writes a certificate of a name, and its key.
func writePair(t *testing.T, dir, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "cert.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, filepath.Join(dir, "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
}

// TestKeyPairIsReadAgain: a renewed certificate of tls_client_auth is shown to the AS
// without a reload, also where a connection is open. A certificate whose key has not come
// yet changes nothing.
func TestKeyPairIsReadAgain(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	server.StartTLS()
	defer server.Close()
	dir := t.TempDir()
	writePair(t, dir, "first")
	pair := &KeyPair{Certificate: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	watch := &fileWatch{log: slog.New(slog.DiscardHandler)}
	own, err := pair.load(watch)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	client := jwks.NewClient(jwks.Options{Roots: roots, Certificate: own, PrivateRanges: true})
	defer client.CloseIdle()
	pair.replaced = client.CloseIdle
	shows := func(name string) {
		t.Helper()
		watch.look(time.Now())
		res, err := client.Get(t.Context(), server.URL)
		if err != nil || string(res.Body) != name {
			t.Errorf("%s, %v, want %s", res.Body, err, name)
		}
	}
	shows("first")
	writePair(t, dir, "second")
	shows("second")
	key := filepath.Join(dir, "key.pem")
	before, err := readAtMost(key, 10000)
	if err != nil {
		t.Fatal(err)
	}
	writePair(t, dir, "third")
	after, err := readAtMost(key, 10000)
	if err != nil {
		t.Fatal(err)
	}
	write(t, key, string(before))
	shows("second")
	write(t, key, string(after))
	shows("third")
}
