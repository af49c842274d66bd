package e2e_test

import (
	"crypto/tls"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// What most tests here do with a stage, each step fatal when it fails.

// reload gives the running gateway its first Caddyfile with the edits. The next call begins
// with the first Caddyfile again.
func reload(t *testing.T, p *story.Play, edits ...gateway.Edit) {
	t.Helper()
	if err := p.Reload(t.Context(), edited(t, p.Caddyfile, edits...)); err != nil {
		t.Fatal(err)
	}
}

func edited(t *testing.T, caddyfile string, edits ...gateway.Edit) string {
	t.Helper()
	caddyfile, err := gateway.Apply(caddyfile, edits...)
	if err != nil {
		t.Fatal(err)
	}
	return caddyfile
}

// store is the line of the gateway's store, and what is in its block.
var store = gateway.At(gateway.Global, "openbanking_dcr", "store")

// answered holds status and error of an answer, and the challenge of a 401 and 403. At
// the token endpoint, whose refusals are invalid_client, there is none.
func answered(t *testing.T, r *tpp.Response, err error, status int, code string) *tpp.Response {
	t.Helper()
	if err != nil || r.Status != status || r.Text("error") != code {
		t.Fatalf("got %v, %v, want %d %s", r, err, status, code)
	}
	challenge := r.Header.Get("WWW-Authenticate")
	if need := status == 401 || status == 403; code != "invalid_client" && need != strings.HasPrefix(challenge, "Bearer realm=") {
		t.Errorf("%d with the challenge %q", status, challenge)
	}
	return r
}

// registers posts a request of Acme's with other claims and a new token.
func registers(t *testing.T, p *story.Play, client *tpp.Client, overrides map[string]any) *tpp.Response {
	t.Helper()
	token, _, err := p.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	body, err := p.Acme.Request(overrides)
	if err != nil {
		t.Fatal(err)
	}
	r, err := client.Register(t.Context(), p.Register, token, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// presenting is a client of the stage with another certificate.
func presenting(t *testing.T, p *story.Play, certificate tls.Certificate) *tpp.Client {
	t.Helper()
	options := p.ClientOptions()
	options.Certificate = &certificate
	c := tpp.NewClient(options)
	t.Cleanup(c.Close)
	return c
}

// registered is a new client of Acme's, and a token of its own.
func registered(t *testing.T, p *story.Play) (id, token string) {
	t.Helper()
	id, err := p.RegisterAnother(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if token, err = p.ClientToken(t.Context(), p.Acme, id); err != nil {
		t.Fatal(err)
	}
	return id, token
}

// restart ends the gateway, as end says, and runs it again.
func restart(t *testing.T, p *story.Play, end func() error) {
	t.Helper()
	if err := errors.Join(end(), p.Gateway.Restart(t.Context())); err != nil {
		t.Fatal(err)
	}
	p.CloseIdle()
}

// outcome is what a request that somebody waits for has come to.
type outcome struct {
	*tpp.Response
	err error
}

// holdsRegistration posts a registration of Acme's and returns when the AS holds it,
// before or after it has carried it out: until p.AS.Release.
func holdsRegistration(t *testing.T, p *story.Play, after bool) (token, body string, answer <-chan outcome) {
	t.Helper()
	path, err := p.InternalRegistration(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if token, body, err = p.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.AS.Hold(t.Context(), http.MethodPost, path, after); err != nil {
		t.Fatal(err)
	}
	done := make(chan outcome, 1)
	go func() {
		r, err := p.Client(p.Acme).Register(t.Context(), p.Register, token, body)
		done <- outcome{r, err}
	}()
	if err := p.AS.WaitHeld(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	return token, body, done
}
