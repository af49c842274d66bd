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
	"github.com/caddy-dcr/caddy-dcr/verify/dn"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

func TestRegister(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		began := time.Now()
		c := x.register(request("jti1", "token1"))
		if c.Status != registry.Active || c.ClientID == "" || len(x.as.clients) != 1 {
			t.Fatalf("%+v, want one active client", c)
		}
		got, err := x.Client(x.t.Context(), x.ws.Name, c.ClientID)
		if err != nil || got.SoftwareID != "software1" || got.Metadata.Scope != "openid accounts" || got.IssuedAt != began.Unix() {
			t.Fatalf("%+v, %v; want software1 with openid accounts, of %d", got, err, began.Unix())
		}
		if got.Credentials != (registry.Credentials{}) {
			t.Error("credentials were read without need")
		}
		if _, doc, err := x.Document(x.t.Context(), got); err != nil || string(doc) != "the request jti1" {
			t.Errorf("%q, %v; want the request jti1", doc, err)
		}
		for _, by := range []struct {
			index registry.Index
			value string
		}{
			{registry.BySoftware, "software1"}, {registry.ByOrganisation, "org1"}, {registry.ByCertificate, "thumb"}, {registry.ByTime, ""},
			{registry.BySubject, canonical(t, "c=gb, o=ACME, cn=tpp")},
		} {
			list, next, err := x.List(x.t.Context(), x.ws.Name, by.index, by.value, "", 10)
			if err != nil || len(list) != 1 || list[0].ClientID != c.ClientID || next != "" {
				t.Errorf("%s: %v, %q, %v; want client %s alone", by.index, list, next, err, c.ClientID)
			}
		}
		x.settle()
		if !slices.Equal(x.as.revoked, []string{"token1"}) || len(x.keys("outbox/")) != 0 {
			t.Errorf("revoked %q, outbox %q", x.as.revoked, x.keys("outbox/"))
		}
	})
}

func canonical(t *testing.T, text string) string {
	t.Helper()
	subjectDN, err := dn.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return subjectDN.Canonical()
}

func TestTokenRegistersOnce(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.register(request("jti1", jwtWithSignature("QQ")))
		_, err := x.Register(x.t.Context(), x.ws, request("jti2", jwtWithSignature("QR"))) // another spelling
		refused(t, err, refusal.InvalidToken, "access_token")
		_, err = x.Register(x.t.Context(), x.ws, request("jti1", "token2"))
		refused(t, err, refusal.InvalidClientMetadata, "jti")
		x.register(request("jti2", "token2")) // the refusal has burnt neither
	})
}

func TestOneTokenRegistersOneOfMany(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		var group sync.WaitGroup
		errs := make([]error, 32)
		for i := range errs {
			group.Go(func() {
				_, errs[i] = x.Register(x.t.Context(), x.ws, request(fmt.Sprint("jti", i), "token"))
			})
		}
		wait.ForGroup(t, &group, "calls at the same time")
		made := 0
		for _, err := range errs {
			if err == nil {
				made++
				continue
			}
			kind := refusal.InvalidToken
			if refusal.From(err).RetryAfter > 0 { // the first is at work still
				kind = refusal.Unavailable
			}
			refused(t, err, kind, "access_token")
		}
		if made != 1 || x.as.count() != 1 {
			t.Errorf("%d registered, %d at the AS", made, x.as.count())
		}
	})
}

