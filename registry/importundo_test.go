package registry_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// undoneOf imports a client, lets something happen to it, and undoes the import.
func (x *fixture) undoneOf(more string, happens func()) *registry.ImportRecord {
	x.t.Helper()
	report := x.imports(clientFile(foreign("c", more+`"registration_access_token":"rat","registration_client_uri":"/reg/c",`)))
	x.as.set(func() {
		x.as.clients["c"] = registry.Credentials{RegistrationAccessToken: "rat", RegistrationPath: "/reg/c"}
		x.as.scopes["c"] = "openid accounts"
	})
	happens()
	m, err := x.UndoImport(x.t.Context(), report.ID, importer)
	if err != nil {
		x.t.Fatal(err)
	}
	return m
}

// TestUndoImportOfEachState: an undo removes a client that is as the import has written it, and
// keeps every other one: also one of which the AS may hold something else.
func TestUndoImportOfEachState(t *testing.T) {
	t.Parallel()
	const imported = `"suspended":true,`
	lost, down := registry.ErrLost, refusal.New(refusal.Unavailable, "", "down")
	update := func(x *fixture, in registry.Registration, succeeds bool) {
		x.t.Helper()
		if _, err := x.Update(x.t.Context(), x.ws, "c", in); (err == nil) != succeeds {
			x.t.Fatalf("update: %v, want success %t", err, succeeds)
		}
	}
	operator := func(x *fixture, kind, value string, f func(s registry.Suspension) error) {
		x.t.Helper()
		if err := f(registry.Suspension{Workspace: x.ws.Name, Kind: kind, Value: value, Act: importer}); err != nil {
			x.t.Fatal(err)
		}
	}
	suspend := func(kind, value string) func(*fixture) {
		return func(x *fixture) {
			operator(x, kind, value, func(s registry.Suspension) error { return x.Suspend(x.t.Context(), s) })
		}
	}
	resume := func(x *fixture) {
		operator(x, registry.SuspendClient, "c", func(s registry.Suspension) error { return x.Resume(x.t.Context(), s) })
	}
	fails := func(x *fixture, call string, with ...error) { x.as.set(func() { x.as.fail[call] = with }) }
	leaseEnds := func(x *fixture) { time.Sleep(70 * time.Second); synctest.Wait() }
	// A change whose answer is lost, and whose restoration fails from then on.
	openChange := func(x *fixture) {
		x.as.set(func() { x.as.carriedOut = true })
		fails(x, "update", append([]error{lost}, repeated(down, 1000)...)...)
		update(x, narrower("jti1"), false)
		x.as.set(func() { x.as.carriedOut = false })
	}
	for _, test := range []struct {
		name, more   string
		happens      func(*fixture)
		undone, kept int
	}{
		{"untouched", "", func(*fixture) {}, 1, 0},
		{"a PUT", "", func(x *fixture) { update(x, narrower("jti1"), true) }, 0, 1},
		{"a PUT that the AS refuses", "", func(x *fixture) { fails(x, "update", down); update(x, narrower("jti1"), false) }, 1, 0},
		{"a PUT under way", "", func(x *fixture) {
			x.as.answersAfter(5 * time.Second)
			go func() { _, _ = x.Update(x.t.Context(), x.ws, "c", narrower("jti1")) }()
			synctest.Wait()
		}, 0, 1},
		{"a PUT with a lost answer", "", openChange, 0, 1},
		{"a PUT with a lost answer, after its lease", "", func(x *fixture) { openChange(x); leaseEnds(x) }, 0, 1},
		{"a PUT with a lost answer, and a comparison after it", "", func(x *fixture) {
			openChange(x)
			leaseEnds(x)
			x.reconciles(registry.ReconcileOptions{})
		}, 0, 1},
		{"a PUT that the last transaction refuses", "", func(x *fixture) {
			errs := make(chan error)
			fails(x, "update", append([]error{nil}, repeated(down, 1000)...)...)
			x.as.answersAfter(5 * time.Second)
			go func() {
				_, err := x.Update(x.t.Context(), x.ws, "c", issued(narrower("jti1"), 10))
				errs <- err
			}()
			time.Sleep(time.Second)
			x.settleFor(issued(request("newer", "newer"), 1))
			if err := <-errs; err == nil {
				x.t.Fatal("it was not refused")
			}
		}, 0, 1},
		{"another PUT fails after one with a lost answer", "", func(x *fixture) {
			openChange(x)
			leaseEnds(x)
			update(x, narrower("jti2"), false)
		}, 0, 1},
		{"a restoration that an operator gives up", "", func(x *fixture) {
			openChange(x)
			leaseEnds(x)
			e, act := x.waiting("restore")
			if err := x.GiveUpOutbox(x.t.Context(), x.ws.Name, e.ID, act); err != nil {
				x.t.Fatal(err)
			}
		}, 0, 1},
		{"a restoration", "", func(x *fixture) {
			fails(x, "update", lost)
			update(x, narrower("jti1"), false)
			leaseEnds(x)
		}, 0, 1},
		{"keys that were refreshed", "", func(x *fixture) {
			if err := x.RefreshKeys(x.t.Context(), x.ws, "c"); err != nil {
				x.t.Fatal(err)
			}
		}, 0, 1},
		{"suspended", "", suspend(registry.SuspendClient, "c"), 0, 1},
		{"its software suspended", "", suspend(registry.SuspendSoftware, "software1"), 0, 1},
		{"its organisation suspended", "", suspend(registry.SuspendOrganisation, "org1"), 0, 1},
		{"its directory suspended", "", suspend(registry.SuspendDirectory, "OpenBanking Ltd"), 0, 1},
		{"suspended and resumed", "", func(x *fixture) { suspend(registry.SuspendClient, "c")(x); resume(x) }, 1, 0},
		{"imported as suspended", imported, func(*fixture) {}, 1, 0},
		{"imported as suspended, and resumed", imported, resume, 0, 1},
		{"imported as suspended, resumed, and suspended", imported, func(x *fixture) {
			resume(x)
			time.Sleep(time.Second)
			suspend(registry.SuspendClient, "c")(x)
		}, 0, 1},
		{"deleted by its TPP", "", func(x *fixture) {
			if err := x.Delete(x.t.Context(), x.ws, "c", presented("t")); err != nil {
				x.t.Fatal(err)
			}
			x.settle()
		}, 0, 0},
		{"a deletion under way", "", func(x *fixture) {
			x.down("delete")
			if err := x.Delete(x.t.Context(), x.ws, "c", presented("t")); err != nil {
				x.t.Fatal(err)
			}
			x.settle()
		}, 0, 1},
		{"deleted, and its software registered again", "", func(x *fixture) {
			if err := x.Delete(x.t.Context(), x.ws, "c", presented("t")); err != nil {
				x.t.Fatal(err)
			}
			x.register(request("jti1", "token1"))
		}, 0, 0},
		{"awaiting approval", "", func(x *fixture) {
			x.approves(registry.ApprovalChanges)
			update(x, wider("jti1"), true)
			x.status("c", registry.AwaitingApproval)
		}, 0, 1},
		{"approved", "", func(x *fixture) {
			x.approves(registry.ApprovalChanges)
			update(x, wider("jti1"), true)
			if err := x.approve("c"); err != nil {
				x.t.Fatal(err)
			}
		}, 0, 1},
		{"to await approval, with a lost answer", "", func(x *fixture) {
			x.approves(registry.ApprovalChanges)
			fails(x, "update", append([]error{lost}, repeated(down, 1000)...)...)
			update(x, wider("jti1"), false)
			leaseEnds(x)
		}, 0, 1},
		{"to await approval, and the AS refuses", "", func(x *fixture) {
			x.approves(registry.ApprovalChanges)
			fails(x, "update", down)
			update(x, wider("jti1"), false)
		}, 1, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			run(t, false, func(x *fixture) {
				defer time.Sleep(time.Minute) // fake: until what is under way has ended
				m := x.undoneOf(test.more, func() { test.happens(x) })
				if m.Undone != test.undone || m.Kept != test.kept {
					x.t.Errorf("undone %d, kept %d; want %d and %d", m.Undone, m.Kept, test.undone, test.kept)
				}
				_, err := x.Client(x.t.Context(), x.ws.Name, "c")
				if gone := errors.Is(err, registry.ErrNotFound); gone != (test.undone == 1) {
					x.t.Errorf("%v, want it gone: %t", err, test.undone == 1)
				}
			})
		})
	}
}

