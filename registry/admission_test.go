package registry_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// slowly is an AS that answers nobody until it may.
type slowly struct {
	*as
	asked atomic.Int32
	may   chan struct{}
}

func (s *slowly) wait(ctx context.Context) error {
	s.asked.Add(1)
	select {
	case <-s.may:
		return nil
	case <-ctx.Done():
		return registry.ErrLost
	}
}

func (s *slowly) Create(ctx context.Context, c *registry.Client) (*registry.Provisioned, error) {
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	return s.as.Create(ctx, c)
}

func (s *slowly) Update(ctx context.Context, c *registry.Client) (*registry.Provisioned, error) {
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	return s.as.Update(ctx, c)
}

// TestAdmission: of a crowd only so many begin at once as can be ended. The others wait a
// little, and have begun nothing when they are sent away.
func TestAdmission(t *testing.T) {
	const atOnce, wait = 128, 5 * time.Second // docs/operations.md
	run(t, true, func(x *fixture) {
		before := x.register(request("first", ""))
		s := &slowly{as: x.as, may: make(chan struct{})}
		busy := x.ws
		busy.Provisioner = s
		outcomes := make(chan error, 2*atOnce)
		begin := func(i int) {
			go func() {
				_, err := x.Register(x.t.Context(), busy, request(fmt.Sprint("jti", i), fmt.Sprint("token", i)))
				outcomes <- err
			}()
		}
		for i := range atOnce {
			begin(i)
		}
		synctest.Wait()
		if s.asked.Load() != atOnce || len(outcomes) > 0 {
			t.Fatalf("%d are at work, %d have ended", s.asked.Load(), len(outcomes))
		}

		for name, late := range map[string]func(context.Context) error{
			"a registration": func(ctx context.Context) error {
				_, err := x.Register(ctx, busy, request("late", "late"))
				return err
			},
			"an update": func(ctx context.Context) error {
				_, err := x.Update(ctx, busy, before.ClientID, request("late", ""))
				return err
			},
		} {
			began := time.Now()
			err := late(x.t.Context())
			refused(t, err, verify.Unavailable, "registry")
			if waited := time.Since(began); waited != wait {
				t.Errorf("%s was sent away after %v", name, waited)
			}
			ctx, cancel := context.WithCancel(x.t.Context())
			go cancel()
			began = time.Now()
			refused(t, late(ctx), verify.Unavailable, "registry")
			if waited := time.Since(began); waited != 0 {
				t.Errorf("%s waited %v for somebody who had left", name, waited)
			}
		}
		if n := len(x.keys("client/")); n != 1+atOnce || s.asked.Load() != atOnce {
			t.Errorf("%d clients are begun, and the AS was asked %d times", n, s.asked.Load())
		}

		// Another workspace, with another AS, is none of theirs.
		other := registry.Workspace{Name: "other", Provisioner: newAS(true)}
		if _, err := x.Register(x.t.Context(), other, request("other", "other")); err != nil {
			t.Error(err)
		}

		// Who waits when the others end goes on.
		begin(atOnce)
		synctest.Wait()
		close(s.may)
		for range 1 + atOnce {
			if err := <-outcomes; err != nil {
				t.Error(err)
			}
		}
		if x.as.count() != 2+atOnce {
			t.Errorf("%d clients", x.as.count())
		}
		if _, err := x.Update(x.t.Context(), busy, before.ClientID, request("late", "")); err != nil {
			t.Errorf("what was sent away cannot be sent again: %v", err)
		}
	})
}
