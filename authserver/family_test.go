package authserver_test

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// hanging sends so many exchanges to an edge that does not answer them, and returns when
// all have arrived. release lets them end.
func (e *edge) hanging(call, answered string, n int, send func(i int)) (release func()) {
	e.t.Helper()
	if _, err := e.Metadata(e.t.Context()); err != nil {
		e.t.Fatal(err)
	}
	end, arrived := make(chan struct{}), make(chan struct{}, n)
	e.on(call, func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-end
		answer(200, answered)(w, r)
	})
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() { send(i) })
	}
	for i := range n {
		select {
		case <-arrived:
		case <-time.After(3 * time.Minute):
			close(end)
			e.t.Fatalf("%d of %d exchanges have arrived", i, n)
		}
	}
	e.on(call, answer(200, answered))
	return sync.OnceFunc(func() { close(end); wait.ForGroup(e.t, &group, "the exchanges that were released") })
}

const activeToken = `{"active":true,"client_id":"a"}`

// An AS that hangs does not collect requests without end.
func TestExchangesAtOnceAreBounded(t *testing.T) {
	for name, off := range map[string]bool{"of many": false, "fair_share off": true} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t, func(e *edge, o *authserver.Options) { o.FairShareOff, o.Client = off, e.client(wait.Limit) })
			check := func(i int) error {
				if off {
					i = 0
				}
				_, err := e.CheckToken(authserver.WithSender(t.Context(), fmt.Sprint("sender", i)), "token")
				return err
			}
			release := e.hanging(introspect, activeToken, authserver.MaxAtWork, func(i int) {
				if err := check(i); err != nil {
					t.Error(err)
				}
			})
			e.refused(check(authserver.MaxAtWork), refusal.Unavailable)
			release()
			if err := check(0); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestShareOfExchanges: one organisation has an eighth of the exchanges, about clients
// and about tokens, whoever sends them; the others have the rest.
func TestShareOfExchanges(t *testing.T) {
	const share = 32 // docs/operations.md
	var tokens atomic.Int64
	for _, test := range []struct {
		name, call string
		send       func(e *edge, n int) error
	}{
		{"create", register, func(e *edge, n int) error { _, err := e.Create(t.Context(), of(t, n)); return err }},
		{"update", "PUT /as/reg/client-1", func(e *edge, n int) error { _, err := e.Update(t.Context(), managedOf(t, n)); return err }},
		{"delete", "DELETE /as/reg/client-1", func(e *edge, n int) error { return e.Delete(t.Context(), managedOf(t, n)) }},
		{"introspection", introspect, func(e *edge, n int) error {
			_, err := e.CheckToken(authserver.WithSender(t.Context(), fmt.Sprint("sender", n)), "token")
			return err
		}},
		{"whose token it is", introspect, func(e *edge, n int) error {
			_, err := e.TokenHolder(authserver.WithSender(t.Context(), fmt.Sprint("sender", n)), fmt.Sprint("token", tokens.Add(1)))
			return err
		}},
		{"revocation", revoke, func(e *edge, n int) error {
			return e.Revoke(t.Context(), registry.Revocation{Token: "t", Organisation: fmt.Sprint("org", n)})
		}},
		{"revocation as the client", revoke, func(e *edge, n int) error {
			return e.Revoke(t.Context(), registry.Revocation{Token: "t", ClientID: "a", Certificate: []byte("der"), Organisation: fmt.Sprint("org", n)})
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t, func(e *edge, o *authserver.Options) { o.Client = e.client(wait.Limit) })
			release := e.hanging(test.call, activeToken, share, func(int) { _ = test.send(e, 1) })
			defer release()
			before := len(e.to(test.call))
			refused := e.refused(test.send(e, 1), refusal.Unavailable)
			if len(e.to(test.call)) != before || refused.Description != "too many requests of this organisation wait for the authorization server; send fewer at once" {
				t.Errorf("one too many is told %q", refused.Description)
			}
			for n := range 3 { // what it is answered with is no matter here
				_ = test.send(e, 2+n)
			}
			if got := len(e.to(test.call)) - before; got != 3 {
				t.Errorf("%d of the others' 3 exchanges were carried out", got)
			}
		})
	}
}

// managedOf is a client that the AS knows, of another organisation for each number.
func managedOf(t *testing.T, n int) *registry.Client {
	c := of(t, n)
	c.Credentials = registry.Credentials{RegistrationAccessToken: registrationToken, RegistrationPath: "/as/reg/client-1"}
	return c
}
