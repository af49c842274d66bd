package registry_test

import (
	"encoding/base64"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// narrower is a change of the scope.
func narrower(jti string) registry.Registration {
	in := request(jti, "")
	in.Checked.Metadata.Scope = "openid"
	return in
}

// apart fails unless the AS has the new scope and the registry the old one.
func (x *fixture) apart(clientID string) {
	x.t.Helper()
	got, err := x.Client(x.t.Context(), x.ws.Name, clientID)
	if err != nil || got.Metadata.Scope != "openid accounts" || x.as.scope(clientID) != "openid" {
		x.t.Fatalf("registry %+v, AS %q, %v", got, x.as.scope(clientID), err)
	}
}

// together fails unless both have the scope, nothing holds the client, and no
// work is left.
func (x *fixture) together(clientID, scope string) {
	x.t.Helper()
	got, err := x.Client(x.t.Context(), x.ws.Name, clientID)
	if err != nil || got.Metadata.Scope != scope || x.as.scope(clientID) != scope || got.Change != "" {
		x.t.Errorf("registry %+v, AS %q, %v", got, x.as.scope(clientID), err)
	}
	if left := slices.Concat(x.keys("outbox/"), x.keys("later/")); len(left) > 0 {
		x.t.Errorf("left to do: %q", left)
	}
}

func TestLostUpdate(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		c := x.register(request("jti1", ""))
		x.as.fail["update"], x.as.carriedOut = []error{registry.ErrLost}, true
		_, err := x.Update(x.t.Context(), x.ws, c.ClientID, narrower("jti2"))
		if !errors.Is(err, registry.ErrLost) || refusal.From(err).RetryAfter != time.Minute {
			t.Fatalf("%v, want ErrLost, with Retry-After of a minute", err)
		}
		x.apart(c.ClientID)
		// The lost request may still be on its way: nobody else changes the client.
		_, err = x.Update(x.t.Context(), x.ws, c.ClientID, narrower("jti3"))
		refused(t, err, refusal.Unavailable, "change")
		refused(t, x.Delete(x.t.Context(), x.ws, c.ClientID, presented("t")), refusal.Unavailable, "change")
		time.Sleep(time.Minute) // fake: the lease ends
		x.settle()
		x.together(c.ClientID, "openid accounts")
		if _, err := x.Update(x.t.Context(), x.ws, c.ClientID, narrower("jti2")); err != nil {
			t.Errorf("%v: the same request again", err)
		}
		x.together(c.ClientID, "openid")
	})
}

// The rotated registration access token went with the answer, and so did the
// answer to the repeated POST.
func TestLostUpdateWithAChosenID(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		c := x.register(request("jti1", ""))
		x.as.carriedOut = true
		x.as.fail["update"] = []error{registry.ErrLost}
		x.as.fail["create"] = []error{registry.ErrLost}
		if _, err := x.Update(x.t.Context(), x.ws, c.ClientID, narrower("jti2")); !errors.Is(err, registry.ErrLost) {
			t.Fatalf("%v, want %v", err, registry.ErrLost)
		}
		x.apart(c.ClientID)
		time.Sleep(time.Minute)
		x.settle()
		x.together(c.ClientID, "openid accounts")
		if x.as.count() != 1 {
			t.Errorf("%d clients at the AS", x.as.count())
		}
	})
}

// A crash is a request that goes no further, whatever it has done.
func TestCrashInAnUpdate(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		c := x.register(request("jti1", ""))
		x.as.crash = true
		var group sync.WaitGroup
		group.Go(func() {
			_, err := x.Update(x.t.Context(), x.ws, c.ClientID, narrower("jti2"))
			t.Error("went on:", err)
		})
		wait.ForGroup(t, &group, "calls at the same time")
		x.apart(c.ClientID)
		time.Sleep(time.Minute)
		x.settle()
		x.together(c.ClientID, "openid accounts")
	})
}

// The AS took the update, but not as it was told: what it made of it does not
// stand, and the credentials that it rotated do.
func TestUpdateThatTheASAltered(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		c := x.register(request("jti1", ""))
		x.as.carriedOut = true
		x.as.fail["update"] = []error{refusal.New(refusal.Unavailable, "", "it has another authentication method")}
		if _, err := x.Update(x.t.Context(), x.ws, c.ClientID, narrower("jti2")); err == nil {
			t.Fatal("taken")
		}
		x.settle() // at once
		x.together(c.ClientID, "openid accounts")
		if slices.Contains(x.as.calls[1:], "create") {
			t.Errorf("%q: the rotated credentials were not kept", x.as.calls)
		}
	})
}

func TestRestoreIsRetried(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		down := refusal.New(refusal.Unavailable, "", "down")
		c := x.register(request("jti1", ""))
		x.as.carriedOut = true
		x.as.fail["update"] = []error{registry.ErrLost, registry.ErrLost, registry.ErrLost}
		if _, err := x.Update(x.t.Context(), x.ws, c.ClientID, narrower("jti2")); err == nil {
			t.Fatal("taken")
		}
		x.as.mu.Lock()
		x.as.carriedOut = false
		x.as.fail["update"] = append(x.as.fail["update"], down, down)
		x.as.mu.Unlock()
		time.Sleep(10 * time.Minute)
		x.settle()
		x.together(c.ClientID, "openid accounts")
		if n := len(x.as.fail["update"]); n != 0 {
			t.Errorf("%d failures were not met", n)
		}
	})
}

