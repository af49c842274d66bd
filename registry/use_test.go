package registry_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/memory"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

const useRound = 16 * time.Minute // longer than writing the marks takes

func (x *fixture) today() int64 { return registry.DayOf(time.Now()) }

func (x *fixture) use(clientID string) *registry.Use {
	x.t.Helper()
	d, err := x.Details(x.t.Context(), x.ws.Name, clientID)
	if err != nil {
		x.t.Fatal(err)
	}
	return d.Client.Use
}

// TestUseIsStoredByTheDay: the first use of a day is stored within minutes, with the certificate,
// and no other use of that day; details show it at once.
func TestUseIsStoredByTheDay(t *testing.T) {
	run(t, true, func(x *fixture) {
		c := x.register(request("1", "token"))
		if u := x.use(c.ClientID); u != nil {
			t.Errorf("used %+v before any use, want nil", u)
		}
		today := x.today()
		x.MarkUsed(x.ws.Name, c.ClientID, &verify.Certificate{Thumbprint: "first"}, today)
		x.MarkUsed(x.ws.Name, c.ClientID, &verify.Certificate{Thumbprint: "second"}, today)
		if u := x.use(c.ClientID); u == nil || u.Day != today {
			t.Errorf("used %+v at once, want day %d", u, today)
		}
		if keys := x.keys("used/"); len(keys) != 0 {
			t.Errorf("stored at once: %q", keys)
		}
		time.Sleep(useRound)
		synctest.Wait()
		if u := x.use(c.ClientID); len(x.keys("used/")) != 1 || u == nil || u.Day != today || u.Certificate.Thumbprint != "first" {
			t.Errorf("stored %q, %+v, want the first use of day %d", x.keys("used/"), u, today)
		}
		time.Sleep(24 * time.Hour)
		x.MarkUsed(x.ws.Name, c.ClientID, nil, x.today())
		time.Sleep(useRound)
		synctest.Wait()
		if u := x.use(c.ClientID); u.Day != today+1 || u.Certificate != nil {
			t.Errorf("the day after: %+v, want day %d without a certificate", u, today+1)
		}
	})
}

// TestUsesAreSpreadOverTime: the marks of many clients do not go to the store at once.
func TestUsesAreSpreadOverTime(t *testing.T) {
	run(t, true, func(x *fixture) {
		const clients = 200
		for i := range clients {
			in := request(fmt.Sprint(i), "")
			in.Request.Statement.SoftwareID = fmt.Sprint("software", i)
			c := x.register(in)
			x.MarkUsed(x.ws.Name, c.ClientID, nil, x.today())
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if n := len(x.keys("used/")); n == 0 || n > clients*2/3 {
			t.Errorf("%d of %d marks are stored after a third of the time", n, clients)
		}
		time.Sleep(useRound)
		synctest.Wait()
		if n := len(x.keys("used/")); n != clients || x.LostUses() != 0 {
			t.Errorf("%d of %d marks are stored, %d lost", n, clients, x.LostUses())
		}
	})
}

// TestUseOfNoClientIsNotStored: what is not registered, or not any more, leaves no mark.
func TestUseOfNoClientIsNotStored(t *testing.T) {
	run(t, true, func(x *fixture) {
		c := x.register(request("1", "token"))
		x.MarkUsed(x.ws.Name, "nobody", nil, x.today())
		x.MarkUsed(x.ws.Name, c.ClientID, nil, x.today())
		time.Sleep(useRound)
		synctest.Wait()
		if keys := x.keys("used/"); len(keys) != 1 || !strings.HasSuffix(keys[0], "/"+c.ClientID) {
			t.Fatalf("stored %q, want that of %s", keys, c.ClientID)
		}
		time.Sleep(24 * time.Hour)
		x.MarkUsed(x.ws.Name, c.ClientID, nil, x.today())
		if err := x.Delete(x.t.Context(), x.ws, c.ClientID, presented("manage")); err != nil {
			t.Fatal(err)
		}
		x.settle()
		time.Sleep(useRound)
		synctest.Wait()
		if keys := x.keys("used/"); len(keys) != 0 {
			t.Errorf("left of a deleted client: %q", keys)
		}
	})
}

// TestUseEndsNoCachedDecision: the guard's decisions outlive the mark.
func TestUseEndsNoCachedDecision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.Open(memory.Options{})
		r, err := registry.Open(t.Context(), registry.Options{Store: store, Sealer: plain{}})
		if err != nil {
			t.Fatal(err)
		}
		ws := registry.Workspace{Name: "default/obuk", Provisioner: newAS(true)}
		takeBack := r.Attach(ws)
		c, err := r.Register(t.Context(), ws, request("1", "token"))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		_, reading, err := r.Lookup(t.Context(), ws.Name, c.ClientID)
		if err != nil || !r.Unchanged(reading) {
			t.Errorf("Lookup: %v, unchanged %t", err, r.Unchanged(reading))
		}
		r.MarkUsed(ws.Name, c.ClientID, nil, registry.DayOf(time.Now()))
		time.Sleep(useRound)
		synctest.Wait()
		if !r.Unchanged(reading) {
			t.Error("the mark has ended a cached decision")
		}
		takeBack()
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}

// staysOpen is a store that Close leaves open, for the next Open.
type staysOpen struct{ registry.Store }

