package registry_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

var errEnough = errors.New("it has one")

// only registers what is the only client of its software, and decides anew while that
// number changes.
func (x *fixture) only(in registry.Registration) (*registry.Client, error) {
	for {
		n, err := x.SoftwareClients(x.t.Context(), x.ws, in, nil)
		if err != nil {
			return nil, err
		}
		if n.Count > 0 {
			return nil, errEnough
		}
		in.Software = n
		c, err := x.Register(x.t.Context(), x.ws, in)
		if !errors.Is(err, registry.ErrSoftwareChanged) {
			return c, err
		}
	}
}

// Of many that are decided at once by the number of clients, exactly one is made.
func TestOnlyClientOfItsSoftware(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		var group sync.WaitGroup
		made := make(chan *registry.Client, 50)
		for i := range 50 {
			group.Go(func() {
				c, err := x.only(request(fmt.Sprint("jti", i), fmt.Sprint("token", i)))
				if err == nil {
					made <- c
				} else if !errors.Is(err, errEnough) {
					x.t.Errorf("%v, want %v", err, errEnough)
				}
			})
		}
		wait.ForGroup(t, &group, "calls at the same time")
		if len(made) != 1 {
			t.Fatalf("%d clients", len(made))
		}
		c := wait.For(x.t, made, "a client")
		if _, err := x.only(request("later", "later")); !errors.Is(err, errEnough) {
			t.Errorf("a second one: %v", err)
		}
		if n, err := x.SoftwareClients(x.t.Context(), x.ws, request("x", ""), c); err != nil || n.Count != 0 {
			t.Errorf("beside itself it has %+v, %v", n, err)
		}
		if err := x.Delete(x.t.Context(), x.ws, c.ClientID, presented("mine")); err != nil {
			t.Fatal(err)
		}
		x.settle()
		if _, err := x.only(request("again", "again")); err != nil {
			t.Errorf("after the only one was deleted: %v", err)
		}
	})
}

// One that the AS refuses counts no more, and one whose answer is lost counts until it
// is undone.
func TestOnlyClientThatFails(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.as.set(func() {
			x.as.fail["create"] = []error{refusal.New(refusal.InvalidClientMetadata, "x", "no")}
		})
		if _, err := x.only(request("jti1", "token1")); err == nil || errors.Is(err, errEnough) {
			t.Fatalf("%v, want an error of the AS", err)
		}
		x.as.set(func() { x.as.fail["create"] = []error{registry.ErrLost, registry.ErrLost} })
		if _, err := x.only(request("jti2", "token2")); err == nil || errors.Is(err, errEnough) {
			t.Fatalf("%v, want an error of the AS", err)
		}
		if _, err := x.only(request("jti3", "token3")); !errors.Is(err, errEnough) {
			t.Errorf("beside one that may be there: %v", err)
		}
		time.Sleep(2 * time.Minute)
		x.settle()
		x.nothingLeft()
		if _, err := x.only(request("jti4", "token4")); err != nil {
			t.Errorf("after it was undone: %v", err)
		}
	})
}

// A POST that repeats the only one is answered with it.
func TestOnlyClientRepeated(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.wants(registry.ReregisterReturn)
		in := request("jti1", "token1")
		wish := in.Checked.Metadata
		in.RequestedMetadata = &wish
		in.Checked.Metadata.Scope = "openid" // a policy's doing
		first, err := x.only(in)
		if err != nil {
			t.Fatal(err)
		}
		again := request("jti1", "token1")
		c, err := x.only(again)
		if err != nil || c.ClientID != first.ClientID || !c.Repeated || c.Metadata.Scope != "openid" {
			t.Errorf("%+v, %v; want a repetition with client %s and openid", c, err, first.ClientID)
		}
	})
}

// A POST that was decided while it repeated a live client, and is made after the window
// for that has ended, would be a second live client of the software.
func TestOnlyClientWhoseWindowEnds(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{registry.ReregisterReturn, registry.ReregisterUpdate, registry.ReregisterReject} {
		t.Run(mode, func(t *testing.T) {
			run(t, true, func(x *fixture) {
				x.ws.Reregister = registry.Reregister{Mode: mode, Window: time.Hour}
				first, err := x.only(request("jti1", "token1"))
				if err != nil {
					x.t.Fatal(err)
				}
				time.Sleep(time.Hour + 2*time.Minute - time.Second) // with the skew
				in := request("jti2", "token2")
				n, err := x.SoftwareClients(x.t.Context(), x.ws, in, nil)
				if err != nil || n.Count != 0 {
					x.t.Fatalf("%+v, %v; want none counted", n, err)
				}
				in.Software = n
				time.Sleep(2 * time.Second)
				second, err := x.Register(x.t.Context(), x.ws, in)
				if err == nil && second.ClientID != first.ClientID {
					x.t.Errorf("two live clients: %s and %s", first.ClientID, second.ClientID)
				}
			})
		})
	}
}

// Two directories may give out the same software_id: the clients of one are not
// counted for the other's.
func TestOnlyClientOfItsDirectory(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		in := request("jti1", "token1")
		in.Request.Statement.Issuer = &verify.Issuer{Name: "Sandbox Ltd"}
		if _, err := x.only(in); err != nil {
			x.t.Fatal(err)
		}
		if _, err := x.only(request("jti2", "token2")); errors.Is(err, errEnough) {
			x.t.Errorf("a client of another directory's software with the same id blocks it")
		}
	})
}

// Clients whose deletion the AS refuses stay in the index, and hide no live ones.
func TestOnlyClientsBesideDeleted(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		const many = 2 * registry.MaxCounted
		x.as.set(func() {
			for range 4 * many {
				x.as.fail["delete"] = append(x.as.fail["delete"], errors.New("403"))
			}
		})
		made := func(i int) *registry.Client { // as under software.clients < 5
			in := request(fmt.Sprint("jti", i), fmt.Sprint("token", i))
			n, err := x.SoftwareClients(x.t.Context(), x.ws, in, nil)
			if err != nil || n.Count >= 5 {
				return nil
			}
			in.Software = n
			c, err := x.Register(x.t.Context(), x.ws, in)
			if err != nil {
				x.t.Fatal(i, err)
			}
			return c
		}
		for i := range many {
			if err := x.Delete(x.t.Context(), x.ws, made(i).ClientID, presented("mine")); err != nil {
				x.t.Fatal(err)
			}
		}
		live := 0
		for i := range 20 {
			if made(many+i) != nil {
				live++
			}
		}
		if live > 5 {
			x.t.Errorf("%d live clients of a software that may have five", live)
		}
	})
}
