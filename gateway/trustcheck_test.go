package gateway

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/crl"
	"github.com/caddy-dcr/caddy-dcr/verify/crl/crltest"
	"github.com/caddy-dcr/caddy-dcr/verify/dn"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

const bankDirectory = "OpenBanking Ltd"

// trusting is a TrustCheck over a directory with TLS, a CA with a CRL, and a clock.
type trusting struct {
	*TrustCheck
	t         *testing.T
	directory *stageDirectory
	server    *httptest.Server
	ca        *crltest.Authority
	use       func([]byte) error
	now       time.Time
	fetches   int
	client    *registry.Client
}

func newTrusting(t *testing.T) *trusting {
	t.Helper()
	x := &trusting{t: t, directory: &stageDirectory{files: map[string][]byte{}}, ca: crltest.New(t, time.Now(), "CA", nil, nil), now: time.Now()}
	x.server = httptest.NewTLSServer(x.directory)
	t.Cleanup(x.server.Close)
	client := jwks.NewClient(jwks.Options{Roots: rootsOf(x.server), PrivateRanges: true, Timeout: stageTimeout})
	hosts := []string{"127.0.0.1"}
	set := crl.NewSet(crl.Options{Now: func() time.Time { return x.now }})
	x.use = set.AddFile("issuing.crl")
	pool := x509.NewCertPool()
	pool.AddCert(x.authority())
	x.TrustCheck = &TrustCheck{
		Rules: &verify.RequestRules{Issuers: []*verify.Issuer{{Name: bankDirectory}}},
		Fresh: map[string]FreshKeys{bankDirectory: {
			Directory: func() verify.KeySource { return jwks.NewSource(client, x.server.URL+"/directory", nil) },
			Software:  jwks.NewSources(client, hosts, nil).Apart, Revoked: jwks.NewRevokedSources(client, hosts, nil).Apart,
		}},
		CRLs: set, Trust: func(*http.Request) (*verify.TransportTrust, error) { return &verify.TransportTrust{Roots: pool}, nil },
		Now: func() time.Time { return x.now },
	}
	x.client = &registry.Client{ClientID: "client", Directory: bankDirectory, SoftwareID: "software", JWKSURI: x.server.URL + "/software", RevokedJWKSURI: x.server.URL + "/revoked"}
	x.client.Use = &registry.Use{Certificate: &registry.SeenCertificate{
		Serial: hex.EncodeToString(x.leaf().SerialNumber.Bytes()), CASPKI: verify.SPKIDigest(x.authority()), Anchor: dn.SubjectText(x.authority().RawSubject), Expires: x.leaf().NotAfter.Unix(),
	}}
	x.put("directory", directoryKey().jwk(nil), strangerKey().jwk(nil))
	x.put("software", softwareKey().jwk(map[string]any{"use": "sig"}))
	x.put("revoked")
	x.must(x.use(x.ca.List(x.ca.Numbered(1, time.Minute))))
	set.SignedBy(x.authority()) // a client of it has come
	return x
}

func (x *trusting) leaf() *x509.Certificate { return x.ca.Chain(x.ca.Client(7)).VerifiedChains[0][0] }

func (x *trusting) authority() *x509.Certificate {
	return x.ca.Chain(x.ca.Client(7)).VerifiedChains[0][1]
}

func (x *trusting) must(err error) {
	x.t.Helper()
	if err != nil {
		x.t.Fatal(err)
	}
}

func (x *trusting) put(name string, keys ...map[string]any) {
	x.directory.put("/"+name, jsonOf(x.t, map[string]any{"keys": append([]map[string]any{}, keys...)}))
}

func (x *trusting) wait(context.Context) error { x.fetches++; return nil }

// look looks at the client as a new pass does.
func (x *trusting) look() registry.TrustResult {
	x.t.Helper()
	x.CheckDirectories(x.t.Context(), nil, x.wait)
	return x.CheckClient(x.t.Context(), x.client, nil, x.wait)
}

