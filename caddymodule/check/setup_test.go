package check

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-dcr/caddy-dcr/caddymodule/cel"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/crl/crltest"
)

// goodCaddyfile is one in which nothing but the CAs of the clients is found.
const goodCaddyfile = `{
	admin localhost:2019
	grace_period 20s
	openbanking_dcr {
		store badger DIR/store
		keyset {env.CHECK_KEYSET}
	}
	servers {
		listener_wrappers {
			openbanking_dcr
		}
	}
	log {
		format filter {
			request>headers>X-Gateway-Secret delete
		}
	}
}

auth.bank.co.uk {
	tls DIR/site.pem DIR/site.key {
		client_auth {
			mode verify_if_given
			trust_pool file DIR/roots.pem
		}
	}
	openbanking_dcr default/obuk {
		authorization_server https://AS/default/obuk {
			client gateway {env.CHECK_SECRET}
			provision rfc7591 {
				client_id_header X-Client-Id
			}
			shared_header X-Gateway-Secret {env.CHECK_SECRET}
			trust_pool file DIR/server.pem
		}
		audience 0015800001ABCDEFGH
		access_token dcr_register {
			client registrar {env.CHECK_SECRET}
		}
		software_statement "OpenBanking Ltd" {
			jwks_uri https://AS/keys.jwks
			trust_pool file DIR/server.pem
			org_status Active
			software_mode Live
			max_age 720h
		}
		unknown_clients pass known DIR/known.txt
		crl DIR/list.crl
		crl_mode strict
	}
	reverse_proxy https://AS {
		transport http {
			tls_trust_pool file DIR/server.pem
		}
	}
}
`

// theSecret must be in no finding.
const theSecret = "s3cret-of-the-test"

// world is a folder with everything that the good Caddyfile names, and its servers.
type world struct {
	t       *testing.T
	dir     string
	as      *httptest.Server
	machine machine

	mu sync.Mutex
	// document has replacements for the AS's discovery document; asked are the requests.
	document *strings.Replacer
	status   int // of introspection and revocation
	date     time.Time
	asked    []string
	outside  bool // the AS's own address is asked as that of the outside
	host     bool // HOST in the Caddyfile is the AS's host and port
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), document: strings.NewReplacer(), status: http.StatusOK}
	w.as = httptest.NewTLSServer(http.HandlerFunc(w.serve))
	w.as.Config.ErrorLog = nil
	t.Cleanup(w.as.Close)
	now := time.Now()
	w.machine = machine{now, []string{filepath.Join(w.dir, "units")}, nil, func(string) kind { return local }, func(string) (uint64, bool) { return 1 << 40, true }, false}
	ca := crltest.New(t, now, "Directory Root", nil, nil)
	w.write("roots.pem", pemOf(ca.Certificate.Raw))
	w.write("server.pem", pemOf(w.as.Certificate().Raw))
	w.write("list.crl", string(ca.List(nil)))
	w.write("known.txt", "bank-app\n")
	w.write("units/caddy.service", "[Service]\nTimeoutStopSec=90s\n")
	w.write("store/MANIFEST", "")
	w.certificate("site", now.Add(200*24*time.Hour))
	if err := os.Chmod(filepath.Join(w.dir, "store"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, keyset, err := registry.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("CHECK_SECRET", theSecret)
	t.Setenv("CHECK_KEYSET", string(keyset))
	for _, name := range proxyVariables {
		t.Setenv(name, "")
	}
	return w
}

func pemOf(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func (w *world) write(name, text string) {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// certificate writes one with its key.
func (w *world) certificate(name string, until time.Time, change ...func(*x509.Certificate)) {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name + " of the test"}, DNSNames: []string{"auth.bank.co.uk"},
		NotBefore: until.Add(-400 * 24 * time.Hour), NotAfter: until, IsCA: true, BasicConstraintsValid: true,
	}
	for _, one := range change {
		one(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		w.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		w.t.Fatal(err)
	}
	w.write(name+".pem", pemOf(der))
	w.write(name+".key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}

// goodDocument is a discovery document with all that registrations need.
const goodDocument = `{"issuer":"https://auth.bank.co.uk/default/obuk","token_endpoint":"BASE/token","authorization_endpoint":"BASE/authorize",
"jwks_uri":"BASE/jwks","registration_endpoint":"BASE/register","introspection_endpoint":"BASE/introspect","revocation_endpoint":"BASE/revoke",
"scopes_supported":["openid","accounts","payments","fundsconfirmations"],"response_types_supported":["code id_token"],
"id_token_signing_alg_values_supported":["PS256"],"request_object_signing_alg_values_supported":["PS256"],
"grant_types_supported":["authorization_code","client_credentials"],"token_endpoint_auth_methods_supported":["tls_client_auth","private_key_jwt"],
"token_endpoint_auth_signing_alg_values_supported":["PS256"]}`

// keys are RFC 7515 appendix A.3.1's.
const keys = `{"keys":[{"kty":"EC","crv":"P-256","kid":"a","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`

func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, r.Method+" "+r.URL.Path)
	if !w.date.IsZero() {
		rw.Header().Set("Date", w.date.UTC().Format(http.TimeFormat))
	}
	rw.Header().Set("Content-Type", "application/json")
	text := ""
	switch r.URL.Path {
	case "/default/obuk/.well-known/openid-configuration":
		text = w.document.Replace(strings.ReplaceAll(goodDocument, "BASE", "https://auth.bank.co.uk/default/obuk"))
	case "/keys.jwks":
		text = w.document.Replace(keys)
	case "/default/obuk/introspect", "/default/obuk/revoke":
		rw.WriteHeader(w.status)
		text = `{"active":false}`
	case "/roots.pem":
		text = pemOf(w.as.Certificate().Raw)
	default:
		rw.WriteHeader(http.StatusNotFound)
	}
	_, _ = io.WriteString(rw, text) // a client that has gone misses nothing
}

// check writes the good Caddyfile with replacements, and checks it.
func (w *world) check(o Options, pairs ...string) *Report {
	w.t.Helper()
	text := goodCaddyfile
	for n := 0; n+1 < len(pairs); n += 2 {
		if !strings.Contains(text, pairs[n]) {
			w.t.Fatalf("%q is not in the Caddyfile", pairs[n])
		}
		text = strings.Replace(text, pairs[n], pairs[n+1], 1)
	}
	names := []string{"DIR", w.dir, "https://AS", w.as.URL}
	if w.host {
		names = append(names, "HOST", strings.TrimPrefix(w.as.URL, "https://"))
	}
	w.write("Caddyfile", strings.NewReplacer(names...).Replace(text))
	if o.Config == "" {
		o.Config = filepath.Join(w.dir, "Caddyfile")
	}
	report, err := run(w.t.Context(), o, w.machine)
	if err != nil {
		w.t.Fatal(err)
	}
	return report
}

// of are the findings of a check.
func (r *Report) of(name string) (list []Finding) {
	for _, f := range r.Findings {
		if f.Check == name {
			list = append(list, f)
		}
	}
	return list
}
