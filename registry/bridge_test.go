package registry_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// secrets gives a new secret with each of the calls that it is for.
func secrets(calls ...string) func(call, before string) string {
	n := 0
	return func(call, before string) string {
		for _, c := range calls {
			if c == call {
				n++
				return fmt.Sprintf("secret-%d", n)
			}
		}
		return before
	}
}

func (x *fixture) secretOf(c *registry.Client) string {
	x.t.Helper()
	now, err := x.Client(x.t.Context(), x.ws.Name, c.ClientID)
	if err != nil {
		x.t.Fatal(err)
	}
	secret, err := x.Secret(now)
	if err != nil {
		x.t.Fatal(err)
	}
	return secret
}

func TestRotateSecret(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		chooses bool
		calls   []string // that give a new secret
		want    string   // afterwards
		err     error
	}{
		{"the AS rotates with an update", false, []string{"create", "update"}, "secret-2", nil},
		{"only a registration gives a new one", true, []string{"create"}, "secret-2", nil},
		{"only a registration does, and would make another client", false, []string{"create"}, "secret-1", registry.ErrNoNewSecret},
	} {
		t.Run(test.name, func(t *testing.T) {
			run(t, test.chooses, func(x *fixture) {
				x.as.secret = secrets(test.calls...)
				c := x.register(request("jti1", ""))
				if c.Bridge != "client_secret_basic" || c.TokenEndpointAuth() != "bridge" || x.secretOf(c) != "secret-1" {
					t.Fatalf("%+v, want client_secret_basic by bridge, with secret-1", c)
				}
				for range 2 { // the second time with what the first left
					if err := x.RotateSecret(x.t.Context(), x.ws.Name, c.ClientID, registry.Act{}); !errors.Is(err, test.err) {
						t.Fatalf("got %v, want %v", err, test.err)
					}
					x.settle()
					if test.err == nil && x.secretOf(c) == test.want {
						break
					}
				}
				if got := x.secretOf(c); got != test.want {
					t.Errorf("secret %s, want %s", got, test.want)
				}
				x.as.set(func() {
					if got := x.as.clients[c.ClientID].ClientSecret; got != test.want {
						t.Errorf("the AS has %s, want %s", got, test.want)
					}
				})
				if _, err := x.Update(x.t.Context(), x.ws, c.ClientID, request("jti2", "")); err != nil {
					t.Errorf("the client cannot be changed afterwards: %v", err)
				}
			})
		})
	}
	t.Run("an AS that never gives another one", func(t *testing.T) {
		run(t, true, func(x *fixture) {
			x.as.secret = func(string, string) string { return "the same" }
			c := x.register(request("jti1", ""))
			if err := x.RotateSecret(x.t.Context(), x.ws.Name, c.ClientID, registry.Act{}); !errors.Is(err, registry.ErrNoNewSecret) {
				t.Errorf("got %v", err)
			}
		})
	})
	t.Run("native", func(t *testing.T) {
		run(t, true, func(x *fixture) {
			c := x.register(request("jti1", ""))
			if c.TokenEndpointAuth() != "native" {
				t.Errorf("%+v, want native authentication", c)
			}
			if err := x.RotateSecret(x.t.Context(), x.ws.Name, c.ClientID, registry.Act{}); !errors.Is(err, registry.ErrNative) {
				t.Errorf("got %v", err)
			}
			if err := x.RotateSecret(x.t.Context(), x.ws.Name, "nobody", registry.Act{}); !errors.Is(err, registry.ErrNotFound) {
				t.Errorf("got %v", err)
			}
			if err := x.RotateSecret(x.t.Context(), "nowhere", c.ClientID, registry.Act{}); !errors.Is(err, registry.ErrNotFound) {
				t.Errorf("got %v", err)
			}
			if _, err := x.Secret(c); err == nil {
				t.Error("a secret of a native client")
			}
			if calls := len(x.keys("later/")) + len(x.keys("outbox/")); calls != 0 {
				t.Errorf("%d entries of work are left", calls)
			}
		})
	})
}