// TestUndoImportOfARotatedSecret: a client whose secret at the AS is another one stays, and one
// that may have another one.
func TestUndoImportOfARotatedSecret(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]error{"rotated": nil, "lost": registry.ErrLost} {
		t.Run(name, func(t *testing.T) {
			run(t, false, func(x *fixture) {
				m := x.undoneOf(`"bridge":"client_secret_basic","client_secret":"a-secret-of-22-characters",`, func() {
					x.as.set(func() {
						x.as.clients["c"] = registry.Credentials{RegistrationAccessToken: "rat", RegistrationPath: "/reg/c", Bridge: "client_secret_basic", ClientSecret: "a-secret-of-22-characters"}
						x.as.secret = secrets("update")
						if answer != nil {
							x.as.fail["update"] = append([]error{answer}, repeated(refusal.New(refusal.Unavailable, "", "down"), 1000)...)
						}
					})
					if err := x.RotateSecret(x.t.Context(), x.ws.Name, "c", importer); !errors.Is(err, answer) {
						x.t.Fatal(err)
					}
					time.Sleep(70 * time.Second)
					synctest.Wait()
				})
				if m.Kept != 1 || m.Undone != 0 {
					x.t.Errorf("%+v, want it kept", m)
				}
			})
		})
	}
}

// TestUndoImportKeepsTheNewestStatement: what an undone import has said of a software's statements
// refuses older ones, as a deleted client does, and neither those of that time nor an import.
func TestUndoImportKeepsTheNewestStatement(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		line := func(days int) string {
			iat := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, -days).Unix()
			claims := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"software_id":"software1","iat":%d}`, iat))
			return foreign("c", `"software_statement":"e30.`+claims+`.e30",`)
		}
		if _, err := x.UndoImport(x.t.Context(), x.imports(clientFile(line(5))).ID, importer); err != nil {
			t.Fatal(err)
		}
		_, err := x.Register(x.t.Context(), x.ws, issued(request("jti1", "token1"), 6))
		x.rolledBack(err, "1999-12-26T00:00:00Z", "1999-12-27T00:00:00Z")
		x.register(issued(request("jti1", "token1"), 5))
		if report := x.imports(clientFile(line(400))); report.Written != 1 {
			t.Errorf("%+v, want that an import with an older statement is written", report)
		}
	})
}

// repeated is one error so often.
func repeated(err error, n int) []error { return slices.Repeat([]error{err}, n) }
