package gateway

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// bridgedNamer is an AS that gives the gateway a secret for each client.
type bridgedNamer struct{ *namer }

const secretAtServer = "the-gateways-own-at-the-AS"

func (n bridgedNamer) Create(ctx context.Context, c *registry.Client) (*registry.Provisioned, error) {
	p, err := n.namer.Create(ctx, c)
	if err == nil {
		p.Credentials.Bridge, p.Credentials.ClientSecret = "client_secret_basic", secretAtServer
	}
	return p, err
}

// secretClient registers a client with a secret, in bridge mode.
func (g *guarding) secretClient(id, method string, cert *x509.Certificate) (secret string) {
	g.t.Helper()
	g.ws.Provisioner = bridgedNamer{&namer{ids: []string{id}}}
	c, err := g.store.Register(g.t.Context(), g.ws, registry.Registration{
		Request:     &verify.Request{Raw: []byte("x"), Issuer: id, JTI: id, Expires: time.Now().Add(time.Hour), Statement: &verify.SoftwareStatement{SoftwareID: id, OrgID: "org", Issuer: &verify.Issuer{Name: "OpenBanking Ltd"}}},
		Checked:     &verify.Checked{Metadata: verify.Metadata{TokenEndpointAuthMethod: method, TokenEndpointSigningAlg: "PS256"}},
		Certificate: &verify.Certificate{Leaf: cert, Thumbprint: "x"},
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return c.NewSecret
}

// hmacAssertion is a client assertion that a secret signs.
func hmacAssertion(header, id, jti, secret string) string {
	claims := fmt.Sprintf(`{"iss":%q,"sub":%[1]q,"aud":"https://bank.example","jti":%q,"exp":%d}`, id, jti, time.Now().Add(time.Minute).Unix())
	b64 := base64.RawURLEncoding.EncodeToString
	signed := b64([]byte(header)) + "." + b64([]byte(claims))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(signed))
	return "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=" + signed + "." + b64(mac.Sum(nil))
}

// TestSecretClientsAtTheGuard: a client with a secret passes with its own, in its own way,
// with its certificate; the AS is sent the gateway's secret, and never the client's.
func TestSecretClientsAtTheGuard(t *testing.T) {
	until := time.Now().Add(time.Hour)
	tpp, stranger := leaf(t, "tpp", until), leaf(t, "stranger", until)
	g := newGuarding(t, tpp.RawSubject)
	metadata := *g.table.Load()
	metadata.endpoints = []string{"https://bank.example"}
	g.table.Store(&metadata)
	secret := map[string]string{}
	for _, method := range verify.SecretMethods {
		secret[method] = g.secretClient("c-"+method, method, tpp)
	}
	const basicID, postID, jwtID = "c-client_secret_basic", "c-client_secret_post", "c-client_secret_jwt"
	basic := func(id, password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+password))
	}
	ask := func(cert *x509.Certificate, authorization, form string) (status int, sent *http.Request, body string) {
		t.Helper()
		w := httptest.NewRecorder()
		r := httptest.NewRequest("POST", "/token", strings.NewReader(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		if cert != nil {
			r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{cert}}}
		}
		next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			sent, body = r, string(b)
			w.WriteHeader(200)
		})
		g.at(w, r, clientAuthentication).serveGuarded(next)
		if (sent != nil) != (w.Code == 200) {
			t.Errorf("%d, and proxied: %v", w.Code, sent != nil)
		}
		return w.Code, sent, body
	}
	const grant = "grant_type=client_credentials&scope=openid"
	own := func(id, jti string) string {
		return grant + "&" + hmacAssertion(`{"alg":"HS256"}`, id, jti, secret[verify.ClientSecretJWT])
	}
	for _, c := range []struct {
		id, authorization, form, body string
	}{
		{basicID, basic(basicID, secret["client_secret_basic"]), grant, grant},
		{basicID, basic(basicID, secret["client_secret_basic"]), grant + "&client_id=" + basicID + "&client_secret=", grant + "&client_id=" + basicID},
		{postID, "", grant + "&client_id=" + postID + "&client_secret=" + secret["client_secret_post"], grant + "&client_id=" + postID},
		{jwtID, "", own(jwtID, "1"), grant},
	} {
		status, sent, body := ask(tpp, c.authorization, c.form)
		if status != 200 || body != c.body || sent.Header.Get("Authorization") != basic(c.id, secretAtServer) {
			t.Errorf("%s: %d, the AS is sent %q with %v", c.id, status, body, sent)
		}
	}
	odd := g.secretClient("urn:a/b", "client_secret_basic", tpp)
	if status, sent, _ := ask(tpp, basic("urn%3Aa%2Fb", odd), grant); status != 200 || sent.Header.Get("Authorization") != basic("urn%3Aa%2Fb", secretAtServer) {
		t.Errorf("an id that is form-encoded: %d, %v", status, sent)
	}
	g.options.RefuseUnknown = true // the other reading of the id is nobody's
	if status, _, _ := ask(tpp, basic("urn%3Aa%2Fb", odd), grant); status != 200 {
		t.Errorf("an id that is form-encoded, where unknown ones are refused: %d", status)
	}
	if status, _, _ := ask(tpp, basic("urn%3Aa%2Fc", odd), grant); status != 401 {
		t.Errorf("an unknown id that is form-encoded: %d", status)
	}
	g.options.RefuseUnknown = false
	unused := own(jwtID, "2")
	for name, c := range map[string]struct {
		cert                *x509.Certificate
		authorization, form string
	}{
		"no certificate":                          {nil, basic(basicID, secret["client_secret_basic"]), grant},
		"another certificate":                     {stranger, basic(basicID, secret["client_secret_basic"]), grant},
		"another certificate, assertion":          {stranger, "", unused},
		"a wrong secret":                          {tpp, basic(basicID, secret["client_secret_basic"]+"x"), grant},
		"another client's secret":                 {tpp, basic(basicID, secret["client_secret_post"]), grant},
		"the secret of the gateway at the AS":     {tpp, basic(basicID, secretAtServer), grant},
		"Basic of a client that posts":            {tpp, basic(postID, secret["client_secret_post"]), grant},
		"a form of a client with Basic":           {tpp, "", grant + "&client_id=" + basicID + "&client_secret=" + secret["client_secret_basic"]},
		"the secret of a client that signs":       {tpp, "", grant + "&client_id=" + jwtID + "&client_secret=" + secret["client_secret_jwt"]},
		"a secret of a client with a certificate": {tpp, basic("client", secret["client_secret_basic"]), grant},
		"HS256 of a client that posts":            {tpp, "", grant + "&" + hmacAssertion(`{"alg":"HS256"}`, postID, "3", secret["client_secret_post"])},
		"HS256 of a client with a certificate":    {tpp, "", grant + "&" + hmacAssertion(`{"alg":"HS256"}`, "client", "4", "")},
		"another secret's signature":              {tpp, "", grant + "&" + hmacAssertion(`{"alg":"HS256"}`, jwtID, "5", secret["client_secret_post"])},
		"alg none":                                {tpp, "", grant + "&" + hmacAssertion(`{"alg":"none"}`, jwtID, "6", secret["client_secret_jwt"])},
		"alg PS256, as it is registered":          {tpp, "", grant + "&" + hmacAssertion(`{"alg":"PS256"}`, jwtID, "7", secret["client_secret_jwt"])},
		"an assertion that was used":              {tpp, "", own(jwtID, "1")},
	} {
		if status, _, _ := ask(c.cert, c.authorization, c.form); status != 401 {
			t.Errorf("%s: %d, want 401", name, status)
		}
	}
	if status, _, _ := ask(tpp, "", unused); status != 200 {
		t.Errorf("an assertion that was refused for want of a certificate: %d", status)
	}
	g.options.IssuerAudienceOnly = true
	if status, _, _ := ask(tpp, "", own(jwtID, "8")); status != 401 {
		t.Errorf("assertion_audience issuer, and an assertion for an endpoint: %d", status)
	}
	g.options.IssuerAudienceOnly = false
	// Not as if the AS knew the secret: a record without the gateway's own is no client.
	g.ws.Provisioner = &namer{ids: []string{"native"}}
	c, err := g.store.Register(t.Context(), g.ws, registry.Registration{
		Request: &verify.Request{Raw: []byte("x"), Issuer: "n", JTI: "n", Expires: until, Statement: &verify.SoftwareStatement{SoftwareID: "n", OrgID: "org", Issuer: &verify.Issuer{Name: "OpenBanking Ltd"}}},
		Checked: &verify.Checked{Metadata: verify.Metadata{TokenEndpointAuthMethod: "client_secret_basic"}}, Certificate: &verify.Certificate{Leaf: tpp, Thumbprint: "x"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if status, _, _ := ask(tpp, basic("native", c.NewSecret), grant); status != 503 {
		t.Errorf("a client that the gateway cannot be: %d", status)
	}
	if err := g.store.Suspend(t.Context(), registry.Suspension{Workspace: g.ws.Name, Kind: registry.SuspendSoftware, Value: basicID}); err != nil {
		t.Fatal(err)
	}
	if status, _, _ := ask(tpp, basic(basicID, secret["client_secret_basic"]), grant); status != 401 {
		t.Errorf("suspended: %d", status)
	}
	if err := g.store.Delete(t.Context(), g.ws, postID, registry.Presented{}); err != nil {
		t.Fatal(err)
	}
	if status, _, _ := ask(tpp, "", grant+"&client_id="+postID+"&client_secret="+secret["client_secret_post"]); status != 401 {
		t.Errorf("deleted: %d", status)
	}
}

// TestSecretIsReturnedOnce: only when it is new, and with client_secret_expires_at 0.
func TestSecretIsReturnedOnce(t *testing.T) {
	var answer map[string]any
	c := &registry.Client{ClientID: "c", NewSecret: verify.NewClientSecret()}
	if err := json.Unmarshal(registrationJSON("3.2", c, nil, nil, strictjson.Object{}), &answer); err != nil {
		t.Fatal(err)
	}
	if answer["client_secret"] != c.NewSecret || answer["client_secret_expires_at"] != 0.0 {
		t.Errorf("%v, want the secret %q that never expires", answer, c.NewSecret)
	}
	answer, c.NewSecret = nil, ""
	if err := json.Unmarshal(registrationJSON("3.2", c, nil, nil, strictjson.Object{}), &answer); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"client_secret", "client_secret_expires_at"} {
		if v, ok := answer[name]; ok {
			t.Errorf("%s is %v", name, v)
		}
	}
}
