package gateway

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// TestEveryClientPresentsItsCertificate: where client certificates are on, a client that
// authenticates with an assertion presents its certificate too, at each endpoint at which
// clients authenticate (FAPI 1 Advanced 5.2.2). Clients of others pass.
func TestEveryClientPresentsItsCertificate(t *testing.T) {
	until := time.Now().Add(time.Hour)
	tpp, stranger := leaf(t, "tpp", until), leaf(t, "stranger", until)
	g := newGuarding(t, tpp.RawSubject)
	register := func(id string, cert *verify.Certificate) {
		t.Helper()
		g.ws.Provisioner = &namer{ids: []string{id}}
		_, err := g.store.Register(t.Context(), g.ws, registry.Registration{
			Request:     &verify.Request{Raw: []byte("x"), Issuer: id, JTI: id, Expires: until, Statement: &verify.SoftwareStatement{SoftwareID: id, OrgID: "org", Issuer: &verify.Issuer{Name: "OpenBanking Ltd"}}},
			Checked:     &verify.Checked{Metadata: verify.Metadata{TokenEndpointAuthMethod: "private_key_jwt"}},
			Certificate: cert,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	register("signing", &verify.Certificate{Leaf: tpp, Thumbprint: "x"})
	register("without-dn", nil) // of a time when client certificates were off
	asserting := func(id string) string {
		b64 := base64.RawURLEncoding.EncodeToString
		return "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=" +
			b64([]byte(`{"alg":"PS256"}`)) + "." + b64([]byte(`{"iss":"`+id+`","sub":"`+id+`"}`)) + "." + b64([]byte("signature"))
	}
	for _, at := range []purpose{clientAuthentication, revocation, introspection} {
		for _, c := range []struct {
			required         bool
			client           string
			own, other, none int
		}{
			{true, "signing", 200, 401, 401},
			{false, "signing", 200, 200, 200},
			{true, "without-dn", 200, 200, 401},
			{false, "without-dn", 200, 200, 200},
			{true, "somebody-else", 200, 200, 200},
		} {
			g.options.NeedsEndpointCertificate = c.required
			got := [3]int{g.ask(tpp, at, asserting(c.client)), g.ask(stranger, at, asserting(c.client)), g.ask(nil, at, asserting(c.client))}
			for i, status := range got {
				if at == introspection && status == 503 { // passed on: the answer of the test's server is empty
					got[i] = 200
				}
			}
			if got != [3]int{c.own, c.other, c.none} {
				t.Errorf("purpose %d, certificate required %v, %s: own, another and no certificate are %v, want %v", at, c.required, c.client, got, [3]int{c.own, c.other, c.none})
			}
		}
	}
	g.options.NeedsCertificate, g.options.NeedsEndpointCertificate = false, false
	if got := g.ask(nil, clientAuthentication, "client_id=client"); got != 401 {
		t.Errorf("tls_client_auth without a certificate: %d", got)
	}
}
