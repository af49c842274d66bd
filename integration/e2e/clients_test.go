package e2e_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// TestOneTokenManyPosts: of posts that come together with one token exactly one registers.
func TestOneTokenManyPosts(t *testing.T) {
	const posts = 8
	once(t, story.Options{Binary: raceDetecting(t)}, func(t *testing.T, p *story.Play) {
		token, _, err := p.Prepare(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var wait sync.WaitGroup
		got := make([]string, posts)
		for i := range posts {
			wait.Go(func() {
				body, err := p.Acme.Request(nil)
				if err != nil {
					t.Error(err)
					return
				}
				r, err := p.Client(p.Acme).Register(t.Context(), p.Register, token, body)
				if err != nil {
					t.Error(err)
					return
				}
				got[i] = fmt.Sprint(r.Status, r.Text("error"))
			})
		}
		wait.Wait()
		count := map[string]int{}
		for _, g := range got {
			count[g]++
		}
		clients, err := p.AS.Clients(t.Context())
		if count["201"] != 1 || count["401invalid_token"]+count["503temporarily_unavailable"] != posts-1 || err != nil || len(clients) != 1 {
			t.Errorf("%v, %d clients at the authorization server, %v, want 201 once and one client", count, len(clients), err)
		}
	})
}

// TestOneTokenInTwoSpellings: go-oidc introspects the bare jti of a JWT as the token itself.
func TestOneTokenInTwoSpellings(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC, Binary: raceDetecting(t), AccessTokens: "jwt"}))
	token, body, err := p.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		JTI string `json:"jti"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil || claims.JTI == "" {
		t.Fatalf("got %s, %v, want a jti", payload, err)
	}
	again, err := p.Acme.Request(nil)
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	var registered atomic.Int32
	for spelling, body := range map[string]string{token: body, claims.JTI: again} {
		wait.Go(func() {
			r, err := p.Client(p.Acme).Register(t.Context(), p.Register, spelling, body)
			switch {
			case err == nil && r.Status == http.StatusCreated:
				registered.Add(1)
			case err != nil || r.Text("error") != "invalid_token" && r.Text("error") != "temporarily_unavailable": // used up, or reserved
				t.Errorf("got %v, %v, want a token that is used up or reserved", r, err)
			}
		})
	}
	wait.Wait()
	if n := registered.Load(); n != 1 {
		t.Errorf("got %d registrations with one token, want 1", n)
	}
}

// TestPrivateKeyJWT registers a client that authenticates with assertions.
func TestPrivateKeyJWT(t *testing.T) {
	eachShared(t, func(t *testing.T, p *story.Play) {
		token, _, err := p.Prepare(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		body, err := p.Acme.Request(map[string]any{
			"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "PS256", "tls_client_auth_subject_dn": nil,
		})
		if err != nil {
			t.Fatal(err)
		}
		client := p.Client(p.Acme)
		must := func(r *tpp.Response, err error, status int) *tpp.Response {
			t.Helper()
			if err != nil || r.Status != status {
				t.Fatalf("%v, %v, want %d", r, err, status)
			}
			return r
		}
		r, err := client.Register(t.Context(), p.Register, token, body)
		id := must(r, err, http.StatusCreated).Text("client_id")
		if r.JSON["tls_client_auth_subject_dn"] != nil {
			t.Errorf("a DN without tls_client_auth: %s", r)
		}
		r, err = client.Token(t.Context(), p.Endpoint("token_endpoint"), tpp.ClientCredentials(""), p.Acme.PrivateKeyJWT(id, p.Issuer))
		own := must(r, err, http.StatusOK).Text("access_token")
		// Its certificate is not how it authenticates, and a secret it does not have.
		r, err = client.Token(t.Context(), p.Endpoint("token_endpoint"), tpp.ClientCredentials(""), tpp.TLSClientAuth(id))
		must(r, err, http.StatusUnauthorized)
		r, err = client.Token(t.Context(), p.Endpoint("token_endpoint"), tpp.ClientCredentials(""), tpp.Post(id, "guess"))
		must(r, err, http.StatusUnauthorized)
		// Its certificate is needed beside (FAPI 1 Advanced 5.2.2).
		anonymous := tpp.NewClient(p.ClientOptions())
		defer anonymous.Close()
		for name, other := range map[string]*tpp.Client{"no certificate": anonymous, "another certificate": p.Client(p.Other)} {
			r, err = other.Token(t.Context(), p.Endpoint("token_endpoint"), tpp.ClientCredentials(""), p.Acme.PrivateKeyJWT(id, p.Issuer))
			if err != nil || r.Status != http.StatusUnauthorized || r.Text("error") != "invalid_client" || !strings.Contains(r.Text("error_description"), "transport certificate") {
				t.Errorf("%s: %v, %v, want 401 invalid_client, transport certificate", name, r, err)
			}
		}
		r, err = client.Read(t.Context(), p.Register, id, own)
		must(r, err, http.StatusOK)
		r, err = p.Client(p.Other).Read(t.Context(), p.Register, id, own)
		must(r, err, http.StatusUnauthorized)
		r, err = client.Delete(t.Context(), p.Register, id, own)
		must(r, err, http.StatusNoContent)
		r, err = client.Token(t.Context(), p.Endpoint("token_endpoint"), tpp.ClientCredentials(""), p.Acme.PrivateKeyJWT(id, p.Issuer))
		must(r, err, http.StatusUnauthorized)
	})
}

// TestTokenNeedsCertificateOfItsClient: whatever a request to the token endpoint says about who
// sends it, it gets no token of a client whose certificate it does not have, and
// the AS does not see it.
func TestTokenNeedsCertificateOfItsClient(t *testing.T) {
	once(t, story.Options{}, func(t *testing.T, p *story.Play) {
		id, err := p.RegisterAnother(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := p.AS.ResetRequests(t.Context()); err != nil {
			t.Fatal(err)
		}
		assertion, err := p.Other.Assertion(id, p.Issuer, nil)
		if err != nil {
			t.Fatal(err)
		}
		own := "grant_type=client_credentials&scope=&client_id=" + url.QueryEscape(id)
		form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
		with := func(name, value string) http.Header {
			h := form.Clone()
			h[name] = []string{value}
			return h
		}
		certificate := clientCert(p.Acme)
		for _, c := range []struct {
			name   string
			query  string
			header http.Header
			body   string
		}{
			{"another certificate", "", form, own},
			{"Client-Cert from outside", "", with("Client-Cert", certificate), own},
			{"client-cert in lower case", "", with("client-cert", certificate), own},
			{"Client_Cert", "", with("Client_Cert", certificate), own},
			{"the id twice", "", form, own + "&client_id=somebody"},
			{"the id twice, other first", "", form, "client_id=somebody&" + own},
			{"the id escaped", "", form, "grant_type=client_credentials&scope=&%63lient_id=" + id},
			{"the id in the query", "?client_id=" + id, form, "grant_type=client_credentials&scope="},
			{"the id in Basic", "", with("Authorization", "Basic "+basic(id, "")), "grant_type=client_credentials&scope="},
			{"an assertion of another key", "", form, "grant_type=client_credentials&scope=&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=" + assertion},
			{"a semicolon between parameters", "", form, "grant_type=client_credentials;client_id=" + id},
			{"multipart", "", with("Content-Type", "multipart/form-data; boundary=x"), "--x\r\nContent-Disposition: form-data; name=\"client_id\"\r\n\r\n" + id + "\r\n--x--\r\n"},
			{"JSON", "", with("Content-Type", "application/json"), `{"client_id":"` + id + `"}`},
			{"a character set in which it reads otherwise", "", with("Content-Type", "application/x-www-form-urlencoded; charset=ibm037"), own},
			{"the name in another case", "", form, "grant_type=client_credentials&scope=&Client_ID=" + id},
			{"the name with a dot", "", form, "grant_type=client_credentials&scope=&client.id=" + id},
			{"the name with brackets", "", form, "grant_type=client_credentials&scope=&client_id[]=" + id},
			{"the id with a blank", "", form, own + "%20"},
			{"the id in upper case", "", form, "grant_type=client_credentials&scope=&client_id=" + strings.ToUpper(id)},
			{"Basic with a tab", "", with("Authorization", "Basic\t"+basic(id, "")), "grant_type=client_credentials&scope="},
			{"the id in Basic in lower case", "", with("Authorization", "basic "+basic(id, "")), "grant_type=client_credentials&scope="},
			{"a byte order mark", "", with("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"), "\ufeffclient_id=" + id + "&grant_type=client_credentials&scope="},
			{"characters of another set", "", with("Content-Type", "application/x-www-form-urlencoded; charset*=utf-8''utf-8; charset=iso-2022-jp"), "\x1b(Bclient_id=" + id + "&grant_type=client_credentials&scope="},
			{"many ids", "", form, own + strings.Repeat("&client_id=x", 5)},
			{"a compressed body", "", with("Content-Encoding", "gzip"), own},
		} {
			t.Run(c.name, func(t *testing.T) {
				r, err := p.Client(p.Other).Do(t.Context(), http.MethodPost, p.Endpoint("token_endpoint")+c.query, c.header, []byte(c.body))
				if err != nil || r.Status < 400 || r.Status >= 500 || r.Text("error") == "" {
					t.Errorf("got %v, %v, want a refusal of the client's, with an error code", r, err)
				}
			})
		}
		for _, spelling := range []string{"/TOKEN", "/token/", "/%74oken", "/./token", "//token", "/token;x=1", "/x/../token", "/token%2f", "/%2e/token"} {
			r, err := p.Client(p.Other).Do(t.Context(), http.MethodPost, p.Issuer+spelling, form, []byte(own))
			if err != nil || r.Status != http.StatusNotFound {
				t.Errorf("%s: %v, %v, want 404", spelling, r, err)
			}
		}
		seen, err := p.Seen(t.Context())
		if err != nil || len(seen) != 0 {
			t.Errorf("the authorization server saw %d requests, the first %+v, %v, want none", len(seen), seen, err)
		}
		if err := reads(t.Context(), p, id); err != nil {
			t.Error(err)
		}
	})
}
