package registry_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/registry"
)

func by(name, known, tag string) registry.Act {
	return registry.Act{Operator: registry.Operator{Name: name, Known: known}, Reason: "says " + name, Match: tag}
}

func TestCheckFourEyes(t *testing.T) {
	t.Parallel()
	for _, ok := range [][]string{nil, {"delete"}, {"delete", "resume", "approve"}} {
		if err := registry.CheckFourEyes(ok); err != nil {
			t.Errorf("%q: %v", ok, err)
		}
	}
	for _, wrong := range [][]string{{}, {""}, {"suspend"}, {"delete", "delete"}, {"Delete"}} {
		if registry.CheckFourEyes(wrong) == nil {
			t.Errorf("%q is accepted", wrong)
		}
	}
}

// four is a client that is suspended, and its tag.
func (x *fixture) four() (c *registry.Client, s registry.Suspension, tag func() string) {
	x.t.Helper()
	c = x.register(request("jti1", ""))
	s = registry.Suspension{Workspace: x.ws.Name, Kind: registry.SuspendClient, Value: c.ClientID, Act: registry.Act{Reason: "fraud"}}
	if err := x.Suspend(x.t.Context(), s); err != nil {
		x.t.Fatal(err)
	}
	return c, s, func() string {
		x.t.Helper()
		_, tag, err := x.Suspension(x.t.Context(), s)
		if err != nil {
			x.t.Fatal(err)
		}
		return tag
	}
}

// proposes makes the first or the second call.
func (x *fixture) proposes(action string, s registry.Suspension, act registry.Act) (registry.Act, *registry.Proposal, error) {
	x.t.Helper()
	return x.Propose(x.t.Context(), registry.Proposal{Workspace: s.Workspace, Action: action, Kind: s.Kind, Value: s.Value}, act)
}

// TestTwoOperatorsMakeAChange: one proposes, another one confirms, and the trail has both.
func TestTwoOperatorsMakeAChange(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		c, s, tag := x.four()
		const cert = registry.ByOperatorCertificate
		for _, known := range []string{registry.ByDeclaration, registry.ByLocalUser, ""} {
			if _, _, err := x.proposes("resume", s, by("Anna", known, tag())); !errors.Is(err, registry.ErrNotAuthenticated) {
				t.Errorf("%q: %v, want %v", known, err, registry.ErrNotAuthenticated)
			}
		}
		for _, act := range []registry.Act{by("Anna", cert, `"of nothing"`), by("Anna", cert, "")} {
			if _, _, err := x.proposes("resume", s, act); !errors.Is(err, registry.ErrChanged) {
				t.Errorf("%q: %v, want %v", act.Match, err, registry.ErrChanged)
			}
		}
		seen := tag()
		_, p, err := x.proposes("resume", s, by("CN=Anna", cert, seen))
		if err != nil || p == nil || p.Operator.Name != "CN=Anna" || p.Reason != "says CN=Anna" || p.Tag != seen || p.At != time.Now().Unix() || p.Until != time.Now().Add(24*time.Hour).Unix() {
			t.Fatalf("%+v, %v; want the proposal of Anna for a day", p, err)
		}
		if tag() != seen {
			t.Error("a proposal changes the entity tag")
		}
		if d := x.details(c); len(d.Proposals) != 1 || d.Proposals[0] != *p {
			t.Errorf("%+v, want %+v", d.Proposals, p)
		}
		if _, _, err := x.proposes("resume", s, by("CN=Anna", cert, seen)); !errors.Is(err, registry.ErrSameOperator) {
			t.Errorf("%v, want %v", err, registry.ErrSameOperator)
		}
		if _, other, err := x.proposes("delete", s, by("CN=Bert", cert, seen)); err != nil || other == nil {
			t.Errorf("another change: %+v, %v; want a proposal of its own", other, err)
		}
		act, p, err := x.proposes("resume", s, by("CN=Bert", cert, seen))
		if err != nil || p != nil {
			t.Fatalf("%+v, %v; want it confirmed", p, err)
		}
		s.Act = act
		time.Sleep(time.Second) // entries of one moment have no order
		if err := x.Resume(x.t.Context(), s); err != nil {
			t.Fatal(err)
		}
		trail := x.trail()
		last := trail[len(trail)-1]
		if last.Change != registry.AuditResumed || last.Operator.Name != "CN=Bert" || last.Reason != "says CN=Bert" || last.Proposed == nil || last.Proposed.Operator.Name != "CN=Anna" || last.Proposed.Reason != "says CN=Anna" {
			t.Errorf("%+v, want both operators", last)
		}
		if d := x.details(c); len(d.Proposals) != 0 {
			t.Errorf("%+v, want none: the client has changed", d.Proposals)
		}
		if err := x.Resume(x.t.Context(), s); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("again: %v, want %v", err, registry.ErrNotFound)
		}
		if _, _, err := x.proposes("resume", s, by("CN=Anna", cert, tag())); !errors.Is(err, registry.ErrNotFound) || !strings.Contains(err.Error(), "is not suspended itself") {
			t.Errorf("of what is not suspended: %v, want %v", err, registry.ErrNotFound)
		}
		if left := x.keys("proposal/" + "default%2Fobuk/resume/"); len(left) != 0 {
			t.Errorf("left %q", left)
		}
	})
}

