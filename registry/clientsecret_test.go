package registry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// requestFor is request for a token_endpoint_auth_method.
func requestFor(method, jti, token string) registry.Registration {
	in := request(jti, token)
	in.Checked.Metadata.TokenEndpointAuthMethod, in.Checked.Metadata.TLSClientAuthSubjectDN = method, ""
	return in
}

// holdsSecret holds whether a secret is the client's.
func (x *fixture) holdsSecret(clientID, secret string, want bool) {
	x.t.Helper()
	c, err := x.Client(x.t.Context(), x.ws.Name, clientID)
	if err != nil {
		x.t.Fatal(err)
	}
	if c.NewSecret != "" {
		x.t.Error("a secret is told twice")
	}
	got := bytes.Equal(c.SecretHash(), verify.SecretHash(secret))
	if signs, err := x.SigningSecret(c); err == nil {
		got = signs == secret
	}
	if got != want {
		x.t.Errorf("%s is the client's secret: %v, want %v", secret, got, want)
	}
}

// schemaOf is that of the client's record.
func (x *fixture) schemaOf(c *registry.Client) (v int) {
	x.t.Helper()
	var record struct {
		V int `json:"v"`
	}
	if err := json.Unmarshal([]byte(x.get("client/"+strings.ReplaceAll(x.ws.Name, "/", "%2F")+"/"+c.ID)), &record); err != nil {
		x.t.Fatal(err)
	}
	return record.V
}

// TestClientSecret: of a secret that is sent the store has the hash, of one that signs the
// sealed form, and a record with one is of a schema that versions without secrets refuse.
func TestClientSecret(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.as.secret = secrets("create")
		seen := map[string]bool{}
		for i, method := range verify.SecretMethods {
			c := x.register(requestFor(method, "jti"+method, ""))
			if len(c.NewSecret) != 32 || seen[c.NewSecret] {
				t.Errorf("%s: secret %q", method, c.NewSecret)
			}
			seen[c.NewSecret] = true
			x.holdsSecret(c.ClientID, c.NewSecret, true)
			x.holdsSecret(c.ClientID, c.NewSecret+"x", false)
			x.holdsSecret(c.ClientID, "", false)
			if x.schemaOf(c) != 2 {
				t.Errorf("%s: schema %d", method, x.schemaOf(c))
			}
			if at, err := x.Secret(c); err != nil || at == c.NewSecret {
				t.Errorf("%s: at the AS the secret is %q, %v", method, at, err)
			}
			if _, err := x.SigningSecret(c); (err == nil) != (method == verify.ClientSecretJWT) {
				t.Errorf("%s: to sign with: %v", method, err)
			}
			if (c.SecretHash() == nil) != (method == verify.ClientSecretJWT) {
				t.Errorf("%s: hash %x", method, c.SecretHash())
			}
			if list, _, err := x.List(x.t.Context(), x.ws.Name, registry.ByTime, "", "", 10); err != nil || len(list) != i+1 {
				t.Errorf("%d clients, %v", len(list), err)
			}
		}
		for _, k := range x.keys("") {
			for secret := range seen {
				if strings.Contains(x.get(k), secret) {
					t.Errorf("%s holds a secret", k)
				}
			}
		}
		none := x.register(request("jti-tls", ""))
		if none.NewSecret != "" || none.SecretHash() != nil || x.schemaOf(none) != 1 {
			t.Errorf("a client without a secret: %+v", none)
		}
		for secret := range seen {
			x.holdsSecret(none.ClientID, secret, false)
		}
	})
}

