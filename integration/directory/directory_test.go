package directory_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/caddy-dcr/caddy-dcr/integration/directory"
)

func start(t *testing.T) *directory.Directory {
	t.Helper()
	d, err := directory.Start(t.Context(), directory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Stop(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func enrol(t *testing.T, d *directory.Directory, e directory.Enrolment) *directory.Software {
	t.Helper()
	s, err := d.Enrol(e)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// get fetches over a connection of its own.
func get(ctx context.Context, d *directory.Directory, url string) (int, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, err
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: d.Roots()}, DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return response.StatusCode, raw, err
}

func getJWKS(t *testing.T, d *directory.Directory, url string) jose.JSONWebKeySet {
	t.Helper()
	var set jose.JSONWebKeySet
	status, raw, err := get(t.Context(), d, url)
	if err != nil || status != http.StatusOK {
		t.Fatalf("%s: got %d, %v, want 200", url, status, err)
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return set
}

func TestTransportCertificate(t *testing.T) {
	d := start(t)
	for name, keyType := range map[string]directory.KeyType{"rsa": directory.RSA2048, "p256": directory.P256} {
		t.Run(name, func(t *testing.T) {
			s := enrol(t, d, directory.Enrolment{TransportKey: keyType})
			var rdns []asn1.RawValue
			if _, err := asn1.Unmarshal(s.Transport.Leaf.RawSubject, &rdns); err != nil {
				t.Fatal(err)
			}
			identifier, err := asn1.Marshal(directory.OrganizationIdentifier)
			if err != nil {
				t.Fatal(err)
			}
			want := append(identifier, append([]byte{asn1.TagUTF8String, 16}, "PSDGB-FCA-123456"...)...)
			if len(rdns) != 4 || !bytes.HasSuffix(rdns[2].Bytes, want) {
				t.Errorf("the third of %d RDNs is %q, want organizationIdentifier as UTF8String", len(rdns), rdns[min(2, len(rdns)-1)].Bytes)
			}
			dn, err := directory.SubjectDN(s.Transport.Leaf.RawSubject)
			if want := "CN=" + s.SoftwareID + ",organizationIdentifier=PSDGB-FCA-123456,O=Acme Ltd,C=GB"; err != nil || dn != want {
				t.Errorf("%s, %v, want %s", dn, err, want)
			}
			state, err := handshake(t, d, s.Transport)
			if err != nil {
				t.Fatal(err)
			}
			if len(state.VerifiedChains) != 1 || !state.PeerCertificates[0].Equal(s.Transport.Leaf) {
				t.Error("the server verified another certificate")
			}
		})
	}

	server, err := d.ServerCertificate()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := handshake(t, d, server); err == nil {
		t.Error("a server certificate authenticates a client")
	}
	s := enrol(t, d, directory.Enrolment{TransportKey: directory.P256})
	expired, err := s.IssueTransport(directory.TransportOptions{Key: directory.P256, Unpublished: true, Change: func(c *x509.Certificate) { c.NotAfter = c.NotBefore }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := handshake(t, d, expired); err == nil {
		t.Error("Change does not change the certificate")
	}
}

// handshake is what a server that trusts the directory learns of a client.
func handshake(t *testing.T, d *directory.Directory, client tls.Certificate) (tls.ConnectionState, error) {
	t.Helper()
	certificate, err := d.ServerCertificate("auth.bank.example")
	if err != nil {
		t.Fatal(err)
	}
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	go func() {
		_ = tls.Client(near, &tls.Config{
			RootCAs: d.Roots(), ServerName: "auth.bank.example",
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &client, nil },
		}).HandshakeContext(t.Context())
		_, _ = io.Copy(io.Discard, near) // takes the server's alert and session tickets
	}()
	server := tls.Server(far, &tls.Config{Certificates: []tls.Certificate{certificate}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: d.Roots()})
	err = server.HandshakeContext(t.Context())
	return server.ConnectionState(), err
}

func TestPublishedKeys(t *testing.T) {
	d := start(t)
	s := enrol(t, d, directory.Enrolment{})
	enrol(t, d, directory.Enrolment{OrgID: s.OrgID, TransportKey: directory.P256})
	if _, err := d.Enrol(directory.Enrolment{SoftwareID: s.SoftwareID}); err == nil {
		t.Error("one software id was enrolled twice")
	}
	if _, err := d.Enrol(directory.Enrolment{SoftwareID: "../../x"}); err == nil {
		t.Error("a software id may leave its folder")
	}

	set := getJWKS(t, d, s.JWKSEndpoint())
	if len(set.Keys) != 2 || set.Keys[0].Use != "sig" || set.Keys[0].KeyID != s.Signing.ID || set.Keys[0].Algorithm != "PS256" {
		t.Fatalf("got %+v, want 2 keys, the first %s for sig and PS256", set.Keys, s.Signing.ID)
	}
	if x5c := set.Keys[1].Certificates; set.Keys[1].Use != "tls" || len(x5c) != 2 || !x5c[0].Equal(s.Transport.Leaf) {
		t.Error("x5c is not the transport certificate with its issuer")
	}
	claims := s.StatementClaims(nil)
	if org := getJWKS(t, d, claims["org_jwks_endpoint"].(string)); len(org.Keys) != 4 {
		t.Errorf("the organisation has %d keys, want those of two pieces of software", len(org.Keys))
	}
	for _, name := range []string{"org_jwks_revoked_endpoint", "software_jwks_revoked_endpoint"} {
		if revoked := getJWKS(t, d, claims[name].(string)); len(revoked.Keys) != 0 {
			t.Errorf("%s: got %d keys, want none", name, len(revoked.Keys))
		}
	}

	key, err := s.AddSigningKey(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	s.Withdraw(s.Signing.ID)
	if set := getJWKS(t, d, s.JWKSEndpoint()); len(set.Keys) != 2 || len(set.Key(key.ID)) != 1 || len(set.Key(s.Signing.ID)) != 0 {
		t.Errorf("got %+v, want 2 keys, with %s and without %s", set.Keys, key.ID, s.Signing.ID)
	}
}

func TestStatement(t *testing.T) {
	d := start(t)
	s := enrol(t, d, directory.Enrolment{TransportKey: directory.P256})
	raw, err := s.Statement(map[string]any{"org_status": "Revoked", "software_mode": nil, "software_version": json.RawMessage("null")})
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.PS256})
	if err != nil {
		t.Fatal(err)
	}
	if h := token.Headers[0]; h.KeyID != d.Signing.ID || h.ExtraHeaders["typ"] != "JWT" {
		t.Errorf("got the header %+v, want JWT signed by %s", h, d.Signing.ID)
	}
	var claims map[string]any
	if err := token.Claims(getJWKS(t, d, d.JWKSURL()), &claims); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"iss": "OpenBanking Ltd", "software_id": s.SoftwareID, "org_id": s.OrgID, "software_jwks_endpoint": s.JWKSEndpoint(),
		"org_status": "Revoked", "software_mode": nil, "software_redirect_uris": []any{"https://tpp.example/callback"}, "software_roles": []any{"AISP", "PISP"},
	} {
		if fmt.Sprint(claims[name]) != fmt.Sprint(want) {
			t.Errorf("%s is %v, want %v", name, claims[name], want)
		}
	}
	_, removed := claims["software_mode"]
	_, null := claims["software_version"]
	_, shaped := claims["software_on_behalf_of_org"]
	if removed || !null || !shaped {
		t.Errorf("nil removes: %v, null stays: %v %v", !removed, null, shaped)
	}

	foreign, err := directory.NewKey(jose.PS256)
	if err != nil {
		t.Fatal(err)
	}
	if raw, err = foreign.Sign(s.StatementClaims(nil), map[string]any{"kid": d.Signing.ID, "typ": nil, "x5u": "https://evil.example"}); err != nil {
		t.Fatal(err)
	}
	if token, err = jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.PS256}); err != nil {
		t.Fatal(err)
	}
	if h := token.Headers[0]; h.KeyID != d.Signing.ID || len(h.ExtraHeaders) != 1 {
		t.Errorf("got the header %+v, want one member, and the key %s", h, d.Signing.ID)
	}
	if token.Claims(getJWKS(t, d, d.JWKSURL()), &claims) == nil {
		t.Error("a foreign signature verifies")
	}
}

func TestFaultsAndRequests(t *testing.T) {
	d := start(t)
	type answer struct {
		status int
		body   []byte
		err    error
	}
	answers := make(chan answer)
	ask := func() {
		status, body, err := get(t.Context(), d, d.JWKSURL())
		answers <- answer{status, body, err}
	}

	d.AddFault(directory.Fault{Path: d.JWKSURL(), Hold: true, Times: 2})
	go ask()
	go ask()
	if err := d.WaitHeld(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	select {
	case a := <-answers:
		t.Fatalf("got %+v, want the request held", a)
	default:
	}
	d.Release()
	for range 2 {
		if a := <-answers; a.err != nil || a.status != http.StatusOK {
			t.Errorf("released: got %+v, want 200", a)
		}
	}

	d.AddFault(directory.Fault{Drop: true})
	d.AddFault(directory.Fault{Path: "/directory.jwks", Status: 503, Body: []byte("no"), Times: -1})
	go ask()
	if a := <-answers; a.err == nil {
		t.Errorf("got %+v, want the connection dropped", a)
	}
	for range 2 {
		go ask()
		if a := <-answers; a.status != 503 || string(a.body) != "no" {
			t.Errorf("got %+v, want 503 no", a)
		}
	}
	d.ResetFaults()
	go ask()
	if a := <-answers; a.status != http.StatusOK {
		t.Errorf("got %+v, want 200 without faults", a)
	}
	if got := d.Count(d.JWKSURL()); got != 6 {
		t.Errorf("%d requests, want 6: %v", got, d.Requests())
	}
	d.ResetRequests()
	if got := d.Requests(); len(got) != 0 {
		t.Errorf("got %v, want no requests", got)
	}
}

func TestWriteFiles(t *testing.T) {
	d := start(t)
	s := enrol(t, d, directory.Enrolment{TransportKey: directory.P256})
	dir := filepath.Join(t.TempDir(), "tpp")
	for range 2 { // over an earlier run
		if err := d.WriteFiles(dir); err != nil {
			t.Fatal(err)
		}
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, s.SoftwareID, "transport.pem"), filepath.Join(dir, s.SoftwareID, "transport.key"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := handshake(t, d, pair); err != nil {
		t.Error(err)
	}
	err = filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		raw, err := os.ReadFile(path)
		if private := strings.HasSuffix(path, ".key"); private != (info.Mode().Perm() == 0o600) || private != bytes.Contains(raw, []byte("PRIVATE")) || len(raw) == 0 {
			t.Errorf("%s: %s, %d bytes", path, info.Mode(), len(raw))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	ssa, err := os.ReadFile(filepath.Join(dir, s.SoftwareID, "ssa.jwt"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jwt.ParseSigned(string(ssa), []jose.SignatureAlgorithm{jose.PS256}); err != nil {
		t.Error(err)
	}
}