// TestReservedIsNotUsed: what a registration has reserved that is at work, or whose answer was
// lost, is not used up. The TPP keeps its token and its request, and is told for how long.
func TestReservedIsNotUsed(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{registry.ReregisterAllow, registry.ReregisterReject} {
		run(t, true, func(x *fixture) {
			x.wants(mode)
			x.as.hang(true)
			var first error
			var group sync.WaitGroup
			begun := time.Now()
			group.Go(func() { _, first = x.Register(x.t.Context(), x.ws, request("jti1", "token1")) })
			x.settle()
			reserved := func(in registry.Registration, rule string) {
				t.Helper()
				_, err := x.Register(x.t.Context(), x.ws, in)
				refused(t, err, refusal.Unavailable, rule)
				if e := refusal.From(err); e.RetryAfter != time.Minute-time.Since(begun) {
					t.Errorf("%s: Retry-After %v after %v", mode, e.RetryAfter, time.Since(begun))
				}
			}
			all := func() {
				t.Helper()
				reserved(request("jti1", "token1"), "jti")
				reserved(request("jti1", "token2"), "jti")
				reserved(request("jti2", "token1"), "access_token")
				if mode == registry.ReregisterReject {
					reserved(request("jti2", "token2"), "reregister")
				}
			}
			all()
			if err := x.EndToken(x.t.Context(), x.ws, presented("token1")); err != nil {
				t.Errorf("a token that registers is presented for something else: %v", err)
			}
			wait.ForGroup(t, &group, "calls at the same time")
			if !errors.Is(first, registry.ErrLost) {
				t.Fatalf("%v, want ErrLost", first)
			}
			all() // lost, and being settled
			x.as.hang(false)
			time.Sleep(time.Minute - time.Since(begun))
			x.settle()
			x.register(request("jti1", "token1"))
			if n := x.as.count(); n != 1 {
				t.Errorf("%d clients at the AS", n)
			}
			_, err := x.Register(x.t.Context(), x.ws, request("jti1", "token2"))
			refused(t, err, refusal.InvalidClientMetadata, "jti")
			_, err = x.Register(x.t.Context(), x.ws, request("jti2", "token1"))
			refused(t, err, refusal.InvalidToken, "access_token")
		})
	}
}

func TestRefusalLeavesNothing(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		no := refusal.New(refusal.InvalidClientMetadata, "", "no")
		x.as.fail["create"] = []error{no}
		_, err := x.Register(x.t.Context(), x.ws, request("jti1", "token1"))
		if !errors.Is(err, no) {
			t.Fatalf("%v, want %v", err, no)
		}
		x.nothingLeft()
		x.register(request("jti1", "token1"))
	})
}

func TestLostAnswer(t *testing.T) {
	t.Parallel()
	t.Run("repeated", func(t *testing.T) {
		run(t, true, func(x *fixture) {
			x.as.fail["create"], x.as.carriedOut = []error{registry.ErrLost}, true
			c := x.register(request("jti1", "token1"))
			if !slices.Equal(x.as.calls[:2], []string{"create", "create"}) || x.as.count() != 1 {
				t.Errorf("calls %q, %d clients", x.as.calls, x.as.count())
			}
			if err := x.Delete(x.t.Context(), x.ws, c.ClientID, presented("t")); err != nil || x.as.count() != 0 {
				t.Errorf("%v, %d clients: the credentials of the second answer count", err, x.as.count())
			}
		})
	})
	t.Run("lost twice", func(t *testing.T) {
		run(t, true, func(x *fixture) {
			x.as.fail["create"], x.as.carriedOut = []error{registry.ErrLost, registry.ErrLost}, true
			_, err := x.Register(x.t.Context(), x.ws, request("jti1", "token1"))
			if !errors.Is(err, registry.ErrLost) || refusal.From(err).RetryAfter != time.Minute {
				t.Fatalf("%v, want ErrLost, with Retry-After of a minute", err)
			}
			if x.as.count() != 1 {
				t.Fatal("the AS holds it")
			}
			time.Sleep(2 * time.Minute) // fake: the undo entry comes due
			x.settle()
			if x.as.count() != 0 {
				t.Error("the AS still holds it")
			}
			x.nothingLeft()
		})
	})
	t.Run("and the repetition refused", func(t *testing.T) {
		run(t, true, func(x *fixture) {
			x.as.carriedOut = true
			x.as.fail["create"] = []error{registry.ErrLost, refusal.New(refusal.Unavailable, "", "down")}
			_, err := x.Register(x.t.Context(), x.ws, request("jti1", "token1"))
			if refusal.From(err).RetryAfter != time.Minute {
				t.Error(err)
			}
			time.Sleep(2 * time.Minute)
			x.settle()
			if x.as.count() != 0 {
				t.Error("the AS still holds it")
			}
			x.nothingLeft()
		})
	})
	t.Run("and client_ids are not chosen any more", func(t *testing.T) {
		run(t, true, func(x *fixture) {
			x.as.fail["create"] = []error{registry.ErrLost, registry.ErrLost}
			if _, err := x.Register(x.t.Context(), x.ws, request("jti1", "token1")); !errors.Is(err, registry.ErrLost) {
				t.Fatalf("%v, want %v", err, registry.ErrLost)
			}
			x.as.mu.Lock()
			x.as.chooses = false // a reload
			x.as.mu.Unlock()
			time.Sleep(2 * time.Minute)
			x.settle()
			if len(x.as.calls) != 2 {
				t.Errorf("calls %q: another client was made to find this one", x.as.calls)
			}
			x.nothingLeft()
		})
	})
	t.Run("client_id not chosen", func(t *testing.T) {
		run(t, false, func(x *fixture) {
			x.as.fail["create"] = []error{registry.ErrLost}
			if _, err := x.Register(x.t.Context(), x.ws, request("jti1", "token1")); !errors.Is(err, registry.ErrLost) {
				t.Fatalf("%v, want %v", err, registry.ErrLost)
			}
			if len(x.as.calls) != 1 {
				t.Errorf("calls %q: repeating would make a second client", x.as.calls)
			}
			x.nothingLeft()
		})
	})
}

