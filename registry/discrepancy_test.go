package registry_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// diverged holds which kinds of discrepancy are listed.
func (x *fixture) diverged(kinds ...string) (list []registry.Discrepancy) {
	x.t.Helper()
	list, next, err := x.Discrepancies(x.t.Context(), x.ws.Name, "", 10)
	var got []string
	for _, d := range list {
		got = append(got, d.Kind)
	}
	if err != nil || next != "" || !slices.Equal(got, kinds) {
		x.t.Fatalf("%+v, %q, %v; want %q", list, next, err, kinds)
	}
	return list
}

func TestAnswerLostIsListed(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		x.as.set(func() { x.as.fail["create"] = []error{registry.ErrLost} })
		if _, err := x.Register(x.t.Context(), x.ws, request("jti1", "token1")); !errors.Is(err, registry.ErrLost) {
			t.Fatalf("%v, want %v", err, registry.ErrLost)
		}
		d := x.diverged(registry.AnswerLost)[0]
		if d.SoftwareID != "software1" || d.OrgID != "org1" || d.ClientName != "A TPP" || d.ClientID != "" || d.Error == "" || d.Since != time.Now().Unix() {
			t.Errorf("%+v, want A TPP, software1 of org1, without a client_id, with an error of now", d)
		}
		act := registry.Act{Operator: registry.Operator{Name: "Anna", Known: registry.ByDeclaration}, Reason: "looked", Match: `"of nothing"`}
		if err := x.Dismiss(x.t.Context(), d, act); !errors.Is(err, registry.ErrChanged) {
			t.Errorf("with a tag of nothing: %v, want %v", err, registry.ErrChanged)
		}
		shown, tag, err := x.Discrepancy(x.t.Context(), registry.Discrepancy{Workspace: d.Workspace, Kind: d.Kind, Registration: d.Registration})
		if err != nil || !reflect.DeepEqual(*shown, d) {
			t.Errorf("%+v, %v; want %+v", shown, err, d)
		}
		act.Match = tag
		if err := x.Dismiss(x.t.Context(), d, act); err != nil {
			t.Fatal(err)
		}
		x.diverged()
		trail := x.trail()
		if last := trail[len(trail)-1]; last.Change != registry.AuditDismissed || last.Discrepancy != d.Kind || last.Reason != "looked" || last.Operator != act.Operator || last.Registration != d.Registration || last.SoftwareID != d.SoftwareID {
			t.Errorf("%+v, want that Anna has dismissed %+v", last, d)
		}
		if err := x.Dismiss(x.t.Context(), d, act); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("%v, want %v", err, registry.ErrNotFound)
		}
		if _, _, err := x.Discrepancy(x.t.Context(), d); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("%v, want %v", err, registry.ErrNotFound)
		}
		if err := x.Dismiss(x.t.Context(), registry.Discrepancy{Workspace: "a", Kind: "b"}, act); err == nil || errors.Is(err, registry.ErrNotFound) {
			t.Errorf("%v, want an error, not ErrNotFound", err)
		}
		x.nothingLeft()
	})
}

func TestCutOffIsListed(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		x.as.set(func() { x.as.hangsAt = "create" })
		go func() { _, _ = x.Register(x.t.Context(), x.ws, request("jti1", "token1")) }()
		x.settle()
		undo := x.keys("later/")
		if len(undo) != 1 {
			t.Fatalf("%q, want one entry", undo)
		}
		// As a crash leaves it: the entry comes due and nobody is at work.
		err := x.store.Update(x.t.Context(), func(w registry.Writer) error {
			v, err := w.Get(undo[0])
			return errors.Join(err, w.Put("outbox/0000000000000000/x", v), w.Delete(undo[0]))
		})
		if err != nil {
			t.Fatal(err)
		}
		x.settle()
		x.diverged(registry.AnswerLost)
		time.Sleep(time.Minute)
	})
}