// TestProposalEnds after a day, and when what it is about changes.
func TestProposalEnds(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		c, s, tag := x.four()
		const cert = registry.ByOperatorCertificate
		waits := func(want int) {
			t.Helper()
			list, err := x.Proposals(x.t.Context(), s)
			if err != nil || len(list) != want || len(x.details(c).Proposals) != want {
				t.Errorf("%+v, %v; want %d", list, err, want)
			}
		}
		propose := func(name string, want bool) {
			t.Helper()
			if _, p, err := x.proposes("delete", s, by(name, cert, tag())); err != nil || (p != nil) != want {
				t.Errorf("%s: %+v, %v; want a proposal: %t", name, p, err, want)
			}
		}
		suspendAnew := func() {
			t.Helper()
			if err := errors.Join(x.Resume(x.t.Context(), s), x.Suspend(x.t.Context(), s)); err != nil {
				t.Fatal(err)
			}
		}
		propose("CN=Anna", true)
		time.Sleep(24*time.Hour - time.Second)
		waits(1)
		time.Sleep(time.Second)
		waits(0)
		propose("CN=Bert", true) // that of Anna has ended
		waits(1)
		s.Act = registry.Act{Reason: "another reason"}
		suspendAnew()
		waits(0)
		propose("CN=Anna", true) // Bert has wanted something else
		propose("CN=Bert", false)
		// A confirmation that comes too late changes nothing.
		late, p, err := x.proposes("delete", s, by("CN=Carl", cert, tag()))
		if err != nil || p != nil {
			t.Fatal(p, err)
		}
		time.Sleep(time.Second)
		suspendAnew()
		if err := x.DeleteByOperator(x.t.Context(), x.ws.Name, c.ClientID, late); !errors.Is(err, registry.ErrChanged) {
			t.Errorf("%v, want %v", err, registry.ErrChanged)
		}
	})
}

// TestOneConfirmationCounts: of many that confirm at once one makes the change.
func TestOneConfirmationCounts(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		c, s, tag := x.four()
		seen := tag()
		if _, p, err := x.proposes("delete", s, by("CN=Anna", registry.ByOperatorCertificate, seen)); err != nil || p == nil {
			t.Fatal(p, err)
		}
		const many = 16
		results := make(chan error)
		for i := range many {
			go func() {
				act, p, err := x.proposes("delete", s, by(fmt.Sprint("CN=", i), registry.ByOperatorCertificate, seen))
				if err == nil && p == nil {
					err = x.DeleteByOperator(x.t.Context(), x.ws.Name, c.ClientID, act)
				} else if err == nil {
					err = errors.New("proposed")
				}
				results <- err
			}()
		}
		done := 0
		for range many {
			switch err := wait.For(x.t, results, "a confirmation"); {
			case err == nil:
				done++
			case !errors.Is(err, registry.ErrChanged) && !errors.Is(err, registry.ErrNotFound):
				t.Error(err)
			}
		}
		deletions := 0
		for _, change := range x.changes() {
			if change == registry.AuditDeleted {
				deletions++
			}
		}
		if done != 1 || deletions != 1 {
			t.Errorf("%d have made it, %d deletions; want one", done, deletions)
		}
	})
}

// TestProposalOfANewerVersionIsNotTouched.
func TestProposalOfANewerVersionIsNotTouched(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		c, s, tag := x.four()
		err := x.store.Update(x.t.Context(), func(w registry.Writer) error {
			return w.Put("proposal/default%2Fobuk/delete/client/"+c.ClientID, []byte(`{"v":99}`))
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := x.proposes("delete", s, by("CN=Anna", registry.ByOperatorCertificate, tag())); err == nil {
			t.Error("proposed")
		}
	})
}