// A reservation ends by itself, and what was used up stays used up until it is
// worthless.
func TestReservationsEnd(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		in := request("jti1", "token1")
		x.register(in)
		time.Sleep(59 * time.Minute)
		_, err := x.Register(x.t.Context(), x.ws, in)
		refused(t, err, refusal.InvalidClientMetadata, "jti")
		time.Sleep(10 * time.Minute) // beyond exp and skew: verify refuses it now
		if _, err = x.Register(x.t.Context(), x.ws, in); err != nil {
			t.Errorf("%v: the memory should have ended", err)
		}
	})
}

func TestASGivesOutAnIDTwice(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		first := x.register(request("jti1", ""))
		x.as.next = 0
		if _, err := x.Register(x.t.Context(), x.ws, request("jti2", "")); err == nil {
			t.Fatal("the second client took the first one's id")
		}
		got, err := x.Client(x.t.Context(), x.ws.Name, first.ClientID)
		if err != nil || got.ID != first.ID {
			t.Errorf("%+v, %v; want client %s", got, err, first.ID)
		}
		if x.as.count() != 1 {
			t.Error("the first client was deleted at the AS")
		}
	})
}

// What the AS has made and the registry cannot take is deleted at the AS at
// once: without a chosen id nobody could find it later.
func TestActivationFails(t *testing.T) {
	t.Parallel()
	for _, chooses := range []bool{false, true} {
		run(t, chooses, func(x *fixture) {
			x.as.during = func() {
				err := x.store.Update(x.t.Context(), func(w registry.Writer) error { return w.Delete("jti/default%2Fobuk/software1/jti1") })
				if err != nil {
					t.Error(err)
				}
			}
			if _, err := x.Register(x.t.Context(), x.ws, request("jti1", "token1")); err == nil {
				t.Fatal("the reservation was gone, and the client is registered")
			}
			if !chooses && x.as.count() != 0 {
				t.Error("the AS still holds the client")
			}
			time.Sleep(time.Minute)
			x.settle()
			if x.as.count() != 0 {
				t.Error("the AS holds the client for good")
			}
			x.nothingLeft()
		})
	}
}

func TestRegisterWithoutClientAtTheAS(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.as.noClient = true
		x.register(request("jti1", "token1"))
		if slices.Contains(x.as.calls, "revoke") || len(x.keys("outbox/")) != 0 {
			t.Errorf("calls %q, outbox %q", x.as.calls, x.keys("outbox/"))
		}
		_, err := x.Register(x.t.Context(), x.ws, request("jti2", "token1"))
		refused(t, err, refusal.InvalidToken, "access_token")
	})
}

// Some ASs take these for one client_id.
func TestClientIDsAlike(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		x.as.ids = []string{"AbC", "plain"}
		x.register(request("jti1", ""))
		second := x.register(request("jti2", ""))
		if err := x.Delete(x.t.Context(), x.ws, second.ClientID, presented("t")); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"abc", "ABC", " AbC", "AbC\t", "Plain", "plain "} {
			if _, err := x.Client(x.t.Context(), x.ws.Name, id); !errors.Is(err, registry.ErrAlike) || !errors.Is(err, registry.ErrNotFound) {
				t.Errorf("%q: %v, want ErrAlike and ErrNotFound", id, err)
			}
		}
		for _, id := range []string{"abcd", "", "AbC/"} {
			if _, err := x.Client(x.t.Context(), x.ws.Name, id); !errors.Is(err, registry.ErrNotFound) || errors.Is(err, registry.ErrAlike) {
				t.Errorf("%q: %v, want ErrNotFound, not ErrAlike", id, err)
			}
		}
	})
}