// An AS that does not know the client, or its metadata, any more does not know
// them at the next attempt either.
func TestRestoreIsGivenUp(t *testing.T) {
	t.Parallel()
	for name, no := range map[string]error{
		"detached": registry.ErrDetached,
		"refused":  refusal.New(refusal.InvalidClientMetadata, "", "no"),
	} {
		t.Run(name, func(t *testing.T) {
			run(t, false, func(x *fixture) {
				c := x.register(request("jti1", ""))
				x.as.fail["update"] = []error{registry.ErrLost, no}
				if _, err := x.Update(x.t.Context(), x.ws, c.ClientID, narrower("jti2")); err == nil {
					t.Fatal("taken")
				}
				time.Sleep(time.Minute)
				x.settle()
				x.together(c.ClientID, "openid accounts")
				if calls := len(x.as.calls); calls != 3 {
					t.Errorf("%d calls: %q", calls, x.as.calls)
				}
			})
		})
	}
}

// What was deleted is not told again.
func TestRestoreOfADeletedClient(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		c := x.register(request("jti1", ""))
		down := refusal.New(refusal.Unavailable, "", "down")
		x.as.fail["update"] = []error{registry.ErrLost, down, down, down, down}
		if _, err := x.Update(x.t.Context(), x.ws, c.ClientID, narrower("jti2")); err == nil {
			t.Fatal("taken")
		}
		time.Sleep(time.Minute)
		x.settle()
		if err := x.Delete(x.t.Context(), x.ws, c.ClientID, presented("t")); err != nil {
			t.Fatal(err)
		}
		x.as.mu.Lock()
		x.as.calls = nil
		x.as.mu.Unlock()
		time.Sleep(10 * time.Minute)
		x.settle()
		if len(x.as.calls) != 0 || x.as.count() != 0 || len(x.keys("outbox/"))+len(x.keys("later/")) != 0 {
			t.Errorf("calls %q, %d clients, left %q %q", x.as.calls, x.as.count(), x.keys("outbox/"), x.keys("later/"))
		}
	})
}

// The AS takes all the time that it is given: what is known by then is written
// all the same.
func TestOutcomeIsStoredAfterTheDeadline(t *testing.T) {
	t.Parallel()
	t.Run("register", func(t *testing.T) {
		run(t, false, func(x *fixture) {
			x.as.hangsAt = "create"
			if _, err := x.Register(x.t.Context(), x.ws, request("jti1", "token1")); !errors.Is(err, registry.ErrLost) {
				t.Fatalf("%v, want %v", err, registry.ErrLost)
			}
			x.nothingLeft()
		})
	})
	t.Run("update", func(t *testing.T) {
		run(t, true, func(x *fixture) {
			c := x.register(request("jti1", ""))
			x.as.fail["update"] = []error{registry.ErrDetached}
			x.as.during = func() { x.as.hangsAt = "update" } // the one after the repeated registration
			if _, err := x.Update(x.t.Context(), x.ws, c.ClientID, narrower("jti2")); !errors.Is(err, registry.ErrLost) {
				t.Fatalf("%v, want %v", err, registry.ErrLost)
			}
			x.as.mu.Lock()
			x.as.calls = nil
			x.as.mu.Unlock()
			time.Sleep(time.Minute)
			x.settle()
			x.together(c.ClientID, "openid accounts")
			if !slices.Equal(x.as.calls, []string{"update"}) {
				t.Errorf("%q: the new credentials were not kept", x.as.calls)
			}
		})
	})
}

// TestRestoreSendsTheMatchingStatement: whoever makes the AS take a client's metadata, the
// software statement of those metadata is at hand, after a crash too.
func TestRestoreSendsTheMatchingStatement(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		signed := func(in registry.Registration, statement string) registry.Registration {
			in.Request.Raw = []byte("e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"software_statement":"`+statement+`"}`)) + ".AA")
			in.Request.Statement.Raw = []byte(statement)
			return in
		}
		c := x.register(signed(request("jti1", ""), "e30.e30.old"))
		x.as.fail["update"], x.as.carriedOut = []error{registry.ErrLost}, true
		if _, err := x.Update(x.t.Context(), x.ws, c.ClientID, signed(narrower("jti2"), "e30.e30.new")); !errors.Is(err, registry.ErrLost) {
			t.Fatalf("%v, want %v", err, registry.ErrLost)
		}
		time.Sleep(time.Minute) // fake: the lease ends, and the outbox restores
		x.settle()
		x.together(c.ClientID, "openid accounts")
		if want := []string{"e30.e30.old", "e30.e30.new", "e30.e30.old"}; !slices.Equal(x.as.statements, want) {
			t.Errorf("the AS was told %q, want %q", x.as.statements, want)
		}
	})
}
