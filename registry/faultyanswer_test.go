package registry_test

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// An answer to a registration that is odd, and names the client all the same.

// without is one that has no credentials that can be read, brokenOff one that has them.
func without(p *registry.Provisioned) (*registry.Provisioned, error) {
	return &registry.Provisioned{ClientID: p.ClientID}, errors.Join(registry.ErrLost, registry.ErrDetached)
}

func brokenOff(p *registry.Provisioned) (*registry.Provisioned, error) { return p, registry.ErrLost }

// TestFaultyAnswerIsNoLostAnswer: the client is deleted, or is listed with its client_id, and
// the registration is not repeated without end.
func TestFaultyAnswerIsNoLostAnswer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		chosen bool
		odd    func(*registry.Provisioned) (*registry.Provisioned, error)
		lists  []string
		left   int // clients at the AS
		posts  int // at most
	}{
		{"without credentials, client_id chosen", true, without, []string{registry.NotDeleted}, 1, 3},
		{"without credentials", false, without, []string{registry.NotDeleted}, 1, 1},
		{"with credentials, client_id chosen", true, brokenOff, nil, 0, 3},
		{"with credentials", false, brokenOff, nil, 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			run(t, c.chosen, func(x *fixture) {
				x.as.set(func() { x.as.odd = c.odd })
				_, err := x.Register(x.t.Context(), x.ws, request("jti1", "token1"))
				if refusal.From(err).Kind != refusal.Unavailable {
					t.Fatal(err)
				}
				for range 20 {
					time.Sleep(10 * time.Minute) // fake
					x.settle()
				}
				for _, d := range x.diverged(c.lists...) {
					x.as.set(func() {
						if _, there := x.as.clients[d.ClientID]; !there || d.Error == "" {
							t.Errorf("%+v, the AS has %v", d, x.as.clients)
						}
					})
				}
				if posts := x.as.times("create"); posts > c.posts || x.as.count() != c.left {
					t.Errorf("%d POSTs, at most %d; %d clients, want %d", posts, c.posts, x.as.count(), c.left)
				}
				if list, err := x.BacklogCounts(x.t.Context()); err != nil || len(list) > 0 && list[0].Waiting > 0 {
					t.Errorf("%+v, %v; want nothing waiting", list, err)
				}
				// What the request used is free again.
				x.as.set(func() { x.as.odd = nil })
				x.register(request("jti1", "token1"))
			})
		})
	}
}

// TestTakenBackEndsAnUndo: a client that the AS makes wrong each time is deleted each time,
// so that after one there is nothing left to undo.
func TestTakenBackEndsAnUndo(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.as.set(func() { x.as.fail["create"], x.as.carriedOut = []error{registry.ErrLost, registry.ErrLost}, true })
		if _, err := x.Register(x.t.Context(), x.ws, request("jti1", "token1")); !errors.Is(err, registry.ErrLost) {
			t.Fatalf("%v, want %v", err, registry.ErrLost)
		}
		x.as.set(func() {
			x.as.odd = func(p *registry.Provisioned) (*registry.Provisioned, error) {
				delete(x.as.clients, p.ClientID)
				return nil, refusal.New(refusal.Unavailable, "", "x").Because(fmt.Errorf("%w: another method", registry.ErrTakenBack))
			}
		})
		for range 20 {
			time.Sleep(10 * time.Minute) // fake
			x.settle()
		}
		if posts := x.as.times("create"); posts != 3 || x.as.count() != 0 {
			t.Errorf("%d POSTs, %d clients", posts, x.as.count())
		}
		x.diverged()
		x.nothingLeft()
	})
}

// TestDeletedWithoutCredentials: the same for a client whose registration access token was
// lost, and that the repeated POST does not give back.
func TestDeletedWithoutCredentials(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		c := x.register(request("jti1", "token1"))
		x.as.set(func() { x.as.fail["delete"], x.as.odd = []error{registry.ErrDetached, registry.ErrDetached}, without })
		if err := x.Delete(x.t.Context(), x.ws, c.ClientID, presented("t")); err != nil {
			t.Fatal(err)
		}
		if d := x.diverged(registry.NotDeleted)[0]; d.ClientID != c.ClientID || x.as.times("create") != 2 {
			t.Errorf("%+v, %d POSTs", d, x.as.times("create"))
		}
		if list, err := x.BacklogCounts(x.t.Context()); err != nil || len(list) > 0 && list[0].Waiting > 0 {
			t.Errorf("%+v, %v; want nothing waiting", list, err)
		}
	})
}

// TestFaultyAnswerDeletesNoActiveClient: where an update needs the credentials of a repeated POST,
// an odd answer takes nothing of what the client has, and no active client is deleted.
func TestFaultyAnswerDeletesNoActiveClient(t *testing.T) {
	t.Parallel()
	for name, odd := range map[string]func(*registry.Provisioned) (*registry.Provisioned, error){
		"without credentials": without,
		"with a token alone": func(p *registry.Provisioned) (*registry.Provisioned, error) {
			c := registry.Credentials{RegistrationAccessToken: p.Credentials.RegistrationAccessToken, RegistrationPath: p.Credentials.RegistrationPath}
			return &registry.Provisioned{ClientID: p.ClientID, Credentials: c}, registry.ErrLost
		},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, true, func(x *fixture) {
				x.as.set(func() {
					x.as.secret = func(_, before string) string { return cmp.Or(before, "s1") }
				})
				c := x.register(request("jti1", "token1"))
				x.as.set(func() { x.as.fail["update"], x.as.odd = []error{registry.ErrLost}, odd })
				_, err := x.Update(x.t.Context(), x.ws, c.ClientID, narrower("jti2"))
				if (err == nil) != (name == "with a token alone") {
					t.Errorf("updated: %v", err)
				}
				time.Sleep(5 * time.Minute) // fake
				x.settle()
				now, err := x.Client(x.t.Context(), x.ws.Name, c.ClientID)
				if err != nil {
					t.Fatal(err)
				}
				got, err := x.Secret(now)
				if now.Status != registry.Active || now.Bridge != "client_secret_basic" || err != nil || got != "s1" || x.as.count() != 1 {
					t.Errorf("%s, bridge %q, secret %q, %v, %d clients at the AS", now.Status, now.Bridge, got, err, x.as.count())
				}
			})
		})
	}
}

