package e2e_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// bridge has the gateway authenticate at the AS in the clients' place.
var bridge = gateway.At("token_endpoint_auth").Set("bridge")

var assertions = map[string]any{
	"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "PS256", "tls_client_auth_subject_dn": nil,
}

// TestBridgeStory tells the whole story in bridge mode: a TPP sees no difference.
func TestBridgeStory(t *testing.T) {
	each(t, story.Options{Edits: []gateway.Edit{bridge}}, func(t *testing.T, p *story.Play) {
		for _, step := range story.Steps {
			if err := step.Run(p, t.Context()); err != nil {
				t.Fatalf("%s: %v", step.Title, err)
			}
		}
		says(t, p.Gateway, `"token_endpoint_auth":"bridge"`)
		if strings.Contains(p.Gateway.Log(), `"token_endpoint_auth":"native"`) {
			t.Error("the log says that the client authenticates at the authorization server by itself")
		}
	})
}

// secretOf is what the AS has as the client's secret.
func secretOf(t *testing.T, p *story.Play, id string) string {
	t.Helper()
	clients, err := p.AS.Clients(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range clients {
		if c["client_id"] == id {
			secret, _ := c["client_secret"].(string)
			if c["token_endpoint_auth_method"] != "client_secret_basic" || secret == "" {
				t.Errorf("the authorization server has %v", c)
			}
			return secret
		}
	}
	t.Fatalf("the authorization server does not have %s", id)
	return ""
}

// TestBridge: a client authenticates at the gateway as it was registered, and in no
// other way; the AS sees the gateway's secret, and nothing of the client's credentials.
func TestBridge(t *testing.T) {
	each(t, story.Options{Edits: []gateway.Edit{bridge}}, func(t *testing.T, p *story.Play) {
		client, token := p.Client(p.Acme), p.Endpoint("token_endpoint")
		mtls := registers(t, p, client, nil).Text("client_id")
		signing := registers(t, p, client, assertions).Text("client_id")
		anonymous := tpp.NewClient(p.ClientOptions())
		defer anonymous.Close()
		assertion := func(id string, audience any, overrides map[string]any) string {
			text, err := p.Acme.Assertion(id, audience, overrides)
			if err != nil {
				t.Fatal(err)
			}
			return "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=" + text
		}
		foreign, err := p.Other.Assertion(signing, p.Issuer, nil)
		if err != nil {
			t.Fatal(err)
		}
		form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
		asked := func(name string, by *tpp.Client, header http.Header, body string, status int, code string) *tpp.Response {
			t.Helper()
			if err := p.AS.ResetRequests(t.Context()); err != nil {
				t.Fatal(err)
			}
			r, err := by.Do(t.Context(), http.MethodPost, token, header, []byte(body))
			if err != nil || r.Status != status || r.Text("error") != code {
				t.Errorf("%s: %v, %v, want %d %s", name, r, err, status, code)
				return &tpp.Response{}
			}
			if seen, err := p.Seen(t.Context()); err != nil || (len(seen) > 0) != (status == http.StatusOK) {
				t.Errorf("%s: the authorization server saw %d requests, %v", name, len(seen), err)
			}
			return r
		}
		const grant = "grant_type=client_credentials&scope="

		secret := secretOf(t, p, mtls)
		own := asked("certificate", client, form, grant+"&client_id="+mtls, 200, "").Text("access_token")
		seen, err := p.Seen(t.Context())
		if err != nil || len(seen) != 1 {
			t.Fatalf("got %v, %v, want one request", seen, err)
		}
		if got := seen[0]; got.Body != grant+"&client_id="+mtls || got.Header.Get("Authorization") != "Basic "+basic(mtls, secret) {
			t.Errorf("the authorization server was sent %s with %v", got.Body, got.Header)
		}
		reusable := assertion(signing, p.Issuer, nil)
		// With a certificate, because these servers bind the tokens of every client.
		asked("assertion", client, form, reusable+"&"+grant+"&x=%20%2B+y&client_id="+signing, 200, "")
		if seen, err = p.Seen(t.Context()); err != nil || len(seen) != 1 || seen[0].Body != grant+"&x=%20%2B+y&client_id="+signing || seen[0].Header.Get("Authorization") != "Basic "+basic(signing, secretOf(t, p, signing)) {
			t.Errorf("the authorization server was sent %+v, %v, want one", seen, err)
		}
		asked("assertion for the endpoint, without client_id", client, form, grant+"&"+assertion(signing, []string{token}, nil), 200, "")

		unused := assertion(signing, p.Issuer, nil)
		basicHeader := http.Header{"Content-Type": form["Content-Type"], "Authorization": {"Basic " + basic(mtls, secret)}}
		for _, c := range []struct {
			name   string
			by     *tpp.Client
			header http.Header
			body   string
			code   string
		}{
			{"no certificate", anonymous, form, grant + "&client_id=" + mtls, "invalid_client"},
			{"another certificate", p.Client(p.Other), form, grant + "&client_id=" + mtls, "invalid_client"},
			{"the very secret", client, basicHeader, grant, "invalid_client"},
			{"the secret in the body", client, form, grant + "&client_id=" + mtls + "&client_secret=" + url.QueryEscape(secret), "invalid_client"},
			{"an assertion of a client without", client, form, grant + "&" + assertion(mtls, p.Issuer, nil), "invalid_client"},
			{"an assertion without a certificate", anonymous, form, grant + "&" + unused, "invalid_client"},
			{"an assertion with another certificate", p.Client(p.Other), form, grant + "&" + unused, "invalid_client"},
			{"no assertion", client, form, grant + "&client_id=" + signing, "invalid_client"},
			{"the same assertion again", client, form, grant + "&" + reusable, "invalid_client"},
			{"another software's key", client, form, grant + "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=" + foreign, "invalid_client"},
			{"another audience", client, form, grant + "&" + assertion(signing, "https://other.example", nil), "invalid_client"},
			{"expired", client, form, grant + "&" + assertion(signing, p.Issuer, map[string]any{"exp": 1}), "invalid_client"},
			{"no jti", client, form, grant + "&" + assertion(signing, p.Issuer, map[string]any{"jti": nil}), "invalid_client"},
		} {
			asked(c.name, c.by, c.header, c.body, 401, c.code)
		}
		asked("an assertion that was refused for want of a certificate", client, form, grant+"&"+unused, 200, "")
		asked("no assertion type", client, form, grant+"&"+strings.SplitN(assertion(signing, p.Issuer, nil), "&", 2)[1], 400, "invalid_request")

		// The token is the client's own, and ends with it at the AS too.
		r, err := client.Delete(t.Context(), p.Register, mtls, own)
		if err != nil || r.Status != http.StatusNoContent {
			t.Fatalf("got %v, %v, want 204", r, err)
		}
		if active, err := activeAtAS(t, p, own); err != nil || active {
			t.Errorf("the token of the deleted client is active at the authorization server: %v, %v", active, err)
		}
		if strings.Contains(p.Gateway.Log(), secret) {
			t.Error("the log has the secret")
		}
	})
}

// activeAtAS asks the AS itself, round the gateway, as the gateway's client.
func activeAtAS(t *testing.T, p *story.Play, token string) (bool, error) {
	t.Helper()
	path := strings.TrimPrefix(p.Endpoint("introspection_endpoint"), p.Issuer)
	c := tpp.NewClient(p.ClientOptions())
	defer c.Close()
	r, err := c.Token(t.Context(), p.AS.URL()+path, url.Values{"token": {token}}, tpp.Basic(p.AS.Config.GatewayID, p.AS.Config.GatewaySecret))
	if err != nil {
		return false, err
	}
	if r.Status != http.StatusOK {
		return false, fmt.Errorf("introspection: %v, want 200", r)
	}
	return r.JSON["active"] == true, nil
}

// TestAssertionAuthenticatesOneRequest: of requests that come together with one assertion one is authenticated.
func TestAssertionAuthenticatesOneRequest(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC, Binary: raceDetecting(t), Edits: []gateway.Edit{bridge}}))
	client := p.Client(p.Acme)
	id := registers(t, p, client, assertions).Text("client_id")
	assertion, err := p.Acme.Assertion(id, p.Issuer, nil)
	if err != nil {
		t.Fatal(err)
	}
	form := tpp.ClientCredentials("")
	form.Set("client_assertion", assertion)
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	var wait sync.WaitGroup
	got := make([]int, 20)
	for i := range got {
		wait.Go(func() {
			r, err := client.Token(t.Context(), p.Endpoint("token_endpoint"), form, nil)
			if err != nil {
				t.Error(err)
				return
			}
			got[i] = r.Status
		})
	}
	wait.Wait()
	count := map[int]int{}
	for _, status := range got {
		count[status]++
	}
	if count[200] != 1 || count[401] != len(got)-1 {
		t.Errorf("got %v, want 200 once and 401 %d times", count, len(got)-1)
	}
}

