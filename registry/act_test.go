package registry_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

func TestActCheck(t *testing.T) {
	t.Parallel()
	ok := registry.Act{Operator: registry.Operator{Name: "Anna", Known: registry.ByDeclaration}, Reason: "fraud"}
	if err := ok.Check(); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*registry.Act){
		"no reason": func(a *registry.Act) { a.Reason = "" }, "a long reason": func(a *registry.Act) { a.Reason = strings.Repeat("x", 501) },
		"a reason of two lines": func(a *registry.Act) { a.Reason = "a\nb" }, "a reason that is not UTF-8": func(a *registry.Act) { a.Reason = "\xff" },
		"no operator": func(a *registry.Act) { a.Operator.Name = "" }, "a long operator": func(a *registry.Act) { a.Operator.Name = strings.Repeat("x", 257) },
		"a blank reason": func(a *registry.Act) { a.Reason = " " }, "an operator with space": func(a *registry.Act) { a.Operator.Name = " Anna" },
		"an operator that reads from the right": func(a *registry.Act) { a.Operator.Name = "Anna\u202e" }, "an operator with what nobody sees": func(a *registry.Act) { a.Operator.Name = "An\u200bna" },
		"an operator with a control character": func(a *registry.Act) { a.Operator.Name = "a\x1b[2J" },
	} {
		a := ok
		if change(&a); a.Check() == nil {
			t.Errorf("%s: accepted", what)
		}
	}
	for _, a := range []registry.Act{{Operator: ok.Operator, Reason: strings.Repeat("x", 500)}, {Operator: registry.Operator{Name: strings.Repeat("x", 256)}, Reason: "é"}} {
		if err := a.Check(); err != nil {
			t.Errorf("%+v: %v", a, err)
		}
	}
}

// TestChangesNeedTheNewestTag: an operator who has seen another state changes nothing, and what
// changes a client for the guard changes its tag.
func TestChangesNeedTheNewestTag(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		x.as.secret = secrets("create", "update")
		c := x.register(request("jti1", "token1"))
		ctx := x.t.Context()
		of := func(kind, value, tag string) registry.Suspension {
			return registry.Suspension{Workspace: x.ws.Name, Kind: kind, Value: value, Act: registry.Act{Match: tag}}
		}
		tag := func() string {
			t.Helper()
			_, tag, err := x.Suspension(ctx, of(registry.SuspendClient, c.ClientID, ""))
			if err != nil || len(tag) != 24 {
				t.Fatalf("%q, %v", tag, err)
			}
			return tag
		}
		seen := tag()
		for _, s := range []registry.Suspension{
			of(registry.SuspendSoftware, c.SoftwareID, ""), of(registry.SuspendOrganisation, c.OrgID, ""), of(registry.SuspendDirectory, c.Directory, ""), of(registry.SuspendClient, c.ClientID, ""),
		} {
			_, before, err := x.Suspension(ctx, s)
			if err != nil {
				t.Fatal(err)
			}
			if s.Match = seen + "x"; !errors.Is(x.Suspend(ctx, s), registry.ErrChanged) {
				t.Errorf("%s: suspended with a tag of nothing", s.Kind)
			}
			if s.Match = before; x.Suspend(ctx, s) != nil {
				t.Errorf("%s: not suspended with its tag", s.Kind)
			}
			if now := tag(); now == seen {
				t.Errorf("%s: the client has the tag that it had before it was suspended", s.Kind)
			} else {
				seen = now
			}
			if !errors.Is(x.Resume(ctx, s), registry.ErrChanged) {
				t.Errorf("%s: resumed with the tag from before the suspension", s.Kind)
			}
			if _, s.Match, err = x.Suspension(ctx, s); err != nil || x.Resume(ctx, s) != nil {
				t.Errorf("%s: not resumed with its tag, %v", s.Kind, err)
			}
			seen = tag()
		}
		if err := x.RotateSecret(ctx, x.ws.Name, c.ClientID, registry.Act{Match: `"of nothing"`}); !errors.Is(err, registry.ErrChanged) {
			t.Errorf("rotated with a tag of nothing: %v", err)
		}
		if err := x.RotateSecret(ctx, x.ws.Name, c.ClientID, registry.Act{Match: seen}); err != nil {
			t.Errorf("not rotated: %v", err)
		}
		if _, _, err := x.Suspension(ctx, of(registry.SuspendClient, "nobody", "")); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("%v, want %v", err, registry.ErrNotFound)
		}
	})
}

// TestTwoOperatorsAtOnce: of several who have seen the same state one makes a change.
func TestTwoOperatorsAtOnce(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		c := x.register(request("jti1", "token1"))
		s := registry.Suspension{Workspace: x.ws.Name, Kind: registry.SuspendClient, Value: c.ClientID}
		var err error
		if _, s.Match, err = x.Suspension(x.t.Context(), s); err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		var made, refused atomic.Int32
		for i := range 8 {
			group.Go(func() {
				mine := s
				mine.Operator.Name = fmt.Sprint("operator ", i)
				switch err := x.Suspend(x.t.Context(), mine); {
				case err == nil:
					made.Add(1)
				case errors.Is(err, registry.ErrChanged):
					refused.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		group.Wait()
		if made.Load() != 1 || refused.Load() != 7 {
			t.Errorf("%d made it and %d were refused, want 1 and 7", made.Load(), refused.Load())
		}
		trail := x.trail()
		if last := trail[len(trail)-1]; len(trail) != 2 || last.Change != registry.AuditSuspended || !strings.HasPrefix(last.Operator.Name, "operator ") {
			t.Errorf("%+v, want one suspension and its operator", trail)
		}
	})
}