// TestHeaderThatIsNotHonoured: each client that the AS makes in place of the one that it was
// asked for is deleted or listed, and deleting it is not taken for deleting the other one.
func TestHeaderThatIsNotHonoured(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		c := x.register(request("jti1", "token1"))
		n := 0
		x.as.set(func() {
			x.as.fail["delete"] = []error{registry.ErrDetached, registry.ErrDetached}
			x.as.odd = func(p *registry.Provisioned) (*registry.Provisioned, error) {
				n++
				return &registry.Provisioned{ClientID: fmt.Sprint("stray-", n)}, registry.ErrLost
			}
		})
		if err := x.Delete(x.t.Context(), x.ws, c.ClientID, presented("t")); err != nil {
			t.Fatal(err)
		}
		if list := x.diverged(registry.AnswerLost, registry.NotDeleted); list[0].ClientID != "stray-1" || list[1].ClientID != c.ClientID || list[0].Error == list[1].Error {
			t.Errorf("%+v, want stray-1 and %s, with an error each", list, c.ClientID)
		}
		if _, err := x.Register(x.t.Context(), x.ws, request("jti2", "token2")); err == nil {
			t.Error("registered")
		}
		if n != 2 {
			t.Errorf("%d clients made, the second one again", n)
		}
	})
}

// TestEveryStrayClientIsListed: of clients that the AS makes in place of one and the same, each is listed.
func TestEveryStrayClientIsListed(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		c := x.register(request("jti1", "token1"))
		var made []string
		x.as.set(func() {
			x.as.odd = func(p *registry.Provisioned) (*registry.Provisioned, error) {
				made = append(made, fmt.Sprint("stray-", len(made)))
				return &registry.Provisioned{ClientID: made[len(made)-1]}, registry.ErrLost
			}
		})
		for i := range 2 {
			x.as.set(func() { x.as.fail["update"] = []error{registry.ErrDetached} })
			if _, err := x.Update(x.t.Context(), x.ws, c.ClientID, narrower(fmt.Sprint("jti", 2+i))); err == nil {
				t.Error("updated")
			}
			time.Sleep(5 * time.Minute) // fake
			x.settle()
		}
		list, _, err := x.Discrepancies(x.t.Context(), x.ws.Name, "", 10)
		var listed []string
		for _, d := range list {
			if d.Kind == registry.AnswerLost {
				listed = append(listed, d.ClientID)
			}
		}
		slices.Sort(listed)
		if err != nil || len(made) < 2 || !slices.Equal(listed, made) {
			t.Errorf("listed %q, %v, want %q", listed, err, made)
		}
	})
}

// TestAnswerWithoutClientIDIsListed: the POST is repeated for the credentials some times, and then
// the client is listed.
func TestAnswerWithoutClientIDIsListed(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.as.set(func() {
			x.as.odd = func(*registry.Provisioned) (*registry.Provisioned, error) {
				return nil, errors.Join(registry.ErrLost, registry.ErrNoRegistration)
			}
		})
		if _, err := x.Register(x.t.Context(), x.ws, request("jti1", "token1")); !errors.Is(err, registry.ErrLost) {
			t.Fatalf("%v, want %v", err, registry.ErrLost)
		}
		for range 20 {
			time.Sleep(10 * time.Minute) // fake
			x.settle()
		}
		if d := x.diverged(registry.AnswerLost)[0]; d.ClientID == "" || x.as.times("create") != 2+3 {
			t.Errorf("%+v, %d POSTs", d, x.as.times("create"))
		}
		x.nothingLeft()
	})
}

// TestOutageIsNoAnswerWithoutClientID: what an AS has not answered at all does not count among
// the answers that name no client. A client that it has made is still deleted when it is well.
func TestOutageIsNoAnswerWithoutClientID(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		unnamed := 0 // how many answers are yet to name no client
		x.as.set(func() {
			x.as.fail["create"] = slices.Repeat([]error{refusal.New(refusal.Unavailable, "", "down")}, 6)
			x.as.fail["create"][0], x.as.fail["create"][1] = registry.ErrLost, registry.ErrLost
			unnamed = 2
			x.as.odd = func(p *registry.Provisioned) (*registry.Provisioned, error) {
				if unnamed == 0 {
					return p, nil
				}
				unnamed--
				return nil, errors.Join(registry.ErrLost, registry.ErrNoRegistration)
			}
		})
		if _, err := x.Register(x.t.Context(), x.ws, request("jti1", "token1")); !errors.Is(err, registry.ErrLost) {
			t.Fatalf("%v, want %v", err, registry.ErrLost)
		}
		for range 20 {
			time.Sleep(10 * time.Minute) // fake
			x.settle()
		}
		x.diverged()
		if unnamed != 0 || x.as.count() != 0 {
			t.Errorf("%d answers that name no client are left, and %d clients at the AS; want none", unnamed, x.as.count())
		}
		x.nothingLeft()
	})
}