func TestDetached(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		c := x.register(request("jti1", ""))
		var kept registry.Credentials
		x.as.set(func() { kept = x.as.clients[c.ClientID] })
		x.as.set(func() { delete(x.as.clients, c.ClientID) }) // behind our back
		for _, jti := range []string{"jti2", "jti3"} {
			_, err := x.Update(x.t.Context(), x.ws, c.ClientID, narrower(jti))
			refused(t, err, refusal.InvalidClientMetadata, "authorization_server")
			if d := x.diverged(registry.Detached)[0]; d.ClientID != c.ClientID {
				t.Errorf("%+v, want client %s", d, c.ClientID)
			}
		}
		if got, err := x.Client(x.t.Context(), x.ws.Name, c.ClientID); err != nil || got.Status != registry.Active || got.Metadata.Scope != "openid accounts" {
			t.Errorf("%+v, %v; want an active client with openid accounts", got, err)
		}
		x.as.set(func() { x.as.clients[c.ClientID] = kept }) // a backup was restored
		if c, err := x.Update(x.t.Context(), x.ws, c.ClientID, narrower("jti2")); err != nil {
			t.Fatalf("%+v, %v", c, err)
		}
		x.diverged()

		x.as.set(func() { delete(x.as.clients, c.ClientID) })
		if err := x.Delete(x.t.Context(), x.ws, c.ClientID, presented("t")); err != nil {
			t.Fatal(err)
		}
		x.diverged(registry.NotDeleted)
	})
}

// A lost answer to an update takes the new registration access token with it.
func TestDetachedByALostAnswer(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		c := x.register(request("jti1", ""))
		x.as.set(func() { x.as.fail["update"] = []error{registry.ErrLost} })
		if _, err := x.Update(x.t.Context(), x.ws, c.ClientID, narrower("jti2")); !errors.Is(err, registry.ErrLost) {
			t.Fatalf("%v, want %v", err, registry.ErrLost)
		}
		x.as.set(func() { x.as.clients[c.ClientID] = registry.Credentials{RegistrationAccessToken: "rotated"} })
		time.Sleep(2 * time.Minute)
		x.settle()
		x.diverged(registry.Detached)
		if err := x.Delete(x.t.Context(), x.ws, c.ClientID, presented("t")); err != nil {
			t.Fatal(err)
		}
		x.diverged(registry.NotDeleted)
	})
}

func TestOtherMetadata(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		c := x.register(request("jti1", ""))
		x.as.set(func() { x.as.carriedOut = true })
		lost := registry.ErrLost // the third time with credentials that are no longer good
		x.as.set(func() {
			x.as.fail["update"] = append([]error{lost, lost, lost}, refusal.New(refusal.InvalidClientMetadata, "", "no"))
		})
		if _, err := x.Update(x.t.Context(), x.ws, c.ClientID, narrower("jti2")); !errors.Is(err, registry.ErrLost) {
			t.Fatalf("%v, want %v", err, registry.ErrLost)
		}
		time.Sleep(2 * time.Minute)
		x.settle()
		x.diverged(registry.OtherMetadata)
		if _, err := x.Update(x.t.Context(), x.ws, c.ClientID, narrower("jti2")); err != nil {
			t.Fatal(err)
		}
		x.diverged()
	})
}

// What the AS made and cannot be ended at once is left to the outbox; to the guard
// it is a deleted client.
func TestWronglyMadeClientIsNotActive(t *testing.T) {
	t.Parallel()
	for _, chooses := range []bool{false, true} {
		run(t, chooses, func(x *fixture) {
			down := refusal.New(refusal.Unavailable, "", "down")
			x.as.set(func() { x.as.madeWrong, x.as.fail["delete"] = "as-wrong", []error{down, down} })
			_, err := x.Register(x.t.Context(), x.ws, request("jti1", "token1"))
			if !errors.Is(err, registry.ErrLost) {
				t.Fatalf("%v, want %v", err, registry.ErrLost)
			}
			if c, err := x.Client(x.t.Context(), x.ws.Name, "as-wrong"); err != nil || c.Status == registry.Active {
				t.Errorf("%+v, %v; want a client that is not active", c, err)
			}
			x.as.set(func() { x.as.madeWrong = "" })
			x.register(request("jti1", "token1")) // nothing is burnt
			time.Sleep(time.Minute)
			x.settle()
			if x.as.count() != 1 || len(x.keys("outbox/"))+len(x.keys("later/")) != 0 {
				t.Errorf("%d clients at the AS, %q", x.as.count(), x.keys("outbox/"))
			}
			x.diverged()
			if c, err := x.Client(x.t.Context(), x.ws.Name, "as-wrong"); err != nil || c.Status != registry.Deleted {
				t.Errorf("%+v, %v; want a deleted client", c, err)
			}
		})
	}
}