func kinds(r registry.TrustResult) (list []string) {
	for _, f := range r.Findings {
		list = append(list, f.Kind)
	}
	return list
}

// TestTrustThatIsLost: each cause is its finding, and whatever one outage may cause is none about
// the client.
func TestTrustThatIsLost(t *testing.T) {
	all := []string{registry.KeyRevoked, registry.NoUsableKey}
	for _, c := range []struct {
		name      string
		change    func(*trusting)
		kinds     []string
		directory string
		unknown   []string
	}{
		{name: "nothing", change: func(*trusting) {}},
		{name: "a key that left the JWKS", change: func(x *trusting) { x.put("software", strangerKey().jwk(nil)) }},
		{name: "a revoked key", change: func(x *trusting) { x.put("revoked", softwareKey().jwk(nil)) }, kinds: []string{registry.KeyRevoked}},
		{name: "a revoked key that left the JWKS", change: func(x *trusting) { x.put("revoked", strangerKey().jwk(nil)) }},
		{name: "a revoked key that signs nothing", change: func(x *trusting) {
			x.put("software", softwareKey().jwk(map[string]any{"use": "sig"}), transportKey().jwk(map[string]any{"use": "tls"}))
			x.put("revoked", transportKey().jwk(nil))
		}},
		{name: "no key for signatures", change: func(x *trusting) { x.put("software", softwareKey().jwk(map[string]any{"use": "enc"})) }, kinds: []string{registry.NoUsableKey}},
		{name: "no key with an accepted algorithm", change: func(x *trusting) { x.put("software", softwareKey().jwk(map[string]any{"alg": "RS256"})) }, kinds: []string{registry.NoUsableKey}},
		{name: "no key that can be read", change: func(x *trusting) { x.put("software", map[string]any{"kty": "none"}) }, kinds: []string{registry.NoUsableKey}},
		{name: "an empty JWKS", change: func(x *trusting) { x.put("software") }, directory: registry.SoftwareKeysUnreadable, unknown: all},
		{name: "a directory that is down", change: func(x *trusting) { x.server.Close() }, directory: registry.SoftwareKeysUnreadable, unknown: all},
		{name: "an answer that is no JWKS", change: func(x *trusting) { x.directory.put("/software", []byte("<html>")) }, directory: registry.SoftwareKeysUnreadable, unknown: all},
		{name: "no list of revoked keys", change: func(x *trusting) { x.directory.put("/revoked", []byte("<html>")) }, directory: registry.SoftwareKeysUnreadable, unknown: all[:1]},
		{name: "a JWKS at a host that is not allowed", change: func(x *trusting) { x.client.JWKSURI = "https://elsewhere.example/jwks" }, directory: registry.SoftwareKeysUnreadable, unknown: all},
		{name: "a revoked certificate", change: func(x *trusting) { x.must(x.use(x.ca.List(x.ca.Numbered(2, time.Minute), 7))) }, kinds: []string{registry.CertificateRevoked}},
		{name: "another revoked certificate", change: func(x *trusting) { x.must(x.use(x.ca.List(x.ca.Numbered(2, time.Minute), 8))) }},
		{name: "a CRL of another CA with the same name", change: func(x *trusting) {
			_ = x.use(crltest.New(x.t, time.Now(), "CA", nil, nil).List(nil, 7)) // it waits for its CA, or is refused
		}},
		{name: "a CA that nobody has met", change: func(x *trusting) { x.client.Use.Certificate.CASPKI = "another" }, unknown: []string{registry.CertificateRevoked}},
		{name: "an expired certificate", change: func(x *trusting) { x.client.Use.Certificate.Expires = x.now.Unix() - 1 }, kinds: []string{registry.CertificateExpired}},
		{name: "a clock in ten years", change: func(x *trusting) { x.now = x.now.AddDate(10, 0, 0) }, kinds: []string{registry.CertificateExpired}},
		{name: "a CA that is not trusted any more", change: func(x *trusting) { x.client.Use.Certificate.Anchor = "CN=Another CA" }, kinds: []string{registry.CANotTrusted}},
		{name: "a trust_pool that cannot be read", change: func(x *trusting) {
			x.Trust = func(*http.Request) (*verify.TransportTrust, error) { return nil, ErrNoClientAuth }
		}, unknown: []string{registry.CANotTrusted}},
		{name: "a directory that is not configured", change: func(x *trusting) { x.client.Directory = "Another" }, kinds: []string{registry.DirectoryNotConfigured}, unknown: all},
		{name: "a client without a software statement", change: func(x *trusting) { x.client.Directory = "" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			x := newTrusting(t)
			c.change(x)
			r := x.look()
			directory := ""
			if r.Directory != nil {
				directory = r.Directory.Kind
			}
			if !slices.Equal(kinds(r), c.kinds) || directory != c.directory || !slices.Equal(r.Unknown, c.unknown) {
				t.Errorf("found %+v, directory %+v, unknown %q; want %q, %q, %q", r.Findings, r.Directory, r.Unknown, c.kinds, c.directory, c.unknown)
			}
		})
	}
}

