package e2e_test

import (
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// noRegistrar leaves the gateway without a client that could revoke registration tokens:
// go-oidc lets no other client do so, and they stay active at it.
var noRegistrar = gateway.At("access_token").Replace("access_token dcr_register")

// tokenOff lets clients register without a token.
var tokenOff = gateway.At("access_token").Replace("access_token off")

// copyStore stops the gateway, copies its store, and runs it again.
func copyStore(t *testing.T, p *story.Play) (copied string) {
	t.Helper()
	copied = filepath.Join(t.TempDir(), "copy")
	restart(t, p, func() error {
		return errors.Join(p.Gateway.Stop(), os.CopyFS(copied, os.DirFS(filepath.Join(p.Dir, "store"))))
	})
	return copied
}

// putBack puts a copy in the place of the store. A label declares that.
func putBack(t *testing.T, p *story.Play, copied, label string) {
	t.Helper()
	caddyfile := p.Caddyfile
	if label != "" {
		caddyfile = edited(t, caddyfile, gateway.At(gateway.Global, "openbanking_dcr").Add("restored \""+label+"\""))
	}
	store := filepath.Join(p.Dir, "store")
	restart(t, p, func() error {
		return errors.Join(p.Gateway.Stop(), os.RemoveAll(store), os.CopyFS(store, os.DirFS(copied)), os.WriteFile(filepath.Join(p.Dir, "Caddyfile"), []byte(caddyfile), 0o600))
	})
}

// TestRestoredStore: what was used after the copy was made is not good again when the copy
// is put back and that is declared.
func TestRestoredStore(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tokens string
		set    map[string]any // in the AS's introspection answers
		told   string
	}{
		"opaque": {"opaque", nil, "issued at"}, "jwt": {"jwt", nil, "issued at"},
		"opaque without iat": {"opaque", map[string]any{"iat": nil}, "does not say when it was issued"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC, AccessTokens: c.tokens, Edits: []gateway.Edit{noRegistrar}}))
			introspection := strings.TrimPrefix(p.Endpoint("introspection_endpoint"), p.Issuer)
			if err := p.AS.Fault(t.Context(), authserverprocess.Fault{PathContains: introspection, Times: -1, After: true, Set: c.set}); c.set != nil && err != nil {
				t.Fatal(err)
			}
			client := p.Client(p.Acme)
			id, own := registered(t, p)
			token, body, err := p.Prepare(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			request := func() string {
				t.Helper()
				body, err := p.Acme.Request(nil)
				if err != nil {
					t.Fatal(err)
				}
				return body
			}
			update := request()
			copied := copyStore(t, p)
			r, err := client.Register(t.Context(), p.Register, token, body)
			forgotten := answered(t, r, err, 201, "").Text("client_id")
			r, err = client.Register(t.Context(), p.Register, token, request())
			answered(t, r, err, 401, "invalid_token")
			r, err = client.Update(t.Context(), p.Register, id, own, update)
			answered(t, r, err, 200, "")

			putBack(t, p, copied, "the copy of today")
			for range 2 {
				r, err = client.Register(t.Context(), p.Register, token, request())
				if told := answered(t, r, err, 401, "invalid_token").Text("error_description"); !strings.Contains(told, c.told) {
					t.Errorf("got %q, want %q", told, c.told)
				}
				r, err = client.Update(t.Context(), p.Register, id, own, update)
				if told := answered(t, r, err, 400, "invalid_client_metadata").Text("error_description"); !strings.Contains(told, "iat: ") {
					t.Errorf("got %q, want a refusal of iat", told)
				}
				restart(t, p, p.Gateway.Stop) // the epoch outlives the start that has begun it
			}
			says(t, p.Gateway, `"rule":"epoch"`)
			saysTimes(t, p.Gateway, 1, "the store was restored")
			saysTimes(t, p.Gateway, 3, "enforces an epoch") // one for each start
			// A client of the copy goes on. One that was forgotten is for the operator.
			if _, err := p.ClientToken(t.Context(), p.Acme, id); err != nil {
				t.Error(err)
			}
			if _, err := p.ClientToken(t.Context(), p.Acme, forgotten); err == nil || !strings.Contains(err.Error(), "no client is registered here") {
				t.Errorf("a client that was forgotten: %v", err)
			}
			if status, answer, err := p.Change(t.Context(), "epoch", "confirm", "looked"); err != nil || status != http.StatusOK {
				t.Fatalf("%d %s, %v, want 200", status, answer, err)
			}
			if _, err := p.ClientToken(t.Context(), p.Acme, forgotten); err != nil {
				t.Errorf("confirmed: %v", err)
			}
		})
	}
}

// TestRestoredRequests: where no token is demanded, the request alone is what could be
// sent again.
func TestRestoredRequests(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC, Edits: []gateway.Edit{tokenOff}}))
	body, err := p.Acme.Request(nil)
	if err != nil {
		t.Fatal(err)
	}
	client, copied := p.Client(p.Acme), copyStore(t, p)
	r, err := client.Register(t.Context(), p.Register, "", body)
	answered(t, r, err, 201, "")
	putBack(t, p, copied, "") // which nobody can tell from a store that was never used
	r, err = client.Register(t.Context(), p.Register, "", body)
	answered(t, r, err, 201, "")
	putBack(t, p, copied, "2026-11-29")
	r, err = client.Register(t.Context(), p.Register, "", body)
	if told := answered(t, r, err, 400, "invalid_client_metadata").Text("error_description"); !strings.Contains(told, "may have been sent before") {
		t.Errorf("got %q, want may have been sent before", told)
	}
}

// TestRestoredAssertions: in bridge mode the gateway alone knows which client assertions
// were used.
func TestRestoredAssertions(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC, Edits: []gateway.Edit{bridge}}))
	client := p.Client(p.Acme)
	id := registers(t, p, client, assertions).Text("client_id")
	for name, overrides := range map[string]map[string]any{"with iat": nil, "without iat": {"iat": nil}} {
		text, err := p.Acme.Assertion(id, p.Issuer, overrides)
		if err != nil {
			t.Fatal(err)
		}
		form := "grant_type=client_credentials&scope=&client_assertion_type=" + url.QueryEscape("urn:ietf:params:oauth:client-assertion-type:jwt-bearer") + "&client_assertion=" + text
		asks := func() *tpp.Response {
			t.Helper()
			r, err := client.Do(t.Context(), http.MethodPost, p.Endpoint("token_endpoint"), http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, []byte(form))
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		copied := copyStore(t, p)
		answered(t, asks(), nil, 200, "")
		answered(t, asks(), nil, 401, "invalid_client")
		putBack(t, p, copied, "a copy "+name)
		if told := answered(t, asks(), nil, 401, "invalid_client").Text("error_description"); !strings.Contains(told, "may have been used before") {
			t.Errorf("%s: got %q, want may have been used before", name, told)
		}
		putBack(t, p, copied, "") // for the next, which was made before the epoch too
	}
}
