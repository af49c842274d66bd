package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// binding is a handler that binds the tokens that an AS gives out.
func binding(t *testing.T) (*guarding, func(leaf *x509.Certificate, answer string, status int) *httptest.ResponseRecorder) {
	g := newGuarding(t, nil)
	g.options.BindAccessTokens = true
	return g, func(leaf *x509.Certificate, answer string, status int) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(answer))
		})
		g.at(w, presenting(leaf, ""), clientAuthentication).serveBound(next)
		return w
	}
}

// presenting is a request on a connection with a certificate.
func presenting(leaf *x509.Certificate, token string) *http.Request {
	r := httptest.NewRequest("POST", "/", nil)
	if leaf != nil {
		r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{leaf}}}
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}

func TestBoundTokens(t *testing.T) {
	g, ask := binding(t)
	until := time.Now().Add(time.Hour)
	tpp, other := leaf(t, "tpp", until), leaf(t, "other", until)
	const token = "0123456789abcdefghijklmnopqrstuvwxyz"
	for _, c := range []struct {
		name   string
		leaf   *x509.Certificate
		answer string
		status int
		want   int
	}{
		{"a token", tpp, `{"access_token":"` + token + `","expires_in":60}`, 200, 200},
		{"another 2xx", tpp, `{"access_token":"` + token + `x","expires_in":60}`, 201, 201},
		{"another 2xx without a certificate", nil, `{"access_token":"x"}`, 201, 401},
		{"a refusal", tpp, `{"error":"invalid_grant"}`, 400, 400},
		{"an answer without a token", tpp, `{"request_uri":"urn:x"}`, 200, 200},
		{"no certificate", nil, `{"access_token":"x"}`, 200, 401},
		{"no JSON", tpp, `access_token=x`, 200, 503},
		{"a token of another type", tpp, `{"access_token":1}`, 200, 503},
		{"a life of another type", tpp, `{"access_token":"x","expires_in":"60"}`, 200, 200},
		{"a token twice", tpp, `{"access_token":"x","access_token":"y"}`, 200, 503},
	} {
		if w := ask(c.leaf, c.answer, c.status); w.Code != c.want || c.want == c.status && w.Body.String() != c.answer {
			t.Errorf("%s: %d %s, want %d", c.name, w.Code, w.Body, c.want)
		} else if c.want != c.status && strings.Contains(w.Body.String(), `"access_token":`) {
			t.Errorf("%s: a token that is not bound: %s", c.name, w.Body)
		}
	}
	cert, err := verify.ReadCertificate(tpp, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	bound, err := g.store.TokenBinding(t.Context(), g.ws.Name, &verify.AccessToken{Raw: token})
	if err != nil || bound != cert.Thumbprint {
		t.Fatalf("bound to %q, %v, want %s", bound, err, cert.Thumbprint)
	}
	if bound, err := g.store.TokenBinding(t.Context(), "another/workspace", &verify.AccessToken{Raw: token}); err != nil || bound != "" {
		t.Errorf("in another workspace: %q, %v", bound, err)
	}

	g.options.Server = newTokenAS(t, g.Gateway, nil).Server
	// At another endpoint, userinfo.
	for name, c := range map[string]struct {
		leaf  *x509.Certificate
		token string
		good  bool
	}{
		"its certificate": {tpp, token, true}, "another": {other, token, false}, "none": {nil, token, false},
		"a token that is nobody's": {other, "unbound", true}, "no token": {nil, "", true},
	} {
		if _, err := g.at(httptest.NewRecorder(), presenting(c.leaf, c.token), endpoint).checkAccessToken(checksToken | checksForm); (err == nil) != c.good {
			t.Errorf("%s: %v, want an error: %t", name, err, !c.good)
		}
	}
	// Where nobody holds it against a certificate there may be none.
	form := presenting(tpp, "")
	form.Body, form.Header = io.NopCloser(strings.NewReader("access_token="+token)), http.Header{"Content-Type": {formType}}
	odd := presenting(tpp, "") // two types, of which a server may take the second
	odd.Body, odd.Header = io.NopCloser(strings.NewReader("access_token="+token)), http.Header{"Content-Type": {"text/plain", formType}}
	query := httptest.NewRequest("GET", "/me?access_token="+token, nil)
	scheme := presenting(tpp, "")
	scheme.Header.Set("Authorization", "DPoP "+token)
	blank := presenting(tpp, "")
	blank.Header.Set("Authorization", " Bearer "+token)
	twice := presenting(tpp, token)
	twice.Header["Authorization"] = append(twice.Header["Authorization"], "Bearer x")
	for name, r := range map[string]*http.Request{"form": form, "a body of two types": odd, "query": query, "scheme": scheme, "blank": blank, "twice": twice} {
		if _, err := g.at(httptest.NewRecorder(), r, endpoint).checkAccessToken(checksToken | checksForm); err == nil {
			t.Errorf("%s: passes", name)
		}
	}
	// For management.
	d := g.registering(presenting(tpp, token))
	d.token = &verify.AccessToken{Raw: token}
	if err := d.readBinding(); err != nil || d.token.Thumbprint != cert.Thumbprint {
		t.Errorf("for management: %+v, %v", d.token, err)
	}
	d.token = &verify.AccessToken{Raw: token, Thumbprint: "the AS's"}
	if err := d.readBinding(); err != nil || d.token.Thumbprint != "the AS's" {
		t.Errorf("what the AS says: %+v, %v", d.token, err)
	}
	// Introspected.
	for name, c := range map[string]struct{ token, answer, want string }{
		"bound":            {token, `{"active":true}`, `{"x5t#S256":"` + cert.Thumbprint + `"}`},
		"bound by the AS":  {token, `{"active":true,"cnf":{"x5t#S256":"the AS's"}}`, `{"x5t#S256":"the AS's"}`},
		"null":             {token, `{"active":true,"cnf":null}`, `{"x5t#S256":"` + cert.Thumbprint + `"}`},
		"bound to a key":   {token, `{"active":true,"cnf":{"jkt":"x"}}`, `{"jkt":"x","x5t#S256":"` + cert.Thumbprint + `"}`},
		"an empty one":     {token, `{"active":true,"cnf":{"x5t#S256":""}}`, `{"x5t#S256":"` + cert.Thumbprint + `"}`},
		"bound by nobody":  {"unbound", `{"active":true}`, ""},
		"of another place": {"", `{"active":true}`, ""},
	} {
		held := &heldAnswer{w: httptest.NewRecorder()}
		if _, err := held.Write([]byte(c.answer)); err != nil {
			t.Fatal(err)
		}
		claims, err := held.claims()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.at(held.w, presenting(nil, ""), introspection).showBinding(held, claims, &verify.AccessToken{Raw: c.token}); err != nil {
			t.Fatal(err)
		}
		var got map[string]json.RawMessage
		if err := json.Unmarshal(held.body.Bytes(), &got); err != nil || string(got["cnf"]) != c.want || string(got["active"]) != "true" {
			t.Errorf("%s: %s, %v; want an active token with cnf %s", name, held.body.Bytes(), err, c.want)
		}
	}
	for _, answer := range []string{`{"active":true,"cnf":"x"}`, `{"active":true,"cnf":{"x5t#S256":1}}`} {
		claims, err := strictjson.ParseAnswer([]byte(answer))
		if err != nil {
			t.Fatal(err)
		}
		_, err = g.at(httptest.NewRecorder(), presenting(nil, ""), introspection).showBinding(&heldAnswer{w: httptest.NewRecorder()}, claims, &verify.AccessToken{Raw: token})
		if e := refusal.From(err); err == nil || e.Kind != refusal.Unavailable || !strings.Contains(e.Error(), "introspection answer of ") {
			t.Errorf("%s: %v, want a refusal because of the introspection answer", answer, err)
		}
	}
}

// A token without an end, or with a far one, is bound for a year, and no longer.
func TestTokenWithoutEndIsBoundForAYear(t *testing.T) {
	g, ask := binding(t)
	tpp := leaf(t, "tpp", time.Now().Add(time.Hour))
	tpp.NotBefore = time.Now().AddDate(-2, 0, 0)
	const year = 365 * 24 * time.Hour
	for i, life := range []string{"", `,"expires_in":0`, `,"expires_in":-5`, `,"expires_in":31536001`, `,"expires_in":4000000000`} {
		for issued, bound := range map[time.Duration]bool{0: true, year - time.Hour: true, year + time.Hour: false} {
			g.options.Now = func() time.Time { return time.Now().Add(-issued) }
			token := strings.Repeat(string(rune('a'+i)), 30) + issued.String()
			if w := ask(tpp, `{"access_token":"`+token+`"`+life+`}`, 200); w.Code != 200 {
				t.Fatalf("%d %s, want 200", w.Code, w.Body)
			}
			if thumbprint, err := g.store.TokenBinding(t.Context(), g.ws.Name, &verify.AccessToken{Raw: token}); err != nil || (thumbprint != "") != bound {
				t.Errorf("%s, issued %s ago: got %q, %v; want it bound: %t", life, issued, thumbprint, err, bound)
			}
		}
	}
}

// TestUnknownBindingsAfterARestore: after a restore a token of a client of the registry that nothing
// is known of is good for nobody; what was issued since, what is bound, and what is not of
// the registry's clients goes on.
func TestUnknownBindingsAfterARestore(t *testing.T) {
	g, ask := binding(t)
	tpp := leaf(t, "tpp", time.Now().Add(time.Hour))
	if w := ask(tpp, `{"access_token":"bound"}`, 200); w.Code != 200 {
		t.Fatalf("%d, want 200", w.Code)
	}
	now := time.Now()
	g.options.Now = func() time.Time { return now.Add(time.Hour) }
	before, after := now, now.Add(30*time.Minute)
	for _, restored := range []bool{false, true} {
		if restored {
			if err := errors.Join(g.store.DeclareRestored(t.Context(), "label"), g.store.ConfirmEpoch(t.Context(), registry.Act{Reason: "looked"})); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range []struct {
			token, client string
			issued        time.Time
			good          bool
		}{
			{"bound", "client", before, true}, {"forgotten", "client", before, !restored}, {"without iat", "client", time.Time{}, !restored},
			{"since", "client", after, true}, {"of the bank's", "nobody", before, true},
		} {
			_, known := map[string]bool{"bound": true}[c.token]
			err := g.at(httptest.NewRecorder(), presenting(tpp, c.token), endpoint).checkHolder(c.token, known, authserver.TokenHolder{ClientIDs: []string{c.client}, Issued: c.issued})
			if (err == nil) != c.good || err != nil && refusal.From(err).Rule != verify.EpochRule {
				t.Errorf("restored %v, userinfo, %s: %v", restored, c.token, err)
			}
			iat := ""
			if !c.issued.IsZero() {
				iat = fmt.Sprintf(`,"iat":%d`, c.issued.Unix())
			}
			held := &heldAnswer{w: httptest.NewRecorder(), status: 200, header: http.Header{}}
			held.body.WriteString(`{"active":true,"client_id":"` + c.client + `"` + iat + `}`)
			if active, err := g.at(held.w, presenting(nil, ""), introspection).stillActive(held, "token="+url.QueryEscape(c.token)); err != nil || active != c.good {
				t.Errorf("restored %v, introspection, %s: %v, %v", restored, c.token, active, err)
			}
			d := g.registering(presenting(tpp, ""))
			d.token = &verify.AccessToken{Raw: c.token, Issued: c.issued}
			if c.client == "nobody" {
				continue // manages nothing
			}
			if err := d.readBinding(); (err == nil) != c.good || err != nil && refusal.From(err).Kind != refusal.InvalidToken {
				t.Errorf("restored %v, management, %s: %v", restored, c.token, err)
			}
		}
		held := &heldAnswer{w: httptest.NewRecorder(), status: 200, header: http.Header{}}
		held.body.WriteString(`{"active":true,"client_id":"client","cnf":{"x5t#S256":"the AS's"}}`)
		if active, err := g.at(held.w, presenting(nil, ""), introspection).stillActive(held, "token=x"); err != nil || !active {
			t.Errorf("restored %v, bound by the AS: %v, %v", restored, active, err)
		}
	}
}
