package registry_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// slowly is an AS that answers nobody until it may.
type slowly struct {
	*as
	calls atomic.Int32
	may   chan struct{}
}

func (s *slowly) wait(ctx context.Context) error {
	s.calls.Add(1)
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
	t.Parallel()
	const atOnce, patience = 128, 5 * time.Second // docs/operations.md
	run(t, true, func(x *fixture) {
		before := x.register(request("first", ""))
		s := &slowly{as: x.as, may: make(chan struct{})}
		busy := x.ws
		busy.Provisioner = s
		outcomes := make(chan error, 2*atOnce)
		begin := func(i int) {
			go func() {
				_, err := x.Register(x.t.Context(), busy, of(i%8, request(fmt.Sprint("jti", i), fmt.Sprint("token", i))))
				outcomes <- err
			}()
		}
		for i := range atOnce {
			begin(i)
		}
		synctest.Wait()
		if s.calls.Load() != atOnce || len(outcomes) > 0 {
			t.Fatalf("%d are at work, %d have ended", s.calls.Load(), len(outcomes))
		}

		for name, late := range map[string]func(context.Context) error{
			"a registration": func(ctx context.Context) error {
				_, err := x.Register(ctx, busy, of(8, request("late", "late")))
				return err
			},
			"an update": func(ctx context.Context) error {
				_, err := x.Update(ctx, busy, before.ClientID, of(9, request("late", "")))
				return err
			},
		} {
			began := time.Now()
			err := late(x.t.Context())
			refused(t, err, refusal.Unavailable, "registry")
			if waited := time.Since(began); waited != patience {
				t.Errorf("%s was sent away after %v", name, waited)
			}
			ctx, cancel := context.WithCancel(x.t.Context())
			go cancel()
			began = time.Now()
			refused(t, late(ctx), refusal.Unavailable, "registry")
			if waited := time.Since(began); waited != 0 {
				t.Errorf("%s waited %v for somebody who had left", name, waited)
			}
		}
		if n := len(x.keys("client/")); n != 1+atOnce || s.calls.Load() != atOnce {
			t.Errorf("%d clients are begun, and the AS was asked %d times", n, s.calls.Load())
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
			if err := wait.For(x.t, outcomes, "the outcome of a call"); err != nil {
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

// of is a request of another organisation for each number.
func of(n int, in registry.Registration) registry.Registration {
	in.Request.Statement.OrgID = fmt.Sprint("other", n)
	return in
}

// TestShareOfAdmission: whatever an organisation sends, and with however many
// certificates, it has an eighth of the places, and who waits for more is in nobody's way.
func TestShareOfAdmission(t *testing.T) {
	t.Parallel()
	const share, crowd, patience = 16, 190, 5 * time.Second // docs/operations.md
	run(t, true, func(x *fixture) {
		victim := x.register(of(1, request("first", "")))
		s := &slowly{as: x.as, may: make(chan struct{})}
		slow := x.ws
		slow.Provisioner = s
		outcomes := make(chan error, crowd)
		for i := range crowd {
			go func() {
				in := request(fmt.Sprint("jti", i), fmt.Sprint("token", i))
				in.Certificate.Thumbprint = fmt.Sprint("thumb", i%2)
				_, err := x.Register(x.t.Context(), slow, in)
				outcomes <- err
			}()
		}
		synctest.Wait()
		if got := s.calls.Load(); got != share {
			t.Errorf("%d of one organisation are at work, want %d", got, share)
		}
		began, made := time.Now(), 0
		for i := range 100 {
			if _, err := x.Register(x.t.Context(), x.ws, of(i%5, request(fmt.Sprint("other", i), fmt.Sprint("others token", i)))); err == nil {
				made++
			}
			if _, err := x.Update(x.t.Context(), x.ws, victim.ClientID, of(1, request(fmt.Sprint("update", i), ""))); err != nil {
				t.Error(err)
			}
		}
		if waited := time.Since(began); made < 99 || waited != 0 {
			t.Errorf("%d of the others' 100 were made, after %v", made, waited)
		}
		for range crowd - share {
			refused(t, <-outcomes, refusal.Unavailable, "registry")
		}
		if waited := time.Since(began); waited != patience {
			t.Errorf("the others of the crowd were sent away after %v", waited)
		}
		close(s.may)
		for range share {
			if err := wait.For(x.t, outcomes, "the outcome of a call"); err != nil {
				t.Error(err)
			}
		}
		// What was left behind by it all is nothing: the share is whole again.
		if _, err := x.Register(x.t.Context(), x.ws, request("again", "again")); err != nil {
			t.Error(err)
		}
	})
}

// TestShareWithoutOrganisation: without a statement the certificate counts, and without
// that nobody is told apart. fair_share off gives all places to one.
func TestShareWithoutOrganisation(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*registry.Workspace, *registry.Registration)
		want   int32
	}{
		{"a certificate", func(_ *registry.Workspace, in *registry.Registration) { in.Request.Statement.OrgID = "" }, 16},
		{"nothing", func(_ *registry.Workspace, in *registry.Registration) {
			in.Request.Statement.OrgID, in.Certificate = "", nil
		}, 128},
		{"another directory of the same org_id", func(_ *registry.Workspace, in *registry.Registration) {
			in.Request.Statement.Issuer = &verify.Issuer{Name: "directory " + in.Request.JTI[:1]}
		}, 32},
		{"fair_share off", func(ws *registry.Workspace, _ *registry.Registration) { ws.FairShareOff = true }, 128},
	} {
		t.Run(test.name, func(t *testing.T) {
			run(t, true, func(x *fixture) {
				s := &slowly{as: x.as, may: make(chan struct{})}
				slow := x.ws
				slow.Provisioner = s
				outcomes := make(chan error, 150)
				for i := range 150 {
					in := request(fmt.Sprint(i%2, "jti", i), fmt.Sprint("token", i))
					test.change(&slow, &in)
					ws := slow
					go func() {
						_, err := x.Register(x.t.Context(), ws, in)
						outcomes <- err
					}()
				}
				synctest.Wait()
				if got := s.calls.Load(); got != test.want {
					t.Errorf("%d are at work, want %d", got, test.want)
				}
				close(s.may)
				for range 150 {
					wait.For(x.t, outcomes, "the outcome of a call")
				}
			})
		})
	}
}
