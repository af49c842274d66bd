package registry_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// wants lets the fixture's workspace treat repeated POSTs in a way.
func (x *fixture) wants(mode string) { x.ws.Reregister = registry.Reregister{Mode: mode} }

// other is a request with other metadata than request's.
func other(jti, token string) registry.Registration {
	in := request(jti, token)
	in.Checked.Metadata.Scope = "openid"
	return in
}

// TestRepeated is the table of README: what the second of two POSTs gives.
func TestRepeated(t *testing.T) {
	t.Parallel()
	const same, another, updated = "the same client", "another client", "the same client, updated"
	first := func() registry.Registration { return request("jti1", "token1") }
	fresh := func() registry.Registration { return request("jti2", "token2") }
	stranger := func() registry.Registration {
		in := request("jti2", "token2")
		in.Certificate = &verify.Certificate{Thumbprint: "another"}
		return in
	}
	software := func() registry.Registration {
		in := request("jti2", "token2")
		ssa := *in.Request.Statement
		ssa.SoftwareID = "software2"
		in.Request.Statement = &ssa
		return in
	}
	for _, test := range []struct {
		name   string
		second func() registry.Registration
		want   map[string]any // by mode: a text above, or the kind of the refusal
	}{
		{"the very same", first, map[string]any{"allow": refusal.InvalidClientMetadata, "return": same, "update": same, "reject": refusal.InvalidClientMetadata}},
		{"with a new token", func() registry.Registration { return request("jti1", "token2") }, map[string]any{"allow": refusal.InvalidClientMetadata, "return": same, "update": same, "reject": refusal.InvalidClientMetadata}},
		{"with a new jti", func() registry.Registration { return request("jti2", "token1") }, map[string]any{"allow": refusal.InvalidToken, "return": same, "update": same, "reject": refusal.InvalidToken}},
		{"with both new", fresh, map[string]any{"allow": another, "return": same, "update": same, "reject": refusal.InvalidClientMetadata}},
		{"other metadata", func() registry.Registration { return other("jti2", "token2") }, map[string]any{"allow": another, "return": another, "update": updated, "reject": another}},
		{"other metadata, used token", func() registry.Registration { return other("jti2", "token1") }, map[string]any{"allow": refusal.InvalidToken, "return": refusal.InvalidToken, "update": refusal.InvalidToken, "reject": refusal.InvalidToken}},
		{"other metadata, used jti", func() registry.Registration { return other("jti1", "token2") }, map[string]any{"allow": refusal.InvalidClientMetadata, "return": refusal.InvalidClientMetadata, "update": refusal.InvalidClientMetadata, "reject": refusal.InvalidClientMetadata}},
		{"another certificate", stranger, map[string]any{"allow": another, "return": another, "update": another, "reject": another}},
		{"another software", software, map[string]any{"allow": another, "return": another, "update": another, "reject": another}},
	} {
		for mode, want := range test.want {
			t.Run(test.name+"/"+mode, func(t *testing.T) {
				run(t, true, func(x *fixture) {
					x.wants(mode)
					before := x.register(first())
					x.as.set(func() { x.as.calls = nil })
					c, err := x.Register(x.t.Context(), x.ws, test.second())
					if kind, ok := want.(refusal.Kind); ok {
						refused(t, err, kind, refusal.From(err).RuleName())
						if len(x.as.calls) > 0 {
							t.Errorf("the AS was asked: %q", x.as.calls)
						}
						return
					}
					if err != nil {
						t.Fatal(err)
					}
					x.settle()
					got := another
					if c.ID == before.ID {
						got = same
						if c.Metadata.Scope == "openid" {
							got = updated
						}
					}
					if got != want || c.Repeated != (got == same) || got == same && slices.Contains(x.as.calls, "create") {
						t.Errorf("%s, repeated %v, calls %q; want %s", got, c.Repeated, x.as.calls, want)
					}
					if again := test.second(); got != another { // and once more
						if c, err := x.Register(x.t.Context(), x.ws, again); err != nil || c.ID != before.ID || !c.Repeated {
							t.Errorf("%+v, %v; want a repetition with client %s", c, err, before.ID)
						}
					}
					if _, err := x.Register(x.t.Context(), x.ws, stolen(test.second())); err == nil {
						t.Error("what was used up has registered another client")
					}
				})
			})
		}
	}
}

// stolen is another software's request with the same token.
func stolen(in registry.Registration) registry.Registration {
	ssa := *in.Request.Statement
	ssa.SoftwareID = "thief"
	in.Request.Statement, in.Request.Issuer = &ssa, "thief"
	return in
}