func (staysOpen) Close() error { return nil }

// TestStopStoresUses: a regular stop loses no mark, and after a restart the same day is not
// written again.
func TestStopStoresUses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &countedUses{Store: memory.Open(memory.Options{})}
		ws := registry.Workspace{Name: "default/obuk", Provisioner: newAS(true)}
		clientID := ""
		for range 2 {
			r, err := registry.Open(t.Context(), registry.Options{Store: staysOpen{store}, Sealer: plain{}})
			if err != nil {
				t.Fatal(err)
			}
			takeBack := r.Attach(ws)
			if clientID == "" {
				c, err := r.Register(t.Context(), ws, request("1", "token"))
				if err != nil {
					t.Fatal(err)
				}
				clientID = c.ClientID
			}
			r.MarkUsed(ws.Name, clientID, nil, registry.DayOf(time.Now()))
			takeBack()
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			if store.writes != 1 {
				t.Errorf("%d writes of a mark, want 1", store.writes)
			}
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
}

// countedUses counts the writes of marks.
type countedUses struct {
	registry.Store
	writes int
}

func (s *countedUses) Update(ctx context.Context, f func(registry.Writer) error) error {
	return s.Store.Update(ctx, func(w registry.Writer) error { return f(countedWriter{w, &s.writes}) })
}

type countedWriter struct {
	registry.Writer
	writes *int
}

func (w countedWriter) Put(key string, value []byte) error {
	if strings.HasPrefix(key, "used/") {
		*w.writes++
	}
	return w.Writer.Put(key, value)
}

// TestMarkedClientCostsNoAllocation: what the guard does with every request must not.
func TestMarkedClientCostsNoAllocation(t *testing.T) {
	run(t, true, func(x *fixture) {
		cert, today := &verify.Certificate{Thumbprint: "thumb"}, x.today()
		x.MarkUsed(x.ws.Name, "client", cert, today)
		if n := testing.AllocsPerRun(100, func() { x.MarkUsed(x.ws.Name, "client", cert, today) }); n != 0 {
			t.Errorf("%v allocations, want none", n)
		}
	})
}

// TestMarksAreBounded: more clients than there is room for lose marks, and take no more memory.
func TestMarksAreBounded(t *testing.T) {
	run(t, true, func(x *fixture) {
		const clients, waiting = 40000, 64 * 512
		for i := range clients {
			x.MarkUsed(x.ws.Name, fmt.Sprint(i), nil, x.today())
		}
		if lost := x.LostUses(); lost < clients-waiting || lost > clients/2 {
			t.Errorf("%d of %d marks are lost, want at least the %d that are too many", lost, clients, clients-waiting)
		}
	})
}

// TestSearchByLastUse finds clients by their last use; one that was never used counts from its
// registration.
func TestSearchByLastUse(t *testing.T) {
	run(t, true, func(x *fixture) {
		begin := time.Now().Truncate(24 * time.Hour)
		old := x.register(request("1", ""))
		never := x.register(request("2", ""))
		x.MarkUsed(x.ws.Name, old.ClientID, nil, x.today())
		time.Sleep(10 * 24 * time.Hour)
		synctest.Wait()
		recent := x.register(request("3", ""))
		x.MarkUsed(x.ws.Name, recent.ClientID, nil, x.today())
		for _, c := range []struct {
			name   string
			filter registry.Filter
			want   []string
		}{
			{"used before today", registry.Filter{LastUsedBefore: time.Now().Truncate(24 * time.Hour)}, []string{old.ClientID, never.ClientID}},
			{"used before the registration", registry.Filter{LastUsedBefore: begin}, nil},
			{"used since", registry.Filter{LastUsedAfter: begin}, []string{old.ClientID, recent.ClientID}},
			{"used today", registry.Filter{LastUsedAfter: begin.Add(24 * time.Hour)}, []string{recent.ClientID}},
		} {
			page, err := x.Search(x.t.Context(), []string{x.ws.Name}, c.filter, "", 10)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, client := range page.Clients {
				got = append(got, client.ClientID)
			}
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("%s: %q, want %q", c.name, got, c.want)
			}
		}
	})
}

// TestDaysCountAnewAfterAGap: clients cannot have been used while the gateway was off, or when
// its clock was wrong, so that nobody is unused since then.
func TestDaysCountAnewAfterAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.Open(memory.Options{})
		at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
		opened := func(now time.Time) int64 {
			began := time.Now()
			r, err := registry.Open(t.Context(), registry.Options{Store: staysOpen{store}, Sealer: plain{}, Now: func() time.Time { return now.Add(time.Since(began)) }})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			from := r.UsesFrom()
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			return from
		}
		day, day0 := 24*time.Hour, registry.DayOf(at)
		for _, c := range []struct {
			name string
			now  time.Time
			from int64
		}{
			{"the first start", at, 0},
			{"the next day", at.Add(day), 0},
			{"off for a weekend", at.Add(3 * day), 0},
			{"off for a year", at.Add(368 * day), 368},
			{"a clock two years ahead", at.Add(1000 * day), 1000},
			{"and right again", at.Add(369 * day), 369},
		} {
			if got := opened(c.now) - day0; got != c.from {
				t.Errorf("%s: counts from day %d, want %d", c.name, got, c.from)
			}
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
}