// TestClientSecretOfAnUpdate: a secret stays while the method does, is replaced with
// another method, and ends with one that has none. An update that fails changes nothing.
func TestClientSecretOfAnUpdate(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.as.secret = secrets("create")
		c := x.register(requestFor("tls_client_auth", "jti0", ""))
		id, current := c.ClientID, ""
		put := func(method, jti string, fresh bool) {
			t.Helper()
			u, err := x.Update(x.t.Context(), x.ws, id, requestFor(method, jti, ""))
			if err != nil {
				t.Fatal(err)
			}
			if (u.NewSecret != "") != fresh {
				t.Errorf("%s: new secret %q, want one: %v", method, u.NewSecret, fresh)
			}
			if fresh {
				if current != "" {
					x.holdsSecret(id, current, false)
				}
				current = u.NewSecret
			}
			if current != "" {
				x.holdsSecret(id, current, verify.HasSecret(method))
			}
			if want := map[bool]int{true: 2, false: 1}[verify.HasSecret(method)]; x.schemaOf(c) != want {
				t.Errorf("%s: schema %d", method, x.schemaOf(c))
			}
		}
		put("client_secret_basic", "jti1", true)
		put("client_secret_basic", "jti2", false)
		put("client_secret_post", "jti3", true)
		put("client_secret_jwt", "jti4", true)
		put("client_secret_jwt", "jti5", false)
		x.as.set(func() {
			x.as.fail["update"] = []error{refusal.New(refusal.InvalidClientMetadata, "x", "no; another")}
		})
		if _, err := x.Update(x.t.Context(), x.ws, id, requestFor("client_secret_basic", "jti6", "")); err == nil {
			t.Fatal("the AS has refused")
		}
		x.settle()
		x.holdsSecret(id, current, true)
		if err := x.RotateSecret(x.t.Context(), x.ws.Name, id, registry.Act{}); err != nil && !errors.Is(err, registry.ErrNoNewSecret) {
			t.Error(err)
		}
		x.settle()
		x.holdsSecret(id, current, true)
		put("private_key_jwt", "jti7", false)
		put("client_secret_basic", "jti8", true)
		put("tls_client_auth", "jti9", false)
	})
}

// TestClientSecretOfARepeatedRegistration: the answer that was lost took the secret with
// it, so that the client gets another one and the one before ends.
func TestClientSecretOfARepeatedRegistration(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{registry.ReregisterReturn, registry.ReregisterUpdate} {
		for _, method := range verify.SecretMethods {
			run(t, true, func(x *fixture) {
				x.as.secret = secrets("create")
				x.wants(mode)
				c := x.register(requestFor(method, "jti1", "token1"))
				last := c.NewSecret
				for _, in := range []registry.Registration{requestFor(method, "jti1", "token1"), requestFor(method, "jti1", "token1"), requestFor(method, "jti2", "token2")} {
					again := x.register(in)
					if again.ClientID != c.ClientID || len(again.NewSecret) != 32 || again.NewSecret == last {
						t.Errorf("%s, %s: %+v, want client %s with a new secret of 32 characters", mode, method, again, c.ClientID)
					}
					x.holdsSecret(c.ClientID, last, false)
					last = again.NewSecret
					x.holdsSecret(c.ClientID, last, true)
				}
				x.settle()
				told := 0
				for _, e := range x.trail() {
					if e.Change == registry.AuditRepeated {
						told++
					}
				}
				if told != 3 {
					t.Errorf("%s, %s: %d entries that a secret was told again, want 3", mode, method, told)
				}
				if mode == registry.ReregisterUpdate {
					other := requestFor(method, "jti3", "token3")
					other.Checked.Metadata.Scope = "openid"
					again := x.register(other)
					x.holdsSecret(c.ClientID, last, false)
					x.holdsSecret(c.ClientID, again.NewSecret, true)
					return
				}
				// Changed since: the repetition is answered with what it is now.
				changed := requestFor(method, "jti4", "")
				changed.Checked.Metadata.Scope = "openid"
				if _, err := x.Update(x.t.Context(), x.ws, c.ClientID, changed); err != nil {
					t.Fatal(err)
				}
				again := x.register(requestFor(method, "jti1", "token1"))
				x.holdsSecret(c.ClientID, last, false)
				x.holdsSecret(c.ClientID, again.NewSecret, true)
			})
		}
	}
}