// The AS does not know a token any more that has registered. For a repetition it is
// good all the same, and for nothing else.
func TestSpentToken(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.wants(registry.ReregisterUpdate)
		c := x.register(request("jti1", jwtWithSignature("QQ")))
		unknown := refusal.New(refusal.InvalidToken, "", "not active")
		for raw, want := range map[string]bool{jwtWithSignature("QQ"): true, jwtWithSignature("QR"): false, "another": false} {
			if spent, err := x.TokenSpent(x.t.Context(), x.ws.Name, raw); err != nil || spent != want {
				t.Errorf("%s: spent %v, %v", raw, spent, err)
			}
		}
		spent := func(in registry.Registration, token string) registry.Registration {
			in.Token, in.Spent = &verify.AccessToken{Raw: token}, unknown
			return in
		}
		for _, jti := range []string{"jti1", "jti2"} {
			again, err := x.Register(x.t.Context(), x.ws, spent(request(jti, ""), jwtWithSignature("QQ")))
			if err != nil || again.ID != c.ID || !again.Repeated {
				t.Errorf("%s: %+v, %v; want a repetition with client %s", jti, again, err, c.ID)
			}
		}
		thief := spent(request("jti3", ""), jwtWithSignature("QQ"))
		thief.Certificate = &verify.Certificate{Thumbprint: "another"}
		for name, in := range map[string]registry.Registration{
			"another certificate": thief,
			"other metadata":      spent(other("jti3", ""), jwtWithSignature("QQ")),
			"another spelling":    spent(request("jti1", ""), jwtWithSignature("QR")),
			"another token":       spent(request("jti1", ""), "another"),
		} {
			if _, err := x.Register(x.t.Context(), x.ws, in); !errors.Is(err, unknown) {
				t.Errorf("%s: %v, want %v", name, err, unknown)
			}
		}
		if x.as.count() != 1 {
			t.Errorf("%d clients", x.as.count())
		}
	})
}

// Every token that comes is revoked, and none twice.
func TestRepeatedRevokesItsToken(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.wants(registry.ReregisterUpdate)
		x.register(request("jti1", "token1"))
		x.register(request("jti1", "token1"))
		x.register(request("jti2", "token2"))
		x.register(other("jti3", "token3"))
		x.register(other("jti3", "token3"))
		if !slices.Equal(x.as.revoked, []string{"token1", "token2", "token3"}) {
			t.Errorf("revoked %q", x.as.revoked)
		}
	})
}

// A management token is no registration token: PUT must not end it.
func TestUpdateRevokesNothing(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		c := x.register(request("jti1", ""))
		in := narrower("jti2")
		in.Token = &verify.AccessToken{Raw: "management"}
		if _, err := x.Update(x.t.Context(), x.ws, c.ClientID, in); err != nil {
			t.Fatal(err)
		}
		x.settle()
		x.isEnded("management", false)
		if len(x.as.revoked) > 0 {
			t.Errorf("revoked %q", x.as.revoked)
		}
	})
}

func TestWindowEnds(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.ws.Reregister = registry.Reregister{Mode: registry.ReregisterReturn, Window: 10 * time.Minute}
		c := x.register(request("jti1", "token1"))
		time.Sleep(9 * time.Minute)
		if again := x.register(request("jti2", "token2")); again.ID != c.ID {
			t.Error("another client within the window")
		}
		time.Sleep(10 * time.Minute)
		if again := x.register(request("jti3", "token3")); again.ID == c.ID {
			t.Error("the same client after the window")
		}
	})
}

// What was deleted is not there, and a suspended client is not given out.
func TestRepeatedOfADeletedClient(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{registry.ReregisterReturn, registry.ReregisterUpdate, registry.ReregisterReject} {
		run(t, true, func(x *fixture) {
			x.wants(mode)
			c := x.register(request("jti1", "token1"))
			s := registry.Suspension{Workspace: x.ws.Name, Kind: registry.SuspendClient, Value: c.ClientID}
			if err := x.Suspend(x.t.Context(), s); err != nil {
				t.Fatal(err)
			}
			if _, err := x.Register(x.t.Context(), x.ws, request("jti2", "token2")); err == nil {
				t.Errorf("%s: a suspended client was given out", mode)
			}
			if err := x.Resume(x.t.Context(), s); err != nil {
				t.Fatal(err)
			}
			if err := x.Delete(x.t.Context(), x.ws, c.ClientID, presented("t")); err != nil {
				t.Fatal(err)
			}
			_, err := x.Register(x.t.Context(), x.ws, request("jti1", "token1"))
			if err == nil {
				t.Errorf("%s: token and jti of a deleted client registered another one", mode)
			}
			if again := x.register(request("jti2", "token2")); again.ID == c.ID {
				t.Errorf("%s: %+v, want another client than %s", mode, again, c.ID)
			}
		})
	}
}

