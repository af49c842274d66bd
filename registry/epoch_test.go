package registry_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// epochAfter opens a registry at a time, declares a restore, and is the epoch then, with
// what was logged.
func epochAfter(t *testing.T, s registry.Store, label string, now time.Time) (e registry.Epoch, says string) {
	t.Helper()
	o := registry.Options{Store: s, Sealer: plain{}, Restored: label, Now: func() time.Time { return now }}
	says, err := opens(t, o)
	if err != nil {
		t.Fatal(err)
	}
	o.Restored = ""
	r, err := registry.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	e = r.Epoch()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return e, says
}

var start = time.Unix(1_800_000_000, 0)

// TestDeclaredRestore: a label that the store has not seen begins an epoch, before
// anything is served, once.
func TestDeclaredRestore(t *testing.T) {
	t.Parallel()
	s := keep(t)
	if e, says := epochAfter(t, s, "", start); e.At != 0 || e.Unconfirmed() || !e.Time().IsZero() || says != "" {
		t.Errorf("nothing was declared: %+v, %s", e, says)
	}
	e, says := epochAfter(t, s, "2026-11-29", start)
	if e.Time() != start.Add(verify.DefaultSkew) || e.Since != start.Unix() || !e.Unconfirmed() || e.Cause != registry.EpochRestored || e.Label != "2026-11-29" {
		t.Errorf("%+v, want an unconfirmed restore of 2026-11-29 at %v", e, start.Add(verify.DefaultSkew))
	}
	if strings.Count(says, "level=WARN") != 1 || !strings.Contains(says, "restored=2026-11-29") {
		t.Errorf("not one warning: %s", says)
	}
	if again, says := epochAfter(t, s, "2026-11-29", start.Add(time.Hour)); again.At != e.At || says != "" {
		t.Errorf("left in the configuration: %+v, %s", again, says)
	}
	if next, _ := epochAfter(t, s, "another", start.Add(time.Hour)); next.At != e.At+3600 {
		t.Errorf("another restore: %+v", next)
	}
	if back, _ := epochAfter(t, s, "with a clock that was taken back", start); back.At != e.At+3600 || !back.Unconfirmed() {
		t.Errorf("the epoch went back: %+v", back)
	}
	// What it remembers is bounded, and forgets in the direction that refuses more.
	for i := range 32 - 3 {
		epochAfter(t, s, fmt.Sprint("label ", i), start.Add(2*time.Hour))
	}
	if known, _ := epochAfter(t, s, "2026-11-29", start.Add(3*time.Hour)); known.Label != "label 28" {
		t.Errorf("%+v, want that of label 28: 2026-11-29 is one of 32 labels", known)
	}
	epochAfter(t, s, "label 29", start.Add(2*time.Hour))
	if again, _ := epochAfter(t, s, "2026-11-29", start.Add(3*time.Hour)); again.Label != "2026-11-29" || again.At != e.At+3*3600 {
		t.Errorf("%+v, want 2026-11-29, three hours after %d", again, e.At)
	}
	epochAfter(t, s, strings.Repeat("x", 200), start.Add(4*time.Hour))
	if _, err := opens(t, registry.Options{Store: s, Sealer: plain{}, Restored: strings.Repeat("x", 201)}); err == nil {
		t.Error("a label of 201 bytes is accepted, want 200 at most")
	}
}

