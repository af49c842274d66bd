package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

func TestHandOver(t *testing.T) {
	now := time.Unix(1700000000, 0)
	leaf := &x509.Certificate{Raw: []byte{0xfb, 0xff, 1}, NotAfter: now}
	ended := &x509.Certificate{Raw: []byte{0xfb, 0xff, 2}, NotAfter: now.Add(-time.Second)}
	issuing, root := &x509.Certificate{Raw: []byte{1}}, &x509.Certificate{Raw: []byte{2}}
	chain := func(c ...*x509.Certificate) *tls.ConnectionState {
		return &tls.ConnectionState{PeerCertificates: c[:1], VerifiedChains: [][]*x509.Certificate{c}}
	}
	for _, c := range []struct {
		name  string
		state *tls.ConnectionState
		form  string
		want  map[string]string
	}{
		{"no TLS", nil, "rfc9440", nil},
		{"no certificate", &tls.ConnectionState{}, "rfc9440", nil},
		{"unverified", &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}, "rfc9440", nil},
		{"verified", chain(leaf), "rfc9440", map[string]string{"Client-Cert": ":+/8B:"}},
		{"without the root", chain(leaf, root), "rfc9440", map[string]string{"Client-Cert": ":+/8B:"}},
		{"with what is between", chain(leaf, issuing, root), "haproxy", map[string]string{"X-Ssl-Client-Cert": "+/8B"}},
		{"ended during the connection", chain(ended), "rfc9440", nil},
	} {
		form, err := verify.NewCertificateHeader(c.form, "")
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time as it was encoded
			r := &http.Request{Header: http.Header{}, TLS: c.state}
			handOver(r, form, now)
			if len(r.Header) != len(c.want) {
				t.Errorf("%s: %v, want %v", c.name, r.Header, c.want)
			}
			for name, value := range c.want {
				if r.Header.Get(name) != value {
					t.Errorf("%s: %v, want %v", c.name, r.Header, c.want)
				}
				r.Header[name][0] = "changed in place"       // as request_header with find and replace does
				r.Header[name] = append(r.Header[name], "x") // whoever adds to it leaves the next one alone
			}
		}
	}
	form, err := verify.NewCertificateHeader("rfc9440", "")
	if err != nil {
		t.Fatal(err)
	}
	// The chain is part of what is remembered of a connection's certificate.
	other := &x509.Certificate{Raw: []byte{3}, NotAfter: now}
	r := &http.Request{Header: http.Header{}, TLS: chain(other, issuing, root)}
	if handOver(r, form, now); r.Header.Get("Client-Cert") != ":Aw==:" || r.Header.Get("Client-Cert-Chain") != ":AQ==:" {
		t.Errorf("%v, want :Aw==: and the chain :AQ==:", r.Header)
	}
}

// TestEarlierEndpoints: an AS that moves its endpoints may answer where they were.
func TestEarlierEndpoints(t *testing.T) {
	h := &Gateway{options: Options{RegisterPath: "/bank/register", IssuerPath: "/bank"}}
	with := func(pairs ...string) *table {
		m := &authserver.Metadata{Issuer: "https://bank.example/bank"}
		for i := 0; i < len(pairs); i += 2 {
			m.Endpoints = append(m.Endpoints, authserver.NewEndpoint(pairs[i], pairs[i+1]))
		}
		return h.newTable(m)
	}
	before := with("token_endpoint", "/bank/token", "registration_endpoint", "/bank/reg", "userinfo_endpoint", "/bank/me", "revocation_endpoint", "/bank/revoke")
	after := with("token_endpoint", "/bank/v2/token", "registration_endpoint", "/bank/v2/reg", "userinfo_endpoint", "/bank/revoke")
	after.keep(nil)
	after.keep(before)
	for path, want := range map[string]purpose{
		"/bank/v2/token": clientAuthentication, "/bank/token": clientAuthentication, "/bank/TOKEN": hidden, "/bank/reg": hidden, "/bank/reg/1": hidden, "/bank/v2/reg/1": hidden,
		"/bank/me": endpoint, "/bank/ME": hidden, "/bank/revoke": endpoint, "/bank/register": registrations,
	} {
		if got, _ := after.find(path); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
	later := with("token_endpoint", "/bank/v3/token")
	later.keep(after)
	if got, _ := later.find("/bank/token"); got != clientAuthentication {
		t.Errorf("the first address of all: %d", got)
	}
}
