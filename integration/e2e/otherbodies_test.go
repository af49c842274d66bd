package e2e_test

import (
	"net/http"
	"strconv"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// TestOtherBodies: JSON of a client that the registry does not know reaches the AS as it came
// and without a certificate, where the operator says so; nobody else's does.
func TestOtherBodies(t *testing.T) {
	once(t, story.Options{Replace: []gateway.Replacement{gateway.Unlimited}}, func(t *testing.T, p *story.Play) {
		client, token := p.Client(p.Acme), p.Endpoint("token_endpoint")
		id := registers(t, p, client, nil).Text("client_id")
		const body = `{"grant_type": "client_credentials", "scope": ""}`
		send := func(body string, change func(http.Header)) (status int, seen []authserverprocess.Request) {
			t.Helper()
			if err := p.AS.ResetRequests(t.Context()); err != nil {
				t.Fatal(err)
			}
			header := http.Header{"Content-Type": {"application/json"}, "Authorization": {"Basic " + basic("mobile-app", "x")}}
			if change != nil {
				change(header)
			}
			r, err := client.Do(t.Context(), http.MethodPost, token, header, []byte(body))
			if err != nil {
				t.Fatal(err)
			}
			if seen, err = p.AS.RequestsTo(t.Context(), http.MethodPost, "/token"); err != nil {
				t.Fatal(err)
			}
			return r.Status, seen
		}
		if status, seen := send(body, nil); status != http.StatusUnsupportedMediaType || len(seen) != 0 {
			t.Errorf("by default: %d, the authorization server saw %v", status, seen)
		}
		reload(t, p, "other_bodies pass")
		_, seen := send(body, nil)
		if len(seen) != 1 || seen[0].Header.Get("Client-Cert") != "" || seen[0].Header.Get("Authorization") != "Basic "+basic("mobile-app", "x") {
			t.Fatalf("with other_bodies pass the authorization server saw %+v", seen)
		}
		// oidc-provider reads no body of this type.
		if seen[0].Header.Get("Content-Length") != strconv.Itoa(len(body)) || seen[0].BodyLength > 0 && seen[0].Body != body {
			t.Errorf("it saw the body %q", seen[0].Body)
		}
		for name, c := range map[string]struct {
			body   string
			change func(http.Header)
		}{
			"a registered client in Basic":    {body, func(h http.Header) { h.Set("Authorization", "Basic "+basic(id, "x")) }},
			"a registered client in the body": {`{"grant_type":"client_credentials","client_id":"` + id + `"}`, nil},
			"nobody in Basic":                 {`{"grant_type":"client_credentials","client_id":"` + id + `"}`, func(h http.Header) { h.Del("Authorization") }},
			"packed":                          {body, func(h http.Header) { h.Set("Content-Encoding", "gzip") }},
			"text":                            {"client_id=" + id, func(h http.Header) { h.Set("Content-Type", "text/plain") }},
			"another character set":           {body, func(h http.Header) { h.Set("Content-Type", "application/json; charset=utf-16") }},
			"a form of a registered client in Latin 1": {"grant_type=client_credentials&client_id=" + id, func(h http.Header) {
				h.Set("Content-Type", "application/x-www-form-urlencoded; charset=iso-8859-1")
			}},
		} {
			if status, seen := send(c.body, c.change); status != http.StatusUnsupportedMediaType || len(seen) != 0 {
				t.Errorf("%s: %d, the authorization server saw %v", name, status, seen)
			}
		}
	})
}
