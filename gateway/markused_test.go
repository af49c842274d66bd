package gateway

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// used is the last use of a client, nil for none.
func (g *guarding) used(clientID string) *registry.Use {
	g.t.Helper()
	d, err := g.store.Details(g.t.Context(), g.ws.Name, clientID)
	if err != nil {
		g.t.Fatal(err)
	}
	return d.Client.Use
}

// TestAcceptedRequestsMarkTheirClient: a request that was let through, also by a cached decision,
// marks its client on its day; one that was refused marks none.
func TestAcceptedRequestsMarkTheirClient(t *testing.T) {
	until := time.Now().Add(72 * time.Hour)
	tpp, stranger := leaf(t, "tpp", until), leaf(t, "stranger", until)
	g := newGuarding(t, tpp.RawSubject)
	now := time.Now()
	g.options.Now = func() time.Time { return now }
	for _, refused := range []struct {
		what string
		got  int
	}{
		{"a stranger", g.ask(stranger, clientAuthentication, "client_id=client")},
		{"no certificate", g.ask(nil, clientAuthentication, "client_id=client")},
		{"a secret", g.ask(tpp, clientAuthentication, "client_id=client&client_secret=x")},
		{"a broken body", g.ask(tpp, clientAuthentication, "client_id=client&x=%00")},
	} {
		if refused.got < 400 || g.used("client") != nil {
			t.Errorf("%s: %d, marked %+v; want a refusal and no mark", refused.what, refused.got, g.used("client"))
		}
	}
	for day := range int64(3) {
		for range 3 { // the second is let through by the cache
			if got := g.ask(tpp, clientAuthentication, "client_id=client"); got != 200 {
				t.Fatalf("%d, want 200", got)
			}
		}
		u := g.used("client")
		if u == nil || u.Day != registry.DayOf(now) || u.Certificate == nil || u.Certificate.Expires != until.Unix() {
			t.Errorf("day %d: marked %+v, want day %d with the certificate", day, u, registry.DayOf(now))
		}
		if g.used("other") != nil {
			t.Error("another client is marked")
		}
		now = now.Add(24 * time.Hour)
	}
}

// TestOnlyTheServerKnowsWhoSignedAnAssertion: a client whose assertion the AS verifies is used
// where the AS takes the request.
func TestOnlyTheServerKnowsWhoSignedAnAssertion(t *testing.T) {
	for status, want := range map[int]bool{200: true, 401: false, 400: false, 503: false, 0: true} {
		g := newGuarding(t, leaf(t, "tpp", time.Now().Add(time.Hour)).RawSubject)
		q := g.at(httptest.NewRecorder(), httptest.NewRequest("POST", "/token", nil), clientAuthentication)
		_, _ = q.certificate() // as check does; there is none
		c := &registry.Client{ClientID: "client", Metadata: verify.Metadata{TokenEndpointAuthMethod: "private_key_jwt"}}
		next := q.marking(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(103)
			if status != 0 {
				w.WriteHeader(status)
			}
			_, _ = w.Write([]byte("{}"))
		}), c)
		if g.used("client") != nil {
			t.Error("marked before the answer")
		}
		next.ServeHTTP(q.w, q.r)
		if got := g.used("client") != nil; got != want {
			t.Errorf("the AS answers %d: marked %t, want %t", status, got, want)
		}
	}
}

// TestMarkingCostsTheGuardNothing: a request that the cache lets through allocates as much with
// its client marked as without.
func TestMarkingCostsTheGuardNothing(t *testing.T) {
	tpp := leaf(t, "tpp", time.Now().Add(time.Hour))
	g := newGuarding(t, tpp.RawSubject)
	g.ask(tpp, clientAuthentication, "client_id=client")
	g.ask(tpp, clientAuthentication, "client_id=client")
	key := guardKey{clientID: "client", thumbprint: g.used("client").Certificate.Thumbprint}
	day := registry.DayOf(time.Now())
	if n := testing.AllocsPerRun(100, func() {
		if is, marked := g.cache.allowed(key, g.store, day); !is || !marked {
			t.Fatalf("let through %t, marked %t; want both", is, marked)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// TestManagingARegistrationMarksItsClient: registering is no use, reading one's registration is, and
// a token of nobody marks nobody.
func TestManagingARegistrationMarksItsClient(t *testing.T) {
	s := newStage(t, nil)
	id, token := s.registered(s.acme, nil)
	used := func() *registry.Use {
		d, err := s.store.Details(t.Context(), "default/obuk", id)
		s.must(err)
		return d.Client.Use
	}
	if a := s.dcr(s.acme, "GET", stageRegister+"/"+id, "nobody's token", ""); a.status != 401 || used() != nil {
		t.Errorf("another token: %s, used %+v; want 401 and no mark", a, used())
	}
	if a := s.dcr(s.acme, "GET", stageRegister+"/"+id, token, ""); a.status != 200 || used() == nil || used().Certificate.Thumbprint != s.acme.thumbprint() {
		t.Errorf("its own: %s, used %+v; want 200 and a mark with its certificate", a, used())
	}
}
