package registry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/memory"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/dn"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// large is a request of so many bytes.
func large(in registry.Registration, size int) registry.Registration {
	in.Request.Raw = bytes.Repeat([]byte("x"), size)
	return in
}

func (x *fixture) usedUp(err error, wait time.Duration) {
	x.t.Helper()
	refused(x.t, err, refusal.TooManyRequests, "bytes_per_organisation")
	e := refusal.From(err)
	if e.RetryAfter != wait || !strings.Contains(e.Description, fmt.Sprint(x.ws.BytesPerOrganisation, " bytes a day")) {
		x.t.Errorf("told %q, to wait %v; want %v", e.Description, e.RetryAfter, wait)
	}
}

// TestBytesPerOrganisation: what registrations and updates of one organisation write in a
// day has a limit. Reading and deleting go on, others go on, and the next day it does.
func TestBytesPerOrganisation(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		time.Sleep(20 * time.Hour) // the day has four left
		x.ws.BytesPerOrganisation = 500_000
		c := x.register(request("jti1", "token1"))
		var err error
		n := 0
		for ; err == nil && n < 100; n++ {
			_, err = x.Update(x.t.Context(), x.ws, c.ClientID, large(request(fmt.Sprint("put", n), ""), 60_000))
		}
		x.usedUp(err, 4*time.Hour-time.Second)
		if n < 4 || n > 8 {
			t.Errorf("the %dth update was refused", n)
		}
		// Of another software of the organisation too, and nothing is burnt.
		second := ofSoftware(request("jti2", "token2"), "OpenBanking Ltd", "software2")
		_, err = x.Register(x.t.Context(), x.ws, large(second, 60_000))
		x.usedUp(err, 4*time.Hour-time.Second)
		// Who sends on its requests pays for that with its own certificate.
		captured := request("jti5", "token5")
		captured.Certificate = &verify.Certificate{Thumbprint: "another", Subject: dn.Name{{{OID: "2.5.4.97", Value: "PSDGB-FCA-2"}}}}
		x.register(captured)
		another := request("jti3", "token3")
		another.Request.Statement.OrgID = "org2"
		x.register(another)
		x.register(ofSoftware(request("jti4", "token4"), "Sandbox Ltd", "software1"))
		if got, err := x.Client(x.t.Context(), x.ws.Name, c.ClientID); err != nil || got.Status != registry.Active {
			t.Errorf("reading: %+v, %v", got, err)
		}
		if err := x.Delete(x.t.Context(), x.ws, c.ClientID, presented("mine")); err != nil {
			t.Errorf("deleting: %v", err)
		}
		time.Sleep(4 * time.Hour)
		x.register(large(second, 60_000))
	})
}

// TestRefusedWritesNothing: what is refused before it writes anything is not charged.
func TestRefusedWritesNothing(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.ws.BytesPerOrganisation = 100_000
		x.register(request("jti1", "token1"))
		for range 50 {
			_, err := x.Register(x.t.Context(), x.ws, large(request("jti1", "token2"), 60_000))
			refused(t, err, refusal.InvalidClientMetadata, "jti")
		}
		x.register(large(request("jti2", "token2"), 60_000))
	})
}

// TestBytesOfRepetitions: a POST that repeats a registration writes little, and what it
// writes counts; one that writes nothing goes on.
func TestBytesOfRepetitions(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.wants(registry.ReregisterReturn)
		x.ws.BytesPerOrganisation = 100_000
		in := request("jti0", "token0")
		x.register(in)
		var err error
		for n := 1; err == nil && n < 100; n++ {
			_, err = x.Register(x.t.Context(), x.ws, request(fmt.Sprint("jti", n), fmt.Sprint("token", n)))
		}
		refused(t, err, refusal.TooManyRequests, "bytes_per_organisation")
		in.Spent = refusal.New(refusal.InvalidToken, "x", "spent")
		if again, err := x.Register(x.t.Context(), x.ws, in); err != nil || !again.Repeated {
			t.Errorf("%+v, %v; want a repetition", again, err)
		}
	})
}

// TestBytesWithoutOrganisation: without software statements the certificate's DN pays.
func TestBytesWithoutOrganisation(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.ws.BytesPerOrganisation = 100_000
		nameless := func(jti, cn string) registry.Registration {
			in := large(request(jti, jti), 60_000)
			in.Request.Statement.None, in.Request.Statement.OrgID, in.Request.Statement.Issuer = true, "", &verify.Issuer{}
			in.Certificate.Subject = dn.Name{{{OID: "2.5.4.3", Value: cn}}}
			return in
		}
		x.register(nameless("jti1", "one"))
		_, err := x.Register(x.t.Context(), x.ws, nameless("jti2", "one"))
		refused(t, err, refusal.TooManyRequests, "bytes_per_organisation")
		x.register(nameless("jti3", "other"))
	})
}

// metered counts what is written.
type metered struct {
	*memory.Store
	bytes atomic.Int64
}

func (m *metered) Update(ctx context.Context, f func(registry.Writer) error) error {
	n := 0
	err := m.Store.Update(ctx, func(w registry.Writer) error { n = 0; return f(meter{w, &n}) })
	if err == nil {
		m.bytes.Add(int64(n))
	}
	return err
}

type meter struct {
	registry.Writer
	n *int
}

func (m meter) Put(key string, value []byte) error {
	*m.n += len(key) + len(value)
	return m.Writer.Put(key, value)
}

func (m meter) PutExpiring(key string, value []byte, expires time.Time) error {
	*m.n += len(key) + len(value)
	return m.Writer.PutExpiring(key, value, expires)
}

// TestChargeIsWhatIsWritten: what is charged is what is written, or a little more.
func TestChargeIsWhatIsWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &metered{Store: memory.Open(memory.Options{})}
		r, err := registry.Open(t.Context(), registry.Options{Store: m, Sealer: plain{}})
		if err != nil {
			t.Fatal(err)
		}
		x := &fixture{Registry: r, t: t, store: m, as: newAS(true)}
		x.ws = registry.Workspace{Name: "default/obuk", Provisioner: x.as, BytesPerOrganisation: 1 << 40, AccessTokens: &registry.AccessTokens{}}
		takeBack := r.Attach(x.ws)
		defer func() {
			takeBack()
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}()
		charged := func() int64 {
			sum := struct{ Bytes int64 }{}
			for _, v := range x.values("written/") {
				if err := json.Unmarshal([]byte(v), &sum); err != nil {
					t.Fatal(err)
				}
			}
			return sum.Bytes
		}
		holds := func(what string, before int64) {
			t.Helper()
			x.settle()
			c, w := charged()-before, m.bytes.Swap(0)
			t.Logf("%s: %d written, %d charged", what, w, c)
			if c < w || c > w+w/2+16<<10 {
				t.Errorf("%s: %d bytes were written, %d charged", what, w, c)
			}
		}
		var c *registry.Client
		for i, size := range []int{1000, 10_000, 60_000} {
			before := charged()
			in := large(request(fmt.Sprint("jti", i), fmt.Sprint("token", i)), size)
			for n := range size / 2000 { // as many as there is room for
				in.Checked.Metadata.RedirectURIs = append(in.Checked.Metadata.RedirectURIs, fmt.Sprintf("https://tpp.example/%0200d", n))
			}
			c = x.register(in)
			holds(fmt.Sprint("registration of ", size), before)
			before = charged()
			in.Request.JTI = fmt.Sprint("put", i)
			if _, err := x.Update(t.Context(), x.ws, c.ClientID, in); err != nil {
				t.Fatal(err)
			}
			holds(fmt.Sprint("update of ", size), before)
		}
	})
}
