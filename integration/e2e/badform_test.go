package e2e_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// TestBadForms: what a request of a client of the registry may not be at the token
// endpoint, although it comes with the client's own certificate: each is answered as
// RFC 6749 5.2 says, in native and in bridge mode, and the AS sees none of them.
func TestBadForms(t *testing.T) {
	t.Parallel()
	for name, replace := range map[string][]gateway.Replacement{"native": {gateway.Unlimited}, "bridge": {gateway.Unlimited, bridge}} {
		t.Run(name, func(t *testing.T) {
			once(t, story.Options{Replace: replace}, func(t *testing.T, p *story.Play) { badForms(t, p) })
		})
	}
}

func badForms(t *testing.T, p *story.Play) {
	client, token := p.Client(p.Acme), p.Endpoint("token_endpoint")
	id := registers(t, p, client, nil).Text("client_id")
	signing := registers(t, p, client, assertions).Text("client_id")
	sign := func() string {
		text, err := p.Acme.Assertion(signing, p.Issuer, nil)
		if err != nil {
			t.Fatal(err)
		}
		return "client_assertion=" + text
	}
	if err := p.AS.ResetRequests(t.Context()); err != nil {
		t.Fatal(err)
	}
	const asForm, kind = "application/x-www-form-urlencoded", "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"
	own := "grant_type=client_credentials&scope=&client_id=" + id
	with := func(name, value string) http.Header {
		return http.Header{"Content-Type": {asForm}, name: {value}}
	}
	plain := http.Header{"Content-Type": {asForm}}
	for _, c := range []struct {
		name   string
		method string
		query  string
		header http.Header
		body   string
		status int
		code   string
	}{
		{"a parameter twice", "POST", "", plain, own + "&scope=accounts", 400, "invalid_request"},
		{"a parameter twice with the same value", "POST", "", plain, own + "&grant_type=client_credentials", 400, "invalid_request"},
		{"a parameter in the body and in the address", "POST", "?scope=accounts", plain, own, 400, "invalid_request"},
		{"client_id in the address", "POST", "?client_id=" + id, plain, "grant_type=client_credentials&scope=", 400, "invalid_request"},
		{"an assertion in the address", "POST", "?" + kind + "&" + sign(), plain, "grant_type=client_credentials&scope=", 400, "invalid_request"},
		{"a null byte in a value", "POST", "", plain, own + "&resource=a%00b", 400, "invalid_request"},
		{"a null byte in a name", "POST", "", plain, own + "&a%00b=c", 400, "invalid_request"},
		{"not UTF-8", "POST", "", plain, own + "&resource=%ff%fe", 400, "invalid_request"},
		{"not UTF-8, unescaped", "POST", "", plain, own + "&resource=\xff\xfe", 400, "invalid_request"},
		{"Basic and the body", "POST", "", with("Authorization", "Basic "+basic(id, "x")), own, 401, "invalid_client"},
		{"Basic and another id in the body", "POST", "", with("Authorization", "Basic "+basic("other", "x")), own, 401, "invalid_client"},
		{"Basic without a secret", "POST", "", with("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(id+":"))), "grant_type=client_credentials", 401, "invalid_client"},
		{"a secret in the body", "POST", "", plain, own + "&client_secret=x", 401, "invalid_client"},
		{"two empty secrets", "POST", "", plain, own + "&client_secret=&client_secret=", 400, "invalid_request"},
		{"two assertions", "POST", "", plain, "grant_type=client_credentials&" + kind + "&" + sign() + "&" + sign(), 400, "invalid_request"},
		{"the same assertion twice", "POST", "", plain, func() string { s := sign(); return "grant_type=client_credentials&" + kind + "&" + s + "&" + s }(), 400, "invalid_request"},
		{"an assertion and a secret", "POST", "", plain, "grant_type=client_credentials&client_secret=x&" + kind + "&" + sign(), 401, "invalid_client"},
		{"an assertion of one and the id of another", "POST", "", plain, own + "&" + kind + "&" + sign(), 401, "invalid_client"},
		{"GET", "GET", "?" + own, nil, "", 405, "invalid_request"},
		{"PUT", "PUT", "", plain, own, 405, "invalid_request"},
		{"JSON", "POST", "", http.Header{"Content-Type": {"application/json"}}, `{"client_id":"` + id + `"}`, 415, "invalid_request"},
		{"no content type", "POST", "", nil, own, 415, "invalid_request"},
		{"two content types", "POST", "", http.Header{"Content-Type": {asForm, "text/plain"}}, own, 415, "invalid_request"},
		{"1 MiB", "POST", "", plain, own + "&x=" + strings.Repeat("a", 1<<20), 413, "invalid_request"},
		{"half an escape", "POST", "", plain, own + "&x=%f", 400, "invalid_request"},
		{"semicolons", "POST", "", plain, strings.ReplaceAll(own, "&", ";"), 400, "invalid_request"},
	} {
		r, err := client.Do(t.Context(), c.method, token+c.query, c.header, []byte(c.body))
		if c.body == "" {
			r, err = client.Do(t.Context(), c.method, token+c.query, c.header, nil)
		}
		if err != nil || r.Status != c.status || r.Text("error") != c.code || r.Text("error_description") == "" || r.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v, %v, want %d %s", c.name, r, err, c.status, c.code)
			continue
		}
		if c.status == 405 && r.Header.Get("Allow") != "POST" {
			t.Errorf("%s: Allow is %q", c.name, r.Header.Get("Allow"))
		}
		scheme, _, _ := strings.Cut(r.Header.Get("WWW-Authenticate"), " ")
		if want := map[bool]string{true: "Basic"}[c.status == 401 && c.header.Get("Authorization") != ""]; scheme != want {
			t.Errorf("%s: the challenge is of the scheme %q, want %q", c.name, scheme, want)
		}
	}
	seen, err := p.Seen(t.Context())
	if err != nil || len(seen) != 0 {
		t.Errorf("the authorization server saw %d requests, the first %+v, %v", len(seen), seen, err)
	}
	// Whoever is not the registry's is the AS's affair, as before.
	for name, body := range map[string]string{
		"an unknown client":  "grant_type=client_credentials&client_id=nobody&x=1&x=2",
		"nobody at all":      "grant_type=client_credentials&scope=",
		"one like it, ahead": "grant_type=client_credentials&client_id=" + id + "x",
	} {
		r, err := client.Do(t.Context(), http.MethodPost, token, plain, []byte(body))
		if err != nil || r.Status < 400 || r.Header.Get("x-fapi-interaction-id") != "" {
			t.Errorf("%s: %v, %v", name, r, err)
		}
	}
	for name, body := range map[string]string{"the client itself": own, "with empty credentials": own + "&client_secret=&client_assertion=&client_assertion_type="} {
		r, err := client.Do(t.Context(), http.MethodPost, token, plain, []byte(body))
		if err != nil || r.Status != http.StatusOK {
			t.Errorf("%s: %v, %v", name, r, err)
		}
	}
}
