package registry_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// whole is a registration whose request and certificate can be read again.
func whole(t *testing.T, n int) registry.Registration {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(int64(n)), Subject: pkix.Name{CommonName: fmt.Sprint("tpp", n)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	in := request(fmt.Sprint("jti", n), fmt.Sprint("token", n))
	in.Request.Raw = fmt.Appendf(nil, `{"n":%d,"software_statement":"e30.eyJvcmdfaWQiOiJvIn0.e30"}`, n)
	if in.Certificate, err = verify.ReadCertificate(leaf, time.Now()); err != nil {
		t.Fatal(err)
	}
	return in
}

// TestRegistrations: everything is there as it was registered, page by page, and goes
// with the client.
func TestRegistrations(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		var made []*registry.Client
		for n := range 3 {
			made = append(made, x.register(whole(t, n)))
		}
		made = append(made, x.register(func() registry.Registration { in := whole(t, 3); in.Certificate = nil; return in }()))
		var all []registry.Stored
		for cursor := ""; ; {
			list, next, err := x.Registrations(x.t.Context(), x.ws.Name, cursor, 3)
			if err != nil || len(list) > 3 {
				t.Fatalf("%+v, %v; want at most three on a page", list, err)
			}
			all = append(all, list...)
			if cursor = next; next == "" {
				break
			}
		}
		for n, s := range all {
			org, _, err := s.Statement.String("org_id")
			if got, _, _ := s.Claims.Integer("n"); int(got) != n || s.Client.ClientID != made[n].ClientID || s.Others != 3 || org != "o" || err != nil {
				t.Errorf("%d: %+v, want claims n %d of client %s, with three others, in o", n, s, n, made[n].ClientID)
			}
			if has := s.Certificate != nil; has != (n < 3) || has && s.Certificate.CommonName != fmt.Sprint("tpp", n) {
				t.Errorf("%d: %+v, want that of tpp%d, for the first three alone", n, s.Certificate, n)
			}
		}
		if len(all) != 4 {
			t.Fatalf("%d of them", len(all))
		}
		// An update brings its own.
		in := whole(t, 9)
		if _, err := x.Update(x.t.Context(), x.ws, made[0].ClientID, in); err != nil {
			t.Fatal(err)
		}
		list, _, err := x.Registrations(x.t.Context(), x.ws.Name, "", 1)
		if err != nil || list[0].Certificate.CommonName != "tpp9" {
			t.Errorf("%+v, %v; want the certificate of tpp9", list, err)
		}
		for i, c := range made {
			if err := x.Delete(x.t.Context(), x.ws, c.ClientID, presented(fmt.Sprint("mine", i))); err != nil {
				t.Fatal(err)
			}
		}
		x.settle()
		for _, prefix := range []string{"document/", "certificate/"} {
			if keys := x.keys(prefix); len(keys) > 0 {
				t.Errorf("left behind: %q", keys)
			}
		}
	})
}
