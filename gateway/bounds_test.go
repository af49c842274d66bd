package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unsafe"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// holds fills a cache with most entries, and one more, which takes the place of the oldest.
func holds[K comparable, V any](t *testing.T, what string, c *lru.Cache[K, V], most int, key func(i int) K) {
	t.Helper()
	var value V
	oldest := key(0)
	c.Add(oldest, value)
	for i := 1; i < most; i++ {
		c.Add(key(i), value)
	}
	if n := c.Len(); n != most || !c.Contains(oldest) {
		t.Errorf("%s: got %d remembered, want %d with the oldest", what, n, most)
	}
	c.Add(key(most), value)
	if n := c.Len(); n != most || c.Contains(oldest) {
		t.Errorf("%s: got %d remembered after one more, want %d without the oldest", what, n, most)
	}
}

// TestCachesAreBounded: whoever comes with more and more certificates or clients fills no
// memory.
func TestCachesAreBounded(t *testing.T) {
	number := func(i int) string { return fmt.Sprint(i) }
	certificate := func(int) *x509.Certificate { return &x509.Certificate{SignatureAlgorithm: x509.SHA256WithRSA} }
	holds(t, "encoded certificates", newCertificateCache(), 2048, func(i int) encoded { return encoded{leaf: certificate(i)} })
	holds(t, "captured certificates", newCapturedCache(), 2048, certificate)
	holds(t, "owners", new(owners).cache(), 4096, number)
	refreshed, err := newRefreshed()
	if err != nil {
		t.Fatal(err)
	}
	holds(t, "refreshed keys", refreshed, 4096, number)
	header, err := verify.NewCertificateHeader(verify.FormRFC9440, "")
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := NewProxyCertificate(header, x509.NewCertPool())
	if err != nil {
		t.Fatal(err)
	}
	holds(t, "verified certificates of a proxy", proxy.known, 2048, func(i int) [32]byte { return [32]byte{byte(i), byte(i >> 8)} })
	guards := new(guardCache)
	guards.find(guardKey{})
	if got := uintptr(len(guards.sets)) * unsafe.Sizeof(guards.sets[0]); got != 5<<20 {
		t.Errorf("cached permissions: got %d bytes, want 5 MiB", got)
	}
}

// TestKeptPathsAreBounded: an AS that names new endpoints in each document fills no memory.
// What the newest document names is never left out.
func TestKeptPathsAreBounded(t *testing.T) {
	const most = 256
	before := &table{exact: map[string]route{}}
	for i := range most + 1 {
		path := fmt.Sprintf("/earlier/%d", i)
		before.exact[path] = route{path, path, clientAuthentication}
		before.below = append(before.below, route{path, path, hidden})
	}
	now := &table{exact: map[string]route{"/token": {"/token", "/token", clientAuthentication}}, below: []route{{"/reg", "/reg", hidden}}}
	now.keep(before)
	if len(now.exact) != most || len(now.below) != most {
		t.Errorf("got %d paths and %d with what is below them, want %d of each", len(now.exact), len(now.below), most)
	}
	for path, want := range map[string]purpose{"/token": clientAuthentication, "/reg/id": hidden} {
		if got, _ := now.find(path); got != want {
			t.Errorf("%s: got %d, want %d", path, got, want)
		}
	}
}

// TestDecisionsAreBounded: software whose number of clients changes again and again is
// decided on eight times; then the registration is refused.
func TestDecisionsAreBounded(t *testing.T) {
	g := newGuarding(t, nil)
	d, decisions := g.registering(httptest.NewRequest(http.MethodPost, "/register", nil)), 0
	_, err := d.decided(nil, &registry.Registration{Checked: new(verify.Checked)}, func(registry.Registration) (*registry.Client, error) {
		decisions++
		return nil, registry.ErrSoftwareChanged
	})
	if e := refusal.From(err); decisions != 8 || e.Kind != refusal.Unavailable || e.Rule != "policy" {
		t.Errorf("got %d decisions and %v, want 8 and Unavailable", decisions, err)
	}
}