// An answer with a new secret that is lost: the client is cured when the lease ends.
func TestRotatedSecretLost(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.as.secret = secrets("create", "update")
		c := x.register(request("jti1", ""))
		x.as.set(func() { x.as.fail["update"], x.as.carriedOut = []error{registry.ErrLost, registry.ErrLost}, true })
		if err := x.RotateSecret(x.t.Context(), x.ws.Name, c.ClientID, registry.Act{}); err == nil {
			t.Fatal("done, although both answers were lost")
		}
		time.Sleep(2 * time.Minute)
		x.settle()
		x.as.set(func() {
			if got, want := x.secretOf(c), x.as.clients[c.ClientID].ClientSecret; got != want {
				t.Errorf("the registry has %s, the AS %s", got, want)
			}
		})
	})
}

// TestNewerSecret waits for the change that may be why the AS refuses a secret.
func TestNewerSecret(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.as.secret = secrets("create", "update")
		c := x.register(request("jti1", ""))
		if newer, err := x.NewerSecret(x.t.Context(), c); newer != nil || err != nil {
			t.Errorf("nothing has changed: %v, %v", newer, err)
		}
		x.as.answersAfter(3 * time.Second)
		var group sync.WaitGroup
		group.Go(func() {
			if err := x.RotateSecret(x.t.Context(), x.ws.Name, c.ClientID, registry.Act{}); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait() // at the AS
		begun := time.Now()
		newer, err := x.NewerSecret(x.t.Context(), c)
		if err != nil || newer == nil {
			t.Fatalf("got %v, %v", newer, err)
		}
		if secret, err := x.Secret(newer); err != nil || secret != "secret-2" || time.Since(begun) > 4*time.Second {
			t.Errorf("%s after %s, %v", secret, time.Since(begun), err)
		}
		wait.ForGroup(t, &group, "calls at the same time")
		if err := x.Delete(x.t.Context(), x.ws, c.ClientID, registry.Presented{}); err != nil {
			t.Fatal(err)
		}
		if newer, err := x.NewerSecret(x.t.Context(), c); newer != nil || err != nil {
			t.Errorf("of a deleted client: %v, %v", newer, err)
		}
	})
}

func TestUseAssertion(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		c := x.register(request("jti1", ""))
		other := x.register(request("jti2", ""))
		until := time.Now().Add(time.Hour)
		use := func(c *registry.Client, jti string) error { return x.UseAssertion(x.t.Context(), c, jti, until) }
		if err := errors.Join(use(c, "a"), use(c, "b"), use(other, "a")); err != nil {
			t.Fatal(err)
		}
		refused(t, use(c, "a"), refusal.InvalidClient, "client_assertion")
		time.Sleep(time.Hour) // expired, and remembered for clocks that are behind
		refused(t, use(c, "a"), refusal.InvalidClient, "client_assertion")
		time.Sleep(3 * time.Minute)
		until = time.Now().Add(time.Hour)
		if err := use(c, "a"); err != nil {
			t.Error(err)
		}
	})
}

// TestRevokeAsBridged: the gateway is the client that a token belongs to while there
// is one, in a deletion before it is gone.
func TestRevokeAsBridged(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.as.secret = secrets("create")
		c := x.register(request("jti1", ""))
		p := presented("token1")
		p.Token.ClientID, p.Bridge = c.ClientID, c.Bridge
		if err := x.EndToken(x.t.Context(), x.ws, p); err != nil {
			t.Fatal(err)
		}
		x.settle()
		p.Token.Raw = "token2"
		if err := x.Delete(x.t.Context(), x.ws, c.ClientID, p); err != nil {
			t.Fatal(err)
		}
		p.Token.Raw = "token3"
		if err := x.EndToken(x.t.Context(), x.ws, p); err != nil {
			t.Fatal(err)
		}
		x.settle()
		if len(x.as.revocations) != 3 {
			t.Fatalf("%+v, want three", x.as.revocations)
		}
		for i, v := range x.as.revocations[:2] {
			if v.ClientID != c.ClientID || v.Bridge != "client_secret_basic" || v.ClientSecret != "secret-1" || v.Certificate != nil {
				t.Errorf("revocation %d: %+v", i+1, v)
			}
		}
		if v := x.as.revocations[2]; v.ClientID != "" || v.Bridge != "" || v.ClientSecret != "" {
			t.Errorf("as a client that is gone: %+v", v)
		}
	})
}