// Of POSTs that come together each is told a secret, and the last one counts.
func TestClientSecretOfRepeatedRegistrationsTogether(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.as.secret = secrets("create")
		x.wants(registry.ReregisterReturn)
		var group sync.WaitGroup
		secrets := make([]string, 8)
		id := ""
		for i := range secrets {
			group.Go(func() {
				c, err := x.Register(x.t.Context(), x.ws, requestFor("client_secret_basic", "jti1", "token1"))
				if err != nil {
					t.Error(err)
					return
				}
				secrets[i] = c.NewSecret
				if i == 0 {
					id = c.ClientID
				}
			})
		}
		wait.ForGroup(t, &group, "calls at the same time")
		c, err := x.Client(x.t.Context(), x.ws.Name, id)
		if err != nil {
			t.Fatal(err)
		}
		good := 0
		for _, secret := range secrets {
			if bytes.Equal(c.SecretHash(), verify.SecretHash(secret)) {
				good++
			}
		}
		slices.Sort(secrets)
		if good != 1 || len(slices.Compact(secrets)) != len(secrets) {
			t.Errorf("%d of the secrets count: %q", good, secrets)
		}
	})
}

// waiting is an AS that holds the answer to an update until it may go.
type waiting struct {
	*as
	called, goes chan struct{}
}

func (a *waiting) Update(ctx context.Context, c *registry.Client) (*registry.Provisioned, error) {
	close(a.called)
	<-a.goes
	return a.as.Update(ctx, c)
}

// A repetition that comes while an update is under way: its secret outlives the update.
func TestClientSecretOfARepetitionMeanwhile(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.as.secret = secrets("create")
		x.wants(registry.ReregisterReturn)
		c := x.register(requestFor("client_secret_post", "jti1", "token1"))
		slow := x.ws
		at := &waiting{x.as, make(chan struct{}), make(chan struct{})}
		slow.Provisioner = at
		done := make(chan error, 1)
		go func() {
			_, err := x.Update(x.t.Context(), slow, c.ClientID, requestFor("client_secret_post", "jti2", ""))
			done <- err
		}()
		select {
		case <-at.called:
		case err := <-done:
			x.t.Fatalf("the update has ended before the authorization server was called: %v", err)
		}
		again := x.register(requestFor("client_secret_post", "jti1", "token1"))
		close(at.goes)
		if err := wait.For(x.t, done, "the rotation"); err != nil {
			x.t.Fatal(err)
		}
		x.holdsSecret(c.ClientID, c.NewSecret, false)
		x.holdsSecret(c.ClientID, again.NewSecret, true)
	})
}

// A record of a version to come is left alone, whatever it holds.
func TestClientRecordOfALaterVersion(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		c := x.register(request("jti1", ""))
		k := "client/" + strings.ReplaceAll(x.ws.Name, "/", "%2F") + "/" + c.ID
		later := strings.Replace(x.get(k), `"v":1`, `"v":3`, 1)
		if err := x.store.Update(x.t.Context(), func(w registry.Writer) error { return w.Put(k, []byte(later)) }); err != nil {
			x.t.Fatal(err)
		}
		if _, err := x.Client(x.t.Context(), x.ws.Name, c.ClientID); err == nil || !strings.Contains(err.Error(), "of schema 3, this version knows 2: run the newer version") {
			x.t.Errorf("got %v", err)
		}
	})
}

// generations seals with the newest of its keys, and opens with all that it has.
type generations struct{ keys []string }

func (g *generations) Seal(secret []byte, context string) ([]byte, error) {
	return plain{}.Seal(secret, g.keys[0]+" "+context)
}

func (g *generations) Open(sealed []byte, context string) ([]byte, error) {
	for _, k := range g.keys {
		if secret, err := (plain{}).Open(sealed, k+" "+context); err == nil {
			return secret, nil
		}
	}
	return nil, errors.New("sealed with another key")
}

// A change seals the secret of a client with client_secret_jwt with the newest key, so that
// the older ones can go when every client has changed.
func TestClientSecretIsSealedAgain(t *testing.T) {
	t.Parallel()
	keyset := &generations{[]string{"old"}}
	runSealed(t, true, keyset, func(x *fixture) {
		x.as.secret = secrets("create")
		c := x.register(requestFor("client_secret_jwt", "jti1", ""))
		keyset.keys = []string{"new", "old"}
		x.holdsSecret(c.ClientID, c.NewSecret, true)
		if _, err := x.Update(x.t.Context(), x.ws, c.ClientID, requestFor("client_secret_jwt", "jti2", "")); err != nil {
			x.t.Fatal(err)
		}
		keyset.keys = []string{"new"}
		x.holdsSecret(c.ClientID, c.NewSecret, true)
	})
}
