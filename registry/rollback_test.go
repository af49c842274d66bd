package registry_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// issued is a request with a statement of so many days ago.
func issued(in registry.Registration, days int) registry.Registration {
	in.Request.Statement.Issued = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, -days)
	return in
}

func (x *fixture) rolledBack(err error, found, newest string) {
	x.t.Helper()
	refused(x.t, err, refusal.InvalidSoftwareStatement, "statement_rollback")
	description := refusal.From(err).Description
	for _, word := range []string{found, newest, "fetch a new statement"} {
		if !strings.Contains(description, word) {
			x.t.Errorf("told %q, without %q", description, word)
		}
	}
}

// TestOldStatement: neither a POST nor a PUT brings back what an older statement says.
// The refusal uses nothing up, and moves nothing.
func TestOldStatement(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		c := x.register(issued(request("jti1", "token1"), 10))
		_, err := x.Register(x.t.Context(), x.ws, issued(request("jti2", "token2"), 400))
		x.rolledBack(err, "1998-11-27T00:00:00Z", "1999-12-22T00:00:00Z")
		_, err = x.Update(x.t.Context(), x.ws, c.ClientID, issued(request("jti3", ""), 11))
		x.rolledBack(err, "1999-12-21T00:00:00Z", "1999-12-22T00:00:00Z")
		if !slices.Equal(x.as.calls, []string{"create", "revoke"}) || len(x.keys("later/")) > 0 {
			x.t.Errorf("the authorization server was asked %q, work left: %q", x.as.calls, x.keys("later/"))
		}
		x.register(issued(request("jti2", "token2"), 10)) // equal is not older, and nothing was burnt
		if _, err := x.Update(x.t.Context(), x.ws, c.ClientID, issued(request("jti3", ""), 5)); err != nil {
			x.t.Fatal(err)
		}
		_, err = x.Register(x.t.Context(), x.ws, issued(request("jti4", "token4"), 6))
		x.rolledBack(err, "1999-12-26T00:00:00Z", "1999-12-27T00:00:00Z")
		// It outlives the clients.
		for _, id := range x.activeIDs() {
			if err := x.Delete(x.t.Context(), x.ws, id, presented("mine")); err != nil {
				x.t.Fatal(err)
			}
		}
		x.settle()
		_, err = x.Register(x.t.Context(), x.ws, issued(request("jti4", "token4"), 6))
		x.rolledBack(err, "1999-12-26T00:00:00Z", "1999-12-27T00:00:00Z")
	})
}

func (x *fixture) activeIDs() (ids []string) {
	x.t.Helper()
	list, _, err := x.List(x.t.Context(), x.ws.Name, registry.ByTime, "", "", 1000)
	if err != nil {
		x.t.Fatal(err)
	}
	for _, c := range list {
		ids = append(ids, c.ClientID)
	}
	return ids
}

// TestOldStatementOfOtherSoftware: another software, directory or workspace has statements of
// its own, and without statements there is nothing to compare.
func TestOldStatementOfOtherSoftware(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.register(issued(request("jti1", "token1"), 0))
		x.register(ofSoftware(issued(request("jti2", "token2"), 9), "OpenBanking Ltd", "software2"))
		x.register(ofSoftware(issued(request("jti3", "token3"), 9), "Sandbox Ltd", "software1"))
		x.register(request("jti4", "token4"))
		other := x.ws
		other.Name = "other"
		if _, err := x.Register(x.t.Context(), other, issued(request("jti5", "token5"), 9)); err != nil {
			x.t.Error(err)
		}
		x.ws.StatementRollback = true
		x.register(issued(request("jti6", "token6"), 400))
		x.ws.StatementRollback = false
		_, err := x.Register(x.t.Context(), x.ws, issued(request("jti7", "token7"), 9))
		x.rolledBack(err, "1999-12-23T00:00:00Z", "2000-01-01T00:00:00Z")
	})
}

// TestRefusedStatementMovesNothing: what the AS refuses, or a lost answer leaves, is not
// the newest statement.
func TestRefusedStatementMovesNothing(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		c := x.register(issued(request("jti1", "token1"), 10))
		no := refusal.New(refusal.InvalidClientMetadata, "x", "no")
		x.as.set(func() {
			x.as.fail["create"] = []error{no, registry.ErrLost, registry.ErrLost}
			x.as.fail["update"] = []error{no}
		})
		for i := range 2 {
			if _, err := x.Register(x.t.Context(), x.ws, issued(request(fmt.Sprint("new", i), fmt.Sprint("new", i)), 0)); err == nil {
				x.t.Fatal("it was to fail")
			}
		}
		if _, err := x.Update(x.t.Context(), x.ws, c.ClientID, issued(request("new3", ""), 0)); err == nil {
			x.t.Fatal("it was to fail")
		}
		x.register(issued(request("jti2", "token2"), 10))
	})
}

