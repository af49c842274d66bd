package registry_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/memory"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// staying is a store that outlives its registry, as a disk does.
type staying struct{ *memory.Store }

func (staying) Close() error { return nil }

// An orderly end waits for the AS's answer: cut off, it would be a lost one, and
// the credentials in it lost with it.
func TestCloseInARestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := &fixture{t: t, store: staying{memory.Open(memory.Options{})}, as: newAS(false)}
		x.ws = registry.Workspace{Name: "default/obuk", Provisioner: x.as}
		open := func() (end func()) {
			r, err := registry.Open(t.Context(), registry.Options{Store: x.store, Sealer: plain{}})
			if err != nil {
				t.Fatal(err)
			}
			x.Registry = r
			takeBack := r.Lend(x.ws)
			return func() {
				takeBack()
				if err := r.Close(); err != nil {
					t.Error(err)
				}
			}
		}
		end := open()
		c := x.register(request("jti1", ""))
		x.as.fail["update"] = []error{registry.ErrLost}
		if _, err := x.Update(t.Context(), x.ws, c.ClientID, narrower("jti2")); err == nil {
			t.Fatal("taken")
		}
		x.as.answersAfter(2 * time.Second)
		time.Sleep(time.Minute + time.Second)
		synctest.Wait() // the restoration has been carried out and is not answered yet
		end()

		end = open()
		x.as.answersAfter(0)
		if _, err := x.Update(t.Context(), x.ws, c.ClientID, narrower("jti3")); err != nil {
			t.Errorf("with the credentials that the AS rotated at the end: %v", err)
		}
		x.settle()
		x.together(c.ClientID, "openid")
		end()
	})
}

// However much another workspace's AS leaves undone, this one's work has its turn.
func TestOutboxOfAHangingServer(t *testing.T) {
	run(t, true, func(x *fixture) {
		down := verify.Refuse(verify.Unavailable, "", "down")
		hanging := newAS(true)
		hanging.hangs = true
		other := registry.Workspace{Name: "default/other", Provisioner: hanging}
		takeBack := x.Lend(other)
		var group sync.WaitGroup
		for i := range 500 {
			group.Go(func() {
				if _, err := x.Register(x.t.Context(), other, request(fmt.Sprint("other", i), "")); err == nil {
					t.Error("registered")
				}
			})
		}
		group.Wait()
		c := x.register(request("jti1", ""))
		time.Sleep(2 * time.Hour)
		x.as.mu.Lock()
		x.as.fail["delete"] = []error{down}
		x.as.mu.Unlock()
		if err := x.Delete(x.t.Context(), x.ws, c.ClientID, presented("t")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		if x.as.count() != 0 {
			t.Error("a deleted client is alive at its AS")
		}
		takeBack()
	})
}