// TestCertificateOfTheRegistration stands in where the client was not seen since, as far as it is kept.
func TestCertificateOfTheRegistration(t *testing.T) {
	x := newTrusting(t)
	x.client.Use = nil
	registered := &verify.PolicyCertificate{Serial: "07", CASPKI: []string{verify.SPKIDigest(x.authority())}, Issuer: dn.SubjectText(x.authority().RawSubject), NotAfter: x.now.Add(time.Hour)}
	x.must(x.use(x.ca.List(x.ca.Numbered(2, time.Minute), 7)))
	if r := x.CheckClient(t.Context(), x.client, registered, x.wait); !slices.Equal(kinds(r), []string{registry.CertificateRevoked}) || len(r.Unknown) != 0 {
		t.Errorf("%+v, want certificate_revoked alone", r)
	}
	registered.CASPKI = append(registered.CASPKI, "a root above")
	if r := x.CheckClient(t.Context(), x.client, registered, x.wait); !slices.Equal(r.Unknown, []string{registry.CANotTrusted}) {
		t.Errorf("%+v, want that the trusted CA is not known", r)
	}
}

// TestClientsOfOneSoftwareShareAFetch, and a directory that is down is not asked for ever.
func TestClientsOfOneSoftwareShareAFetch(t *testing.T) {
	x := newTrusting(t)
	for range 10 {
		x.CheckClient(t.Context(), x.client, nil, x.wait)
	}
	if x.fetches != 2 {
		t.Errorf("%d fetches for ten clients of one software, want 2", x.fetches)
	}
	x.server.Close()
	x.fetches = 0
	for i := range 30 {
		x.client.JWKSURI = x.server.URL + "/" + strings.Repeat("x", i)
		x.CheckClient(t.Context(), x.client, nil, x.wait)
	}
	if x.fetches != maxTrustFailures {
		t.Errorf("%d fetches from a directory that is down, want %d", x.fetches, maxTrustFailures)
	}
}

// TestDirectoriesThemselves: a directory that is down, empty or shrunk is found.
func TestDirectoriesThemselves(t *testing.T) {
	x := newTrusting(t)
	look := func(before int, want string) {
		t.Helper()
		found, keys := x.CheckDirectories(t.Context(), map[string]int{bankDirectory: before}, x.wait)
		got := ""
		if len(found) > 0 {
			got = found[0].Kind
		}
		if got != want || want != "" && want != registry.KeysShrunk && keys[bankDirectory] != before {
			t.Errorf("of %d keys before: found %+v, keys %v; want %q", before, found, keys, want)
		}
	}
	look(0, "")
	look(4, "")
	look(5, registry.KeysShrunk)
	x.put("directory")
	look(2, registry.KeysEmpty)
	x.server.Close()
	look(2, registry.KeysUnreachable)
}