// TestOneOperatorHasOneName: certificates whose subjects are the same name (RFC 4517 4.2.15), in
// another spelling or order, are no two operators.
func TestOneOperatorHasOneName(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		_, s, tag := x.four()
		const cert = registry.ByOperatorCertificate
		if _, p, err := x.proposes("resume", s, by("CN=Anna Doe,O=Bank", cert, tag())); err != nil || p == nil {
			t.Fatal(p, err)
		}
		for _, name := range []string{"CN=ANNA DOE,O=Bank", "CN=anna  doe,O=bank", "O=Bank,CN=Anna Doe", "CN=\uff21nna Doe,O=Bank"} {
			if _, _, err := x.proposes("resume", s, by(name, cert, tag())); !errors.Is(err, registry.ErrSameOperator) {
				t.Errorf("%s: %v, want %v", name, err, registry.ErrSameOperator)
			}
		}
		if _, p, err := x.proposes("resume", s, by("CN=Anna Doe,O=Another bank", cert, tag())); err != nil || p != nil {
			t.Errorf("%+v, %v; want it confirmed by another one", p, err)
		}
	})
}

// TestTwoOperatorsUndoAnImport: the undoing of an import is confirmed once, by another operator who
// has seen the same state.
func TestTwoOperatorsUndoAnImport(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		ctx := x.t.Context()
		report := x.imports(clientFile(foreign("a", ""), foreign("b", `"suspended":true,`)))
		const cert = registry.ByOperatorCertificate
		undo := registry.Proposal{Action: registry.FourEyesDelete, Kind: registry.ProposalOfImport, Value: report.ID}
		_, tag, err := x.ImportRecord(ctx, report.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name, tag, id string
			want          error
		}{{"Anna", `"another"`, report.ID, registry.ErrChanged}, {"Anna", tag, "another", registry.ErrNotFound}} {
			other := undo
			other.Value = c.id
			if _, _, err := x.Propose(ctx, other, by("CN="+c.name, cert, c.tag)); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		}
		if _, p, err := x.Propose(ctx, undo, by("CN=Anna", cert, tag)); err != nil || p == nil {
			t.Fatal(p, err)
		}
		if list, err := x.ImportProposals(ctx, report.ID); err != nil || len(list) != 1 || list[0].Operator.Name != "CN=Anna" {
			t.Errorf("%+v, %v; want the proposal", list, err)
		}
		act, p, err := x.Propose(ctx, undo, by("CN=Bert", cert, tag))
		if err != nil || p != nil {
			t.Fatal(p, err)
		}
		time.Sleep(time.Second) // entries of one moment have no order
		m, err := x.UndoImport(ctx, report.ID, act)
		if err != nil || m.Undone != 2 || m.Proposed == nil || m.Proposed.Operator.Name != "CN=Anna" {
			t.Errorf("%+v, %v; want both undone, and both operators", m, err)
		}
		if trail := x.trail(); trail[len(trail)-1].Change != registry.AuditImportUndone || trail[len(trail)-1].Proposed == nil {
			t.Errorf("%+v, want both operators", trail[len(trail)-1])
		}
		if left := x.keys("proposal/"); len(left) != 0 {
			t.Errorf("left %q", left)
		}
		if _, err := x.UndoImport(ctx, report.ID, act); !errors.Is(err, registry.ErrChanged) {
			t.Errorf("again: %v, want %v", err, registry.ErrChanged)
		}
	})
}

// TestLoginsAreOperators: another login confirms. A login and a certificate may be of one person,
// whatever their names are.
func TestLoginsAreOperators(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		_, s, tag := x.four()
		const login = registry.ByLogin
		if _, p, err := x.proposes("resume", s, by("anna", login, tag())); err != nil || p == nil {
			t.Fatalf("%+v, %v; want a proposal", p, err)
		}
		for _, same := range []registry.Act{by("anna", login, tag()), by("Anna", login, tag()), by("CN=Bob", registry.ByOperatorCertificate, tag())} {
			if _, _, err := x.proposes("resume", s, same); !errors.Is(err, registry.ErrSameOperator) {
				t.Errorf("%+v: %v, want %v", same.Operator, err, registry.ErrSameOperator)
			}
		}
		act, p, err := x.proposes("resume", s, by("bob", login, tag()))
		if err != nil || p != nil || act.Proposed == nil {
			t.Errorf("%+v, %+v, %v; want that it is confirmed", act, p, err)
		}
	})
}