// TestRepeatedAtOnce: of a hundred that are the same, one is carried out.
func TestRepeatedAtOnce(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		mode    string
		oneShot bool // all with one token and jti
		clients int
		answers int
	}{
		{"allow", true, 1, 1}, {"allow", false, 100, 100},
		{"return", true, 1, 100}, {"return", false, 1, 100},
		{"update", true, 1, 100}, {"update", false, 1, 100},
		{"reject", true, 1, 1}, {"reject", false, 1, 1},
	} {
		t.Run(fmt.Sprint(test.mode, test.oneShot), func(t *testing.T) {
			run(t, true, func(x *fixture) {
				x.wants(test.mode)
				var group sync.WaitGroup
				ids := make([]string, 100)
				for i := range ids {
					in := request("jti", "token")
					if !test.oneShot {
						in = request(fmt.Sprint("jti", i), fmt.Sprint("token", i))
					}
					group.Go(func() {
						if c, err := x.Register(x.t.Context(), x.ws, in); err == nil {
							ids[i] = c.ClientID
						}
					})
				}
				wait.ForGroup(t, &group, "calls at the same time")
				x.settle()
				ids = slices.DeleteFunc(ids, func(id string) bool { return id == "" })
				answers := len(ids)
				slices.Sort(ids)
				if ids = slices.Compact(ids); len(ids) != test.clients || answers != test.answers || x.as.count() != test.clients {
					t.Errorf("%d answers, %d clients, %d at the AS", answers, len(ids), x.as.count())
				}
			})
		})
	}
}

// When the first one fails, the next takes its place; updates wait for each other.
func TestFirstOfManyFails(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.wants(registry.ReregisterUpdate)
		x.as.set(func() { x.as.fail["create"] = []error{refusal.New(refusal.Unavailable, "", "down")} })
		var group sync.WaitGroup
		var failed, made int
		var mu sync.Mutex
		many := func(in func(i int) registry.Registration) {
			failed, made = 0, 0
			for i := range 10 {
				group.Go(func() {
					_, err := x.Register(x.t.Context(), x.ws, in(i))
					mu.Lock()
					defer mu.Unlock()
					if err != nil {
						failed++
						return
					}
					made++
				})
			}
			wait.ForGroup(t, &group, "calls at the same time")
		}
		many(func(int) registry.Registration { return request("jti", "token") })
		if failed != 1 || made != 9 || x.as.count() != 1 {
			t.Errorf("%d failed, %d answered, %d clients", failed, made, x.as.count())
		}
		x.as.set(func() { x.as.calls = nil })
		many(func(i int) registry.Registration { return other(fmt.Sprint("jti", i), fmt.Sprint("token", i)) })
		x.settle()
		updates := slices.DeleteFunc(x.as.calls, func(c string) bool { return c != "update" })
		if failed != 0 || made != 10 || len(updates) != 1 {
			t.Errorf("%d failed, %d answered, %d updates", failed, made, len(updates))
		}
	})
}

// Nobody waits for ever: not for one that hangs, not when the caller is gone.
func TestWaitForTheFirstIsBounded(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.wants(registry.ReregisterReturn)
		x.as.hang(true)
		var first, second error
		var group sync.WaitGroup
		began := time.Now()
		group.Go(func() { _, first = x.Register(x.t.Context(), x.ws, request("jti", "token")) })
		x.settle()
		group.Go(func() { _, second = x.Register(x.t.Context(), x.ws, request("jti", "token")) })
		wait.ForGroup(t, &group, "calls at the same time")
		if !errors.Is(first, registry.ErrLost) || time.Since(began) > time.Minute {
			t.Errorf("%v after %s", first, time.Since(began))
		}
		refused(t, second, refusal.Unavailable, "reregister")
		if e := refusal.From(second); e.RetryAfter > time.Minute || e.RetryAfter < 30*time.Second {
			t.Errorf("Retry-After %v, want what remains of the first one's minute", e.RetryAfter)
		}
		x.as.hang(false)
		time.Sleep(2 * time.Minute)
		x.settle()
		if _, err := x.Register(x.t.Context(), x.ws, request("jti", "token")); err != nil {
			t.Errorf("a repetition after everything was undone: %v", err)
		}
	})
}
