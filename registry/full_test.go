package registry_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/memory"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

var errFull = errors.New("the disk is full")

// disk is a store that takes no writes while it is full.
type disk struct {
	*memory.Store
	full atomic.Bool
}

func (d *disk) Update(ctx context.Context, f func(registry.Writer) error) error {
	if d.full.Load() {
		return errFull
	}
	return d.Store.Update(ctx, f)
}

// filling is an AS during whose answer the disk runs full, once.
type filling struct {
	*as
	disk *disk
	once atomic.Bool
}

func (f *filling) fill() {
	if f.once.CompareAndSwap(true, false) {
		f.disk.full.Store(true)
	}
}

func (f *filling) Create(ctx context.Context, c *registry.Client) (*registry.Provisioned, error) {
	defer f.fill()
	return f.as.Create(ctx, c)
}

func (f *filling) Update(ctx context.Context, c *registry.Client) (*registry.Provisioned, error) {
	defer f.fill()
	return f.as.Update(ctx, c)
}

func onDisk(t *testing.T, chooses bool, f func(*fixture, *filling)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := &disk{Store: memory.Open(memory.Options{})}
		r, err := registry.Open(t.Context(), registry.Options{Store: d, Sealer: plain{}})
		if err != nil {
			t.Fatal(err)
		}
		a := &filling{as: newAS(chooses), disk: d}
		x := &fixture{Registry: r, t: t, store: d, as: a.as, ws: registry.Workspace{Name: "default/obuk", Provisioner: a}}
		takeBack := r.Attach(x.ws)
		defer func() { // also of a test that fails: in fake time the outbox would go on for ever
			takeBack()
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}()
		f(x, a)
	})
}

// heldUntil holds that an error is the disk's, and that the TPP is told to come back
// when what it holds is free again: before, the same request gets the same answer.
func heldUntil(t *testing.T, err error, lease time.Duration) {
	t.Helper()
	e := refusal.From(err)
	if err == nil || e.Kind != refusal.Unavailable || e.RetryAfter != lease {
		t.Errorf("%v, Retry-After %v; want unavailable and %v", err, e.RetryAfter, lease)
	}
}

// TestFullBeforeActivation: the AS has a client that the registry cannot take.
func TestFullBeforeActivation(t *testing.T) {
	t.Parallel()
	for _, chooses := range []bool{true, false} {
		onDisk(t, chooses, func(x *fixture, a *filling) {
			a.once.Store(true)
			in := request("jti1", "token1")
			_, err := x.Register(x.t.Context(), x.ws, in)
			if !errors.Is(err, errFull) {
				x.t.Errorf("%v, want %v", err, errFull)
			}
			heldUntil(x.t, err, time.Minute)
			a.disk.full.Store(false)
			time.Sleep(20 * time.Second)
			_, err = x.Register(x.t.Context(), x.ws, in)
			refused(x.t, err, refusal.Unavailable, "jti")
			if e := refusal.From(err); e.RetryAfter > 40*time.Second || e.RetryAfter < 39*time.Second {
				x.t.Errorf("Retry-After %v, want what remains", e.RetryAfter)
			}
			time.Sleep(time.Minute)
			x.settle()
			if n := x.as.count(); n != 0 {
				x.t.Errorf("the AS still holds %d clients", n)
			}
			x.nothingLeft()
			x.register(in)
		})
	}
}

// TestFullBeforeARefusalIsKept: the AS did nothing, and what the request holds could
// not be given back.
func TestFullBeforeARefusalIsKept(t *testing.T) {
	t.Parallel()
	onDisk(t, true, func(x *fixture, a *filling) {
		a.once.Store(true)
		x.as.fail["create"] = []error{refusal.New(refusal.Unavailable, "", "down")}
		in := request("jti1", "token1")
		_, err := x.Register(x.t.Context(), x.ws, in)
		heldUntil(x.t, err, time.Minute)
		a.disk.full.Store(false)
		time.Sleep(time.Minute)
		x.settle()
		x.register(in)
	})
}

// TestFullBeforeAnUpdateIsKept: the AS has the new metadata, or none; the old ones count.
func TestFullBeforeAnUpdateIsKept(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]error{"taken": nil, "down": refusal.New(refusal.Unavailable, "", "down")} {
		onDisk(t, true, func(x *fixture, a *filling) {
			c := x.register(request("jti1", "token1"))
			a.once.Store(true)
			if answer != nil {
				x.as.fail["update"] = []error{answer}
			}
			in := narrower("jti2")
			_, err := x.Update(x.t.Context(), x.ws, c.ClientID, in)
			heldUntil(x.t, err, time.Minute)
			a.disk.full.Store(false)
			time.Sleep(time.Minute)
			x.settle()
			x.together(c.ClientID, "openid accounts")
			if _, err := x.Update(x.t.Context(), x.ws, c.ClientID, in); err != nil {
				x.t.Errorf("%s: the same update once more: %v", name, err)
			}
			x.together(c.ClientID, "openid")
		})
	}
}
