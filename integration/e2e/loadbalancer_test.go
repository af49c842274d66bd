package e2e_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/directory"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// behind is a gateway whose certificates come from a load balancer.
func behind(form, proxies, roots string) []gateway.Edit {
	return []gateway.Edit{
		gateway.GlobalOptions("servers {", "\ttrusted_proxies static "+proxies, "}"),
		gateway.Workspace("client_certificate header "+form+" {", "\ttrust_pool file "+roots, "}"),
	}
}

// TestLoadBalancer: the test is the load balancer, and hands certificates in, in every
// form. Only one that counts is a certificate.
func TestLoadBalancer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC, Dir: dir, Edits: append(behind("rfc9440", "127.0.0.1/32", dir+"/ca.pem"), gateway.Unlimited)}))
	balancer := tpp.NewClient(p.ClientOptions()) // its own connections have no client certificate
	defer balancer.Close()
	id := registers(t, p, p.Client(p.Acme), nil).Text("client_id")
	leaf, err := x509.ParseCertificate(p.Acme.Transport.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	// Most forms have room for the client's own certificate only: then the authority that
	// has issued it must be in the pool.
	issuing := filepath.Join(dir, "issuing.pem")
	if err := os.WriteFile(issuing, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Acme.Transport.Certificate[1]}), 0o600); err != nil {
		t.Fatal(err)
	}
	own := func(form string, intermediates ...[]byte) http.Header {
		h, err := verify.NewCertificateHeader(form, "")
		if err != nil {
			t.Fatal(err)
		}
		header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
		for pairs := h.Write(leaf.Raw, intermediates...); len(pairs) > 0; pairs = pairs[2:] {
			header[pairs[0]] = pairs[1:2]
		}
		return header
	}
	token := func(name string, by *tpp.Client, header http.Header, status int) {
		t.Helper()
		by.Close() // reloads close idle connections
		r, err := by.Do(t.Context(), http.MethodPost, p.Endpoint("token_endpoint"), header, []byte("grant_type=client_credentials&scope=&client_id="+id))
		if err != nil || r.Status != status {
			t.Errorf("%s: %v, %v, want %d", name, r, err, status)
		}
	}
	in := func(form string) gateway.Edit { return gateway.At("client_certificate").Set("header", form) }
	withIssuing := gateway.At("client_certificate", "trust_pool").Set("file", issuing, dir+"/ca.pem")
	for _, form := range verify.CertificateForms {
		reload(t, p, in(form), withIssuing)
		token(form, balancer, own(form), http.StatusOK)
		header := own(form)
		for name, values := range header {
			if name != "Content-Type" {
				header[name] = append(values, values[0])
			}
		}
		token(form+" twice", balancer, header, http.StatusUnauthorized)
	}
	none := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	for _, form := range []string{verify.FormRFC9440, verify.FormEnvoy, verify.FormTraefik} {
		reload(t, p, in(form))
		token(form+" with the chain", balancer, own(form, p.Acme.Transport.Certificate[1]), http.StatusOK)
		token(form+" without", balancer, own(form), http.StatusUnauthorized)
	}
	reload(t, p, withIssuing)
	token("no header", balancer, none, http.StatusUnauthorized)
	token("in another spelling beside it", balancer, func() http.Header {
		h := own("rfc9440")
		h["client-cert"] = h["Client-Cert"]
		return h
	}(), http.StatusUnauthorized)
	other := own("rfc9440")
	other["Client-Cert"] = []string{clientCert(p.Other)}
	token("another TPP's", balancer, other, http.StatusUnauthorized)
	other["Client-Cert"] = []string{clientCert(p.Stranger)}
	token("of another authority", balancer, other, http.StatusUnauthorized)
	public, err := p.Acme.IssueTransport(directory.TransportOptions{Unpublished: true, Change: func(c *x509.Certificate) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}})
	if err != nil {
		t.Fatal(err)
	}
	other["Client-Cert"] = []string{":" + base64.StdEncoding.EncodeToString(public.Certificate[0]) + ":"}
	token("for servers alone", balancer, other, http.StatusUnauthorized)
	says(t, p.Gateway, "ignores a client certificate in a header", "incompatible key usage")
	// A connection that has a certificate is believed more than what it says.
	token("the header on another's connection", p.Client(p.Other), own("rfc9440"), http.StatusUnauthorized)
	other["Client-Cert"] = []string{clientCert(p.Other)}
	token("another header on the client's own connection", p.Client(p.Acme), other, http.StatusOK)

	// Registration and management see the same certificate.
	prepared, body, err := p.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	header := own("rfc9440")
	header.Set("Content-Type", "application/jose")
	header.Set("Authorization", "Bearer "+prepared)
	r, err := balancer.Do(t.Context(), http.MethodPost, p.Register, header, []byte(body))
	if err != nil || r.Status != http.StatusCreated {
		t.Errorf("registration: %v, %v, want 201", r, err)
	}
	if err := p.AS.ResetRequests(t.Context()); err != nil {
		t.Fatal(err)
	}
	token("the AS is handed it", balancer, own("rfc9440"), http.StatusOK)
	if seen, err := p.Seen(t.Context()); err != nil || len(seen) != 1 || seen[0].Header.Get("Client-Cert") != clientCert(p.Acme) {
		t.Errorf("got %v, %v, want one request, with Acme's certificate", seen, err)
	}
	reload(t, p, gateway.At("trusted_proxies").Set("static", "192.0.2.1/32"))
	token("not one of the trusted proxies", balancer, own("rfc9440"), http.StatusUnauthorized)
	says(t, p.Gateway, "it did not come from one of trusted_proxies")
}
