package check

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

// counted is an address at which connections are counted, and first closed by the first one.
type counted struct {
	address string
	count   atomic.Int64
	first   chan struct{}
}

func newCounted(t *testing.T) *counted {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	c := &counted{address: l.Addr().String(), first: make(chan struct{})}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if c.count.Add(1) == 1 {
				close(c.first)
			}
			conn.Close()
		}
	}()
	return c
}

// questions counts what is asked of the DNS.
func questions(t *testing.T) *atomic.Int64 {
	t.Helper()
	count, before := new(atomic.Int64), net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = before })
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		count.Add(1)
		return nil, errors.New("no DNS in this test")
	}}
	return count
}

// stapled writes a certificate of an authority that is asked about it, at an address.
func (w *world) stapled(address string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	issuer := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "issuer"}, NotBefore: w.machine.now.Add(-day), NotAfter: w.machine.now.Add(100 * day), IsCA: true, BasicConstraintsValid: true}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "site"}, DNSNames: []string{"auth.bank.co.uk"}, NotBefore: w.machine.now.Add(-day), NotAfter: w.machine.now.Add(100 * day),
		OCSPServer: []string{"http://" + address}, IssuingCertificateURL: []string{"http://" + address}}
	der, err := x509.CreateCertificate(rand.Reader, leaf, issuer, key.Public(), key)
	if err != nil {
		w.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		w.t.Fatal(err)
	}
	w.write("site.pem", pemOf(der))
	w.write("site.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}

// TestNothingGoesOverTheNetwork: without --live, whatever the configuration names. To show
// that this test could fail, the same configuration is loaded as it is.
func TestNothingGoesOverTheNetwork(t *testing.T) {
	dns, remote := questions(t), newCounted(t)
	w := newWorld(t)
	w.stapled(remote.address)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+remote.address)
	text := strings.NewReplacer(
		"trust_pool file DIR/roots.pem", "trust_pool http {\n\t\t\t\tendpoints "+remote.address+"\n\t\t\t}",
		"crl DIR/list.crl", "crl http://"+remote.address+"/list.crl http://crl.nowhere.invalid/list.crl {\n\t\t\tprivate_addresses\n\t\t}",
		"org_status Active", "private_addresses\n\t\t\torg_status Active",
		"\treverse_proxy https://AS {", "\ttracing\n\treverse_proxy https://AS {\n\t\thealth_uri /health\n\t\thealth_interval 1s",
		"https://AS", "https://"+remote.address, "DIR", w.dir,
		"auth.bank.co.uk {", "auth.bank.co.uk, second.nowhere.invalid {",
	).Replace(goodCaddyfile)
	w.write("Caddyfile", text)
	config := filepath.Join(w.dir, "Caddyfile")
	report, err := run(t.Context(), Options{Config: config}, w.machine)
	if err != nil {
		t.Fatal(err)
	}
	if loaded := report.of(loads); len(loaded) > 0 {
		t.Fatalf("got %+v, want a configuration that loads", loaded)
	}
	if len(report.of("trust-fetched")) == 0 {
		t.Error("the roots that are fetched are not told of")
	}
	if remote.count.Load() != 0 || dns.Load() != 0 {
		t.Errorf("got %d connections and %d questions to the DNS, want none", remote.count.Load(), dns.Load())
	}

	loud, _, _, err := caddycmd.LoadConfig(config, "")
	if err != nil {
		t.Fatal(err)
	}
	loud = []byte(strings.Replace(string(loud), `"provider":"http"`, `"provider":"system"`, 1))
	loud = []byte(strings.Replace(string(loud), `"endpoints":["`+remote.address+`"],`, ``, 1))
	if _, err := Provision(loud, t.TempDir()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-remote.first:
	case <-time.After(20 * time.Second):
		t.Error("the configuration itself connects to nobody: the test shows nothing")
	}
}

// TestStoreIsNotTouched: neither the store nor a keyset is made or changed, with --live too,
// and of the servers nothing is asked that changes something.
func TestStoreIsNotTouched(t *testing.T) {
	for _, o := range []Options{{}, {Live: true}} {
		w := newWorld(t)
		t.Setenv("XDG_DATA_HOME", filepath.Join(w.dir, "data"))
		w.check(o, append(private, "keyset {env.CHECK_KEYSET}", "", "DIR/store", "DIR/none")...)
		for _, name := range []string{"none", "data"} {
			if _, err := os.Stat(filepath.Join(w.dir, name)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("live %t: %s was made: %v", o.Live, name, err)
			}
		}
		w.check(o, private...)
		entries, err := os.ReadDir(filepath.Join(w.dir, "store"))
		if err != nil || len(entries) != 1 {
			t.Errorf("live %t: got %v, %v in the store, want what was there", o.Live, entries, err)
		}
		if !o.Live && len(w.asked) > 0 {
			t.Errorf("got the requests %v, want none", w.asked)
		}
		for _, one := range w.asked {
			if strings.Contains(one, "register") || one != "GET /default/obuk/.well-known/openid-configuration" && one != "GET /keys.jwks" && !strings.HasPrefix(one, "POST /default/obuk/") {
				t.Errorf("got the request %s", one)
			}
		}
	}
}

// TestHashesAreNoSecrets: those of basic_auth are meant to be written.
func TestHashesAreNoSecrets(t *testing.T) {
	report := newWorld(t).check(Options{}, "\topenbanking_dcr default", "\tbasic_auth /admin/* {\n\t\tu $2a$14$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT/5qqR7hx4IjWJPDhjvG\n\t}\n\topenbanking_dcr default")
	if found := append(report.of("secret-in-clear"), report.of(loads)...); len(found) > 0 {
		t.Errorf("got %+v, want nothing", found)
	}
}

// TestInterruptedCheck: it says so, and makes no findings of it.
func TestInterruptedCheck(t *testing.T) {
	w := newWorld(t)
	w.check(Options{}, private...)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := run(ctx, Options{Config: filepath.Join(w.dir, "Caddyfile"), Live: true, Progress: func(string) { cancel() }}, w.machine)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was cancelled", err)
	}
}

// TestAllThatTheServerLacks: in one finding, beside the issuer and the endpoint.
func TestAllThatTheServerLacks(t *testing.T) {
	w := newWorld(t)
	answering(`["PS256"]`, `["RS256"]`, `"openid","accounts","payments","fundsconfirmations"`, `"profile"`, `"registration_endpoint"`, `"x"`, `{"issuer":"https://auth.`, `{"issuer":"https://as.`)(w)
	report := w.check(Options{Live: true}, private...)
	lacks := report.of("as-lacks")
	if len(lacks) != 1 || len(lacks[0].Details) != 3 {
		t.Errorf("got %+v, want one finding of id tokens, request objects and scopes", lacks)
	}
	if len(report.of("as-issuer")) != 1 || len(report.of("as-registration-missing")) != 1 {
		t.Errorf("got %+v, want the issuer and the endpoint too", report.Findings)
	}
}
