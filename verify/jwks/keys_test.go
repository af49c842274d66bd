package jwks_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/internal/tlstest"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// signingKey is made once per test binary.
var signingKey = sync.OnceValue(func() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
})

// set is a JWKS with the signing key under each of the kids.
func set(kids ...string) string {
	point, err := signingKey().PublicKey.Bytes() // 4, x, y
	if err != nil {
		panic(err)
	}
	list := make([]string, len(kids))
	for i, kid := range kids {
		list[i] = fmt.Sprintf(`{"kty":"EC","crv":"P-256","kid":"%s","x":"%s","y":"%s"}`, kid,
			base64.RawURLEncoding.EncodeToString(point[1:33]), base64.RawURLEncoding.EncodeToString(point[33:]))
	}
	return `{"keys":[` + strings.Join(list, ",") + `]}`
}

func signES256(t *testing.T, input string) []byte {
	t.Helper()
	digest := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, signingKey(), digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
}

// signed is a JWS of the signing key that names the kid.
func signed(t *testing.T, kid string) *verify.JWS {
	t.Helper()
	input := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","kid":"`+kid+`"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(`{}`))
	jws, err := verify.SplitJWS([]byte(input+"."+base64.RawURLEncoding.EncodeToString(signES256(t, input))), verify.DefaultAlgorithms, nil)
	if err != nil {
		t.Fatal(err)
	}
	return jws
}

// directory is an https server whose answer a test sets, and a clock.
type directory struct {
	*httptest.Server
	asked atomic.Int32

	mu     sync.Mutex
	answer http.HandlerFunc
	now    time.Time
}

func newDirectory(t *testing.T, answer http.HandlerFunc) *directory {
	t.Helper()
	d := &directory{answer: answer, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	d.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.asked.Add(1)
		d.mu.Lock()
		answer := d.answer
		d.mu.Unlock()
		answer(w, r)
	}))
	d.TLS = tlstest.ServerConfig(t)
	d.StartTLS()
	t.Cleanup(d.Close)
	return d
}

func (d *directory) set(answer http.HandlerFunc) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answer = answer
}

func (d *directory) clock() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now
}

func (d *directory) wait(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = d.now.Add(by)
}

// client trusts the servers and may reach them.
func client(t *testing.T, o jwks.Options, trusted ...*directory) *jwks.Client {
	t.Helper()
	o.Roots = x509.NewCertPool()
	for _, d := range trusted {
		o.Roots.AddCert(d.Certificate())
	}
	c := jwks.NewClient(o)
	t.Cleanup(c.CloseIdle)
	return c
}

// text answers 200 with the body; header is a Cache-Control, may be empty.
func text(body, cacheControl string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if cacheControl != "" {
			w.Header().Set("Cache-Control", cacheControl)
		}
		fmt.Fprint(w, body)
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}