// TestDeclaredRestoreOfAnOpenStore: a reload declares too.
func TestDeclaredRestoreOfAnOpenStore(t *testing.T) {
	t.Parallel()
	r, err := registry.Open(t.Context(), registry.Options{Store: keep(t), Sealer: plain{}, Now: func() time.Time { return start }})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.DeclareRestored(t.Context(), "label"); err != nil {
			t.Fatal(err)
		}
	}
	if e := r.Epoch(); e.Label != "label" || !e.Unconfirmed() {
		t.Errorf("%+v, want an unconfirmed epoch of label", e)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// lossy is a store whose first commit carries a loss that was accepted.
type lossy struct {
	kept
	losses map[string]string
}

func (s *lossy) Update(ctx context.Context, f func(registry.Writer) error) error {
	return s.kept.Update(ctx, func(w registry.Writer) error {
		if err := f(w); err != nil {
			return err
		}
		for id, loss := range s.losses {
			if err := w.Put("loss/"+id, []byte(loss)); err != nil {
				return err
			}
		}
		s.losses = nil
		return nil
	})
}

// TestAcceptedLoss: what the engine writes with its first commit becomes an epoch, and is
// gone with that.
func TestAcceptedLoss(t *testing.T) {
	t.Parallel()
	s := &lossy{kept: keep(t), losses: map[string]string{"1": `{"time":1,"found":7,"committed":9}`}}
	e, says := epochAfter(t, s, "", start)
	if e.Time() != start.Add(verify.DefaultSkew) || e.Cause != registry.EpochLoss || !e.Unconfirmed() || len(e.Losses) != 1 || e.Losses[0] != (registry.Loss{Time: 1, Found: 7, Committed: 9}) {
		t.Errorf("%+v, want an unconfirmed loss, 7 of 9, at %v", e, start.Add(verify.DefaultSkew))
	}
	if strings.Count(says, "level=WARN") != 1 || !strings.Contains(says, "found=7") || !strings.Contains(says, "committed=9") {
		t.Errorf("not one warning: %s", says)
	}
	if again, says := epochAfter(t, s, "", start.Add(time.Hour)); again.At != e.At || says != "" {
		t.Errorf("counted twice: %+v, %s", again, says)
	}
	s.losses = map[string]string{}
	for i := range 50 { // more than one transaction takes
		s.losses[fmt.Sprintf("%02d", i)] = fmt.Sprintf(`{"found":%d,"committed":100}`, i)
	}
	next, _ := epochAfter(t, s, "", start.Add(time.Hour))
	if next.At != e.At+3600 || len(next.Losses) != 8 || next.Losses[7].Found != 49 {
		t.Errorf("%+v, want the last eight losses, an hour after %d", next, e.At)
	}
	if err := s.View(t.Context(), func(v registry.Reader) error {
		if left, err := v.Scan("loss/", "", 1); err != nil || len(left) > 0 {
			t.Errorf("left are %v, %v", left, err)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	s.losses = map[string]string{"broken": "{"}
	if _, err := opens(t, registry.Options{Store: s, Sealer: plain{}}); err == nil || !strings.Contains(err.Error(), "loss/broken") {
		t.Errorf("a loss that cannot be read: %v", err)
	}
}

// full is a store that takes no writes.
type fullStore struct{ kept }

func (fullStore) Update(context.Context, func(registry.Writer) error) error { return errFull }

// TestRestoreThatCannotBeRecorded is not served as if there had been none; a full disk
// alone keeps no gateway from starting.
func TestRestoreThatCannotBeRecorded(t *testing.T) {
	t.Parallel()
	s := fullStore{keep(t)}
	if _, err := opens(t, registry.Options{Store: s, Sealer: plain{}, Restored: "label"}); !errors.Is(err, errFull) {
		t.Errorf("%v, want %v", err, errFull)
	}
	if says, err := opens(t, registry.Options{Store: s, Sealer: plain{}}); err != nil || !strings.Contains(says, "cannot write to the store") {
		t.Errorf("%v, %s; want it opened with a warning that it cannot write to the store", err, says)
	}
}

// fills is a lossy store on a disk that has room for some updates, and then for none for a
// while.
type fills struct {
	*lossy
	room atomic.Int64
}

func (s *fills) Update(ctx context.Context, f func(registry.Writer) error) error {
	if s.room.Add(-1) < 0 {
		return errFull
	}
	return s.lossy.Update(ctx, f)
}

// TestAcceptedLossOnAFullDisk: the gateway starts, with the epoch in force; the first thing
// that can be written again is that epoch.
func TestAcceptedLossOnAFullDisk(t *testing.T) {
	t.Parallel()
	for takes := range int64(3) { // nothing, the binding, a part of the losses
		t.Run(fmt.Sprint(takes), func(t *testing.T) { acceptedOnAFullDisk(t, takes) })
	}
}

func acceptedOnAFullDisk(t *testing.T, takes int64) {
	s := &fills{lossy: &lossy{kept: keep(t)}}
	s.room.Store(takes)
	for i := range 40 { // more than one transaction takes
		loss := fmt.Appendf(nil, `{"found":%d,"committed":100}`, i)
		if err := s.kept.Update(t.Context(), func(w registry.Writer) error { return w.Put(fmt.Sprintf("loss/%02d", i), loss) }); err != nil {
			t.Fatal(err)
		}
	}
	var later atomic.Bool // the outbox asks the clock too
	clock := func() time.Time {
		if later.Load() {
			return start.Add(time.Hour)
		}
		return start
	}
	r, err := registry.Open(t.Context(), registry.Options{Store: s, Sealer: plain{}, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	inForce := r.Epoch()
	if inForce.Time() != start.Add(verify.DefaultSkew) || inForce.Since != start.Unix() || inForce.Cause != registry.EpochLoss || !inForce.Unconfirmed() || len(inForce.Losses) != 8 || inForce.Losses[7].Found != 39 {
		t.Fatalf("before the first write: %+v", inForce)
	}
	later.Store(true)
	suspension := registry.Suspension{Workspace: "default/obuk", Kind: registry.SuspendClient, Value: "x"}
	for what, err := range map[string]error{
		"a suspension": r.Suspend(t.Context(), suspension), "a restore": r.DeclareRestored(t.Context(), "label"), "a confirmation": r.ConfirmEpoch(t.Context(), registry.Act{Reason: "looked"}),
	} {
		if !errors.Is(err, errFull) || !reflect.DeepEqual(r.Epoch(), inForce) {
			t.Errorf("%s on a full disk: %v, %+v", what, err, r.Epoch())
		}
	}
	s.room.Store(1 << 20)
	for _, suspension.Value = range []string{"x", "y"} {
		if err := r.Suspend(t.Context(), suspension); err != nil || !reflect.DeepEqual(r.Epoch(), inForce) {
			t.Errorf("%v, %+v, before %+v", err, r.Epoch(), inForce)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if again, _ := epochAfter(t, s, "", clock()); !reflect.DeepEqual(again, inForce) {
		t.Errorf("after another start: %+v, before %+v", again, inForce)
	}
	if _, err := opens(t, registry.Options{Store: s, Sealer: newRotation(t).sealer()}); !errors.Is(err, registry.ErrForeignKeyset) {
		t.Errorf("not bound: %v", err)
	}
}

// TestUnreadableLossOnAFullDisk is not served as if there had been none.
func TestUnreadableLossOnAFullDisk(t *testing.T) {
	t.Parallel()
	s := &fills{lossy: &lossy{kept: keep(t)}}
	if err := s.kept.Update(t.Context(), func(w registry.Writer) error { return w.Put("loss/broken", []byte("{")) }); err != nil {
		t.Fatal(err)
	}
	if _, err := opens(t, registry.Options{Store: s, Sealer: plain{}}); err == nil || !strings.Contains(err.Error(), "loss/broken") {
		t.Errorf("%v, want an error that names loss/broken", err)
	}
}

// TestConfirmEpoch: an operator's word, with a reason, in the trail of every workspace.
func TestConfirmEpoch(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		ctx := x.t.Context()
		if err := x.ConfirmEpoch(ctx, registry.Act{Reason: "looked"}); !errors.Is(err, registry.ErrNoEpoch) {
			t.Errorf("nothing to confirm: %v", err)
		}
		if err := x.DeclareRestored(ctx, "label"); err != nil {
			t.Fatal(err)
		}
		at := x.Epoch().At
		for _, reason := range []string{"", strings.Repeat("x", 501)} {
			if err := x.ConfirmEpoch(ctx, registry.Act{Reason: reason}); err == nil || x.Epoch().Confirmed != 0 {
				t.Errorf("confirmed with a reason of %d bytes: %v", len(reason), err)
			}
		}
		var back []func()
		for i := range 70 { // more than one transaction tells
			back = append(back, x.Attach(registry.Workspace{Name: fmt.Sprintf("bank/%02d", i), Provisioner: newAS(true)}))
		}
		tag, err := x.EpochTag(ctx)
		if err != nil {
			t.Fatal(err)
		}
		anna := registry.Operator{Name: "Anna", Known: registry.ByDeclaration}
		if err := x.ConfirmEpoch(ctx, registry.Act{Operator: anna, Reason: "looked", Match: `"of nothing"`}); !errors.Is(err, registry.ErrChanged) {
			t.Errorf("with a tag of nothing: %v, want %v", err, registry.ErrChanged)
		}
		if err := x.ConfirmEpoch(ctx, registry.Act{Operator: anna, Reason: "compared with the AS", Match: tag}); err != nil {
			t.Fatal(err)
		}
		for _, f := range back {
			f()
		}
		if e := x.Epoch(); e.Unconfirmed() || e.At != at || e.Reason != "compared with the AS" || e.Operator != anna || e.Confirmed != time.Now().Unix() {
			t.Errorf("%+v, want it confirmed now, with its reason, and still of %d", e, at)
		}
		entries, _, err := x.Audit(ctx, "", time.Time{}, "", 100)
		if err != nil || len(entries) != 71 {
			t.Errorf("%d entries, %v", len(entries), err)
		}
		for _, e := range entries {
			if e.Change != registry.AuditConfirmed || e.Operator != anna || e.Reason != "compared with the AS" || e.Workspace == "" {
				t.Errorf("%+v, want the confirmation with its reason and workspace", e)
			}
		}
		if err := x.ConfirmEpoch(ctx, registry.Act{Reason: "again"}); !errors.Is(err, registry.ErrNoEpoch) {
			t.Errorf("%v, want %v", err, registry.ErrNoEpoch)
		}
		if err := x.DeclareRestored(ctx, "another"); err != nil || !x.Epoch().Unconfirmed() {
			t.Errorf("%v, %+v; want an unconfirmed epoch", err, x.Epoch())
		}
	})
}

// TestConfirmationWithoutEpochIsNotAudited, with any number of workspaces, also where two
// operators confirm at once.
func TestConfirmationWithoutEpochIsNotAudited(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		ctx := x.t.Context()
		for i := range 70 { // more than one transaction tells
			defer x.Attach(registry.Workspace{Name: fmt.Sprintf("bank/%02d", i), Provisioner: newAS(true)})()
		}
		audited := func(want int) {
			x.t.Helper()
			if entries, _, err := x.Audit(ctx, "", time.Time{}, "", 200); err != nil || len(entries) != want {
				x.t.Errorf("%d entries, want %d: %v", len(entries), want, err)
			}
		}
		if err := x.ConfirmEpoch(ctx, registry.Act{Reason: "nothing"}); !errors.Is(err, registry.ErrNoEpoch) {
			t.Errorf("%v, want %v", err, registry.ErrNoEpoch)
		}
		audited(0)
		if err := x.DeclareRestored(ctx, "label"); err != nil {
			t.Fatal(err)
		}
		results := make(chan error)
		for i := range 4 {
			go func() { results <- x.ConfirmEpoch(ctx, registry.Act{Reason: fmt.Sprint("operator ", i)}) }()
		}
		confirmed := 0
		for range 4 {
			switch err := wait.For(x.t, results, "a confirmation"); {
			case err == nil:
				confirmed++
			case !errors.Is(err, registry.ErrNoEpoch):
				t.Errorf("%v, want ErrNoEpoch", err)
			}
		}
		if confirmed != 1 {
			t.Errorf("%d have confirmed", confirmed)
		}
		audited(71)
	})
}

// TestEpochOfALaterVersion is not touched.
func TestEpochOfALaterVersion(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"store/epoch", "store/restored"} {
		s := keep(t)
		record, err := json.Marshal(map[string]int{"v": 2})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Update(t.Context(), func(w registry.Writer) error { return w.Put(key, record) }); err != nil {
			t.Fatal(err)
		}
		if _, err := opens(t, registry.Options{Store: s, Sealer: plain{}, Restored: "x"}); err == nil || !strings.Contains(err.Error(), "newer version") {
			t.Errorf("%s: %v, want a refusal of the newer version", key, err)
		}
	}
}