// TestNewerStatementMeanwhile: while a registration or an update is at the AS, a newer
// statement becomes final. The older one is refused, what the AS has made of it goes, and
// nothing is used up.
func TestNewerStatementMeanwhile(t *testing.T) {
	t.Parallel()
	for _, chooses := range []bool{true, false} {
		for name, asUp := range map[string]bool{"registration": true, "registration, and the AS does not delete it": false} {
			t.Run(fmt.Sprint(name, chooses), func(t *testing.T) {
				run(t, chooses, func(x *fixture) {
					x.as.set(func() {
						x.as.during = func() { x.settleFor(issued(request("newer", "newer"), 1)) }
						if !asUp {
							x.as.fail["delete"] = []error{refusal.New(refusal.Unavailable, "x", "down")}
						}
					})
					_, err := x.Register(x.t.Context(), x.ws, issued(request("jti1", "token1"), 2))
					x.rolledBack(err, "1999-12-30T00:00:00Z", "1999-12-31T00:00:00Z")
					if refusal.From(err).RetryAfter != 0 {
						x.t.Errorf("told to wait %v for the same", refusal.From(err).RetryAfter)
					}
					time.Sleep(10 * time.Second)
					x.settle()
					if n := x.as.count(); n != 0 { // the newer one's is another AS's
						x.t.Errorf("the authorization server has %d clients", n)
					}
					x.countsHold("after it was undone")
					x.register(issued(request("jti1", "token1"), 1))
				})
			})
		}
		t.Run(fmt.Sprint("update", chooses), func(t *testing.T) {
			run(t, chooses, func(x *fixture) {
				c := x.register(issued(request("jti1", "token1"), 3))
				x.as.answersAfter(time.Second)
				errs := make(chan error)
				go func() {
					in := issued(request("jti2", ""), 2)
					in.Checked.Metadata.Scope = "openid"
					_, err := x.Update(x.t.Context(), x.ws, c.ClientID, in)
					errs <- err
				}()
				x.settleFor(issued(request("newer", "newer"), 1))
				x.rolledBack(<-errs, "1999-12-30T00:00:00Z", "1999-12-31T00:00:00Z")
				time.Sleep(10 * time.Second)
				x.settle()
				x.together(c.ClientID, "openid accounts")
				if len(x.keys("outbox/")) > 0 || len(x.keys("later/")) > 0 {
					x.t.Errorf("left %q %q", x.keys("outbox/"), x.keys("later/"))
				}
				if _, err := x.Update(x.t.Context(), x.ws, c.ClientID, issued(request("jti2", ""), 1)); err != nil {
					x.t.Errorf("the jti was burnt: %v", err)
				}
			})
		})
	}
}

// settleFor makes a statement the newest one of its software, as another gateway's
// request would: the AS is busy with the one under test.
func (x *fixture) settleFor(in registry.Registration) {
	x.t.Helper()
	ws := x.ws
	ws.Provisioner = willing{}
	if _, err := x.Register(x.t.Context(), ws, in); err != nil {
		x.t.Error(err)
	}
}

// TestOldStatementOfARepetition: a POST that repeats a registration changes nothing, so
// that its statement may be an old one. One that updates it must not have one.
func TestOldStatementOfARepetition(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.wants(registry.ReregisterUpdate)
		in := issued(request("jti1", "token1"), 10)
		first := x.register(in)
		newer := issued(request("newer", "newer"), 5)
		newer.Certificate.Thumbprint = "another"
		x.settleFor(newer)
		in.Spent = refusal.New(refusal.InvalidToken, "x", "spent")
		again, err := x.Register(x.t.Context(), x.ws, in)
		if err != nil || again.ClientID != first.ClientID || !again.Repeated {
			x.t.Fatalf("%+v, %v; want a repetition with client %s", again, err, first.ClientID)
		}
		narrowed := issued(request("jti2", "token2"), 10)
		narrowed.Checked.Metadata.Scope = "openid"
		narrowed.Certificate.Thumbprint = in.Certificate.Thumbprint
		_, err = x.Register(x.t.Context(), x.ws, narrowed)
		x.rolledBack(err, "1999-12-22T00:00:00Z", "1999-12-27T00:00:00Z")
	})
}

// TestOldStatementOfAnOldStore: the newest statement of a version that kept no record is
// read from what its clients were registered with, however many they are.
func TestOldStatementOfAnOldStore(t *testing.T) {
	t.Parallel()
	runLasting(t, true, func(x *fixture) {
		for i := range registry.MaxCounted + 20 {
			in := issued(request(fmt.Sprint("jti", i), fmt.Sprint("token", i)), 0)
			in.Request.Raw = stored(t, time.Date(1999, 6, 1, 0, 0, i, 0, time.UTC).Unix())
			x.register(in)
		}
		x.uncount()
		in := request("new", "new")
		in.Request.Statement.Issued = time.Date(1999, 6, 1, 0, 1, 0, 0, time.UTC)
		_, err := x.Register(x.t.Context(), x.ws, in)
		x.rolledBack(err, "1999-06-01T00:01:00Z", "1999-06-01T00:01:59Z")
		in.Request.Statement.Issued = time.Date(1999, 6, 1, 0, 2, 0, 0, time.UTC)
		x.register(in)
	})
}

// stored is a request as the store keeps it, with a statement of that iat.
func stored(t *testing.T, iat int64) []byte {
	t.Helper()
	b64 := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	fraction := []string{"", ".5"}[iat%2] // some directories write one
	statement := b64(`{"alg":"PS256"}`) + "." + b64(fmt.Sprintf(`{"iat":%d%s}`, iat, fraction)) + ".AA"
	return []byte(b64(`{"alg":"PS256"}`) + "." + b64(fmt.Sprintf(`{"software_statement":%q}`, statement)) + ".AA")
}
