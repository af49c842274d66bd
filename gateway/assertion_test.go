package gateway

import (
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// TestAssertionAudience: where the AS verifies assertions the gateway holds those of RFC 10070
// to the issuer alone, and all with assertion_audience issuer. Those that go on are counted by
// form, so that an operator sees when nobody names an endpoint any more.
func TestAssertionAudience(t *testing.T) {
	const issuer, endpoint = "https://bank.example/default/obuk", "https://bank.example/default/obuk/token"
	tpp := leaf(t, "tpp", time.Now().Add(time.Hour))
	w := newWhole(t, nil)
	_, err := w.store.Register(t.Context(), registry.Workspace{Name: w.ws.Name, Provisioner: &namer{ids: []string{"signing"}}}, registry.Registration{
		Request: &verify.Request{Raw: []byte("x"), Issuer: "3", JTI: "3", Expires: time.Now().Add(time.Hour), Statement: &verify.SoftwareStatement{SoftwareID: "3", OrgID: "org", Issuer: &verify.Issuer{Name: "OpenBanking Ltd"}}},
		Checked: &verify.Checked{RawSubject: tpp.RawSubject, Metadata: verify.Metadata{TokenEndpointAuthMethod: "private_key_jwt"}},
	})
	w.must(err)
	counted := func() (all [4]float64) {
		for i, form := range []verify.AssertionForm{verify.AssertionTyped, verify.AssertionIssuer, verify.AssertionEndpoint, ""} { // a refused one has none
			var m dto.Metric
			w.must(clientAssertions.WithLabelValues(w.ws.Name, string(form)).Write(&m))
			all[i] = m.GetCounter().GetValue()
		}
		return all
	}
	const typed, untyped = `,"typ":"client-authentication+jwt"`, `,"typ":"JWT"`
	for _, c := range []struct {
		only, typ, aud string
		counts         int // of the forms, -1 for a refusal
	}{
		{"", typed, `"` + issuer + `"`, 0},
		{"", typed, `["` + issuer + `"]`, 0},
		{"", typed, `"` + endpoint + `"`, -1},
		{"", typed, `["` + issuer + `","` + endpoint + `"]`, -1},
		{"", untyped, `"` + issuer + `"`, 1},
		{"", "", `"` + endpoint + `"`, 2},
		{"endpoints", "", `"https://as.internal/token"`, 2},
		{"issuer", typed, `"` + issuer + `"`, 0},
		{"issuer", "", `["` + issuer + `"]`, 1},
		{"issuer", "", `"` + endpoint + `"`, -1},
		{"issuer", untyped, `["` + issuer + `","` + endpoint + `"]`, -1},
	} {
		w.options.IssuerAudienceOnly = c.only == "issuer"
		encode := base64.RawURLEncoding.EncodeToString
		assertion := encode([]byte(`{"alg":"PS256"`+c.typ+"}")) + "." + encode(fmt.Appendf(nil, `{"iss":"signing","sub":"signing","aud":%s}`, c.aud)) + ".c2ln"
		want := counted()
		if c.counts >= 0 {
			want[c.counts]++
		}
		answer := w.serve(tokenRequest(tpp, "client_assertion_type=x&client_assertion="+assertion))
		if passed := w.passed != nil; passed != (c.counts >= 0) || !passed && answer.Code != 401 || counted() != want {
			t.Errorf("assertion_audience %q, typ %s, aud %s: %d %s, counted %v, want %v", c.only, c.typ, c.aud, answer.Code, answer.Body, counted(), want)
		}
	}
}