// TestRotatedSecret: the operator has the AS give the clients other secrets, and their
// TPPs, which ask for tokens all the time, do not notice.
func TestRotatedSecret(t *testing.T) {
	each(t, story.Options{Edits: []gateway.Edit{bridge, gateway.Unlimited}}, func(t *testing.T, p *story.Play) {
		client := p.Client(p.Acme)
		id := registers(t, p, client, nil).Text("client_id")
		before := secretOf(t, p, id)
		done := make(chan struct{})
		var wait sync.WaitGroup
		for range 4 {
			wait.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-done:
						return
					default:
					}
					r, err := client.Token(t.Context(), p.Endpoint("token_endpoint"), tpp.ClientCredentials(""), tpp.TLSClientAuth(id))
					if err != nil || r.Status != http.StatusOK {
						t.Errorf("request %d: %v, %v, want 200", n, r, err)
						return
					}
				}
			})
		}
		seen := map[string]bool{before: true}
		for n := range 5 {
			status, answer, err := p.Change(t.Context(), "clients/"+id, "rotate_secret", "rotation")
			if err != nil || status != http.StatusOK {
				t.Fatalf("rotation %d: %d %s, %v, want 200", n, status, answer, err)
			}
			now := secretOf(t, p, id)
			if seen[now] {
				t.Errorf("rotation %d gave an old secret", n)
			}
			seen[now] = true
		}
		close(done)
		wait.Wait()
		const body = `{"reason":"rotation","operator":"Anna"}`
		status, answer := operator(t, p, http.MethodPost, "secrets/rotate?workspace=default/obuk", body)
		if status != http.StatusOK || answer["rotated"] != 1.0 || fmt.Sprint(answer["failed"]) != "[]" {
			t.Errorf("all: %d %v, want 200", status, answer)
		}
		for _, call := range []string{"clients/nobody/rotate_secret", "clients/" + id + "/rotate_secret?workspace=nowhere", "secrets/rotate?workspace=nowhere"} {
			if status, _ := operator(t, p, http.MethodPost, call, body); status != http.StatusNotFound && status != http.StatusPreconditionRequired {
				t.Errorf("%s: %d, want 404 or 428", call, status)
			}
		}
		log := p.Gateway.Log()
		for secret := range seen {
			if strings.Contains(log, secret) {
				t.Error("the log has a secret")
			}
		}
	})
}