// TestUncheckedIssuersAreBounded: of 64 CAs without a CRL each has its line, and one more
// has none until one of them is checked again.
func TestUncheckedIssuersAreBounded(t *testing.T) {
	var log bytes.Buffer
	out, now := slog.New(slog.NewTextHandler(&log, nil)), time.Now()
	var u uncheckedIssuers
	of := func(i int) *x509.Certificate {
		c := leaf(t, fmt.Sprint("CA ", i), now.Add(time.Hour))
		c.RawIssuer = c.RawSubject
		return c
	}
	tell := func(i int) (lines int) {
		log.Reset()
		u.tell(out, &verify.Unchecked{Certificate: of(i), Why: errors.New("not covered")}, true, now)
		return strings.Count(log.String(), "\n")
	}
	const most = 64
	for i := range most {
		if n := tell(i); n != 1 {
			t.Errorf("CA %d: got %d lines, want 1", i, n)
		}
	}
	if n := tell(most); n != 0 {
		t.Errorf("one more: got %d lines, want none", n)
	}
	u.end(out, &verify.Certificate{Leaf: of(0), Authorities: []*x509.Certificate{of(0)}}, now)
	if n := tell(most); n != 1 {
		t.Errorf("one more, when another is checked again: got %d lines, want 1", n)
	}
}

// TestRefusalOfASecretIsBounded: what an AS says when it refuses a secret is read up to
// 64 KiB. A longer 403 is about something else and passes whole; a longer 401 is given up.
func TestRefusalOfASecretIsBounded(t *testing.T) {
	const most = 64 << 10
	for _, c := range []struct {
		status, size int
		refused      int // what the answer is held back as; 0: it has passed
		wrong        error
	}{
		{http.StatusForbidden, most, http.StatusForbidden, nil},
		{http.StatusForbidden, most + 1, 0, nil},
		{http.StatusUnauthorized, most, http.StatusUnauthorized, nil},
		{http.StatusUnauthorized, most + 1, http.StatusUnauthorized, errRefusalTooLarge},
	} {
		w := httptest.NewRecorder()
		a := &secretAnswer{ResponseWriter: w}
		a.WriteHeader(c.status)
		_, first := a.Write(bytes.Repeat([]byte("x"), c.size-1))
		_, err := a.Write([]byte("x"))
		passes := 0
		if c.refused == 0 {
			passes = c.size
		}
		if first != nil || !errors.Is(err, c.wrong) || a.refused != c.refused || w.Body.Len() != passes {
			t.Errorf("%d with %d bytes: got %v, %v, held back as %d, %d bytes passed; want %v, %d, %d", c.status, c.size, first, err, a.refused, w.Body.Len(), c.wrong, c.refused, passes)
		}
	}
}

// rotatingNamer is an AS that gives a client a new secret with each update.
type rotatingNamer struct {
	bridgedNamer
	secrets int
}

func (n *rotatingNamer) Update(_ context.Context, c *registry.Client) (*registry.Provisioned, error) {
	n.secrets++
	p := &registry.Provisioned{ClientID: c.ClientID, Metadata: c.Metadata}
	p.Credentials.Bridge, p.Credentials.ClientSecret = "client_secret_basic", fmt.Sprint(secretAtServer, n.secrets)
	return p, nil
}

// TestSecretsOfOneRequestAreBounded: where the AS refuses each secret, and each has been
// rotated when it does, a request is sent four times.
func TestSecretsOfOneRequestAreBounded(t *testing.T) {
	tpp := leaf(t, "tpp", time.Now().Add(time.Hour))
	g := newGuarding(t, tpp.RawSubject)
	secret := g.secretClient("rotated", verify.ClientSecretPost, tpp)
	g.ws.Provisioner = &rotatingNamer{}
	defer g.store.Attach(g.ws)()
	sent := map[string]bool{}
	next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent[r.Header.Get("Authorization")] = true
		if err := g.store.RotateSecret(r.Context(), g.ws.Name, "rotated", registry.Act{}); err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusUnauthorized)
	})
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader("grant_type=client_credentials&client_id=rotated&client_secret="+secret))
	r.Header.Set("Content-Type", formType)
	r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{tpp}}}
	g.at(w, r, clientAuthentication).serveGuarded(next)
	if len(sent) != 4 || w.Code != http.StatusServiceUnavailable {
		t.Errorf("sent with %d secrets, answered %d; want 4 and 503", len(sent), w.Code)
	}
}