// TestRotatedSecretSurvivesCrash: the gateway is killed when the AS has given a client
// another secret and the answer is on its way. It finds the secret out by itself.
func TestRotatedSecretSurvivesCrash(t *testing.T) {
	each(t, story.Options{Binary: crashing(t), Edits: []gateway.Edit{bridge, gateway.Unlimited}}, func(t *testing.T, p *story.Play) {
		client := p.Client(p.Acme)
		id := registers(t, p, client, nil).Text("client_id")
		before := secretOf(t, p, id)
		path, err := p.InternalRegistration(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, method := range []string{http.MethodPut, http.MethodPost} {
			if err := p.AS.Fault(t.Context(), authserverprocess.Fault{PathContains: path, Method: method, After: true, Hold: true, Times: -1}); err != nil {
				t.Fatal(err)
			}
		}
		// Of a server that leaves the secret in an update, the registration that follows it.
		rotated := make(chan struct{})
		go func() {
			defer close(rotated)
			_, _, _ = p.Change(t.Context(), "clients/"+id, "rotate_secret", "rotation")
		}()
		for secretOf(t, p, id) == before {
			if err := p.AS.WaitHeld(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			if secretOf(t, p, id) == before {
				if err := p.AS.Release(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		restart(t, p, func() error {
			err := p.Gateway.Kill()
			<-rotated
			return errors.Join(err, p.AS.ResetFaults(t.Context()))
		})
		err = story.Eventually(t.Context(), 30*time.Second, func() error {
			r, err := client.Token(t.Context(), p.Endpoint("token_endpoint"), tpp.ClientCredentials(""), tpp.TLSClientAuth(id))
			if err == nil && r.Status != http.StatusOK {
				err = errors.New(r.String())
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}
