package gateway

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// askAs is the status of a request to a guarded endpoint.
func (g *guarding) askAs(method string, at purpose, header http.Header, form string) int {
	g.t.Helper()
	r := httptest.NewRequest(method, "/token", strings.NewReader(form))
	r.Header.Set("Content-Type", formType)
	for name, values := range header {
		r.Header[name] = values
	}
	w := httptest.NewRecorder()
	if err := (&authentication{request: g.at(w, r, at)}).check(); err != nil {
		return refusal.From(err).Status()
	}
	return 200
}

// authorizes is the status of an authorization request.
func (g *guarding) authorizes(query string) int {
	g.t.Helper()
	r := httptest.NewRequest("GET", "/authorize?"+query, nil)
	if err := g.at(httptest.NewRecorder(), r, endpoint).checkAuthorization(); err != nil {
		return refusal.From(err).Status()
	}
	return 200
}

// holds is the status of a token of a client at userinfo.
func (g *guarding) holds(t authserver.TokenHolder) int {
	g.t.Helper()
	if err := g.at(httptest.NewRecorder(), httptest.NewRequest("GET", "/userinfo", nil), endpoint).checkHolder("token", false, t); err != nil {
		return refusal.From(err).Status()
	}
	return 200
}

// isActive tells what is left of the AS's word on a token.
func (g *guarding) isActive(answer string) bool {
	g.t.Helper()
	held := &heldAnswer{w: httptest.NewRecorder(), status: 200, header: http.Header{}}
	held.body.WriteString(answer)
	active, err := g.at(held.w, httptest.NewRequest("POST", "/introspect", nil), introspection).stillActive(held, "token=t")
	if err != nil {
		g.t.Fatal(err)
	}
	return active
}

// TestUnknownClients: they pass, or do not, at every place at which the guard looks at a
// client; those that are known pass in any case.
func TestUnknownClients(t *testing.T) {
	g := newGuarding(t, leaf(t, "tpp", time.Now().Add(time.Hour)).RawSubject)
	// provision has the clients pass that the registry does not know, or those alone that are known.
	provision := func(refuse bool, known ...string) {
		g.options.RefuseUnknown, g.options.KnownClient = refuse, func(id string) bool { return slices.Contains(known, id) }
	}
	// places are the statuses of a client's requests where they pass and do not.
	places := func(id string, pass bool) {
		t.Helper()
		for what, got := range map[string]struct{ got, refused int }{
			"token":         {g.askAs("POST", clientAuthentication, nil, "client_id="+strings.ReplaceAll(id, " ", "+")), 401},
			"GET":           {g.askAs("GET", clientAuthentication, nil, "client_id="+strings.ReplaceAll(id, " ", "+")), 401},
			"revocation":    {g.askAs("POST", revocation, nil, "client_id="+strings.ReplaceAll(id, " ", "+")), 401},
			"introspection": {g.askAs("POST", introspection, nil, "client_id="+strings.ReplaceAll(id, " ", "+")), 401},
			"authorization": {g.authorizes("client_id=" + strings.ReplaceAll(id, " ", "+")), 400},
			"userinfo":      {g.holds(authserver.TokenHolder{ClientIDs: []string{id}, Known: true, Named: true}), 401},
		} {
			if want := map[bool]int{true: 200, false: got.refused}[pass]; got.got != want {
				t.Errorf("%s of %s: %d, want %d", what, id, got.got, want)
			}
		}
		if g.isActive(`{"active":true,"client_id":"`+id+`"}`) != pass || g.isActive(`{"active":true,"azp":"`+id+`"}`) != pass {
			t.Errorf("introspection of a token of %s: want %v", id, pass)
		}
		// A person is no client.
		if !g.isActive(`{"active":true,"sub":"`+id+`"}`) || g.holds(authserver.TokenHolder{ClientIDs: []string{id}}) != 200 {
			t.Errorf("a token of the person %s does not pass", id)
		}
	}
	nameless := func(pass bool) {
		t.Helper()
		bearer := http.Header{"Authorization": {"Bearer t"}}
		for what, got := range map[string]int{
			"token": g.askAs("POST", clientAuthentication, nil, "grant_type=x"), "token with a token": g.askAs("POST", clientAuthentication, bearer, "grant_type=x"),
			"introspection": g.askAs("POST", introspection, nil, "token=t"),
		} {
			if (got == 200) != pass || !pass && got != 401 {
				t.Errorf("%s without a client: %d", what, got)
			}
		}
		if got := g.askAs("POST", introspection, bearer, "token=t"); got != 200 {
			t.Errorf("introspection with a token: %d", got)
		}
		if got := g.askAs("OPTIONS", clientAuthentication, nil, ""); got != 200 {
			t.Errorf("OPTIONS: %d", got)
		}
	}
	all := []string{"forgotten", "Mobile App", "mobile app", "web", "gateway", "registrar"}
	own, file := []string{"gateway", "registrar"}, []string{"mobile app", "web", "gateway", "registrar"}
	for _, known := range [][]string{nil, own, file} {
		provision(false, known...)
		for _, id := range all {
			places(id, true)
		}
		nameless(true)
	}
	refuses := func(known int) {
		t.Helper()
		for i, id := range all {
			places(id, i >= len(all)-known)
		}
		nameless(false)
	}
	provision(true, own...)
	refuses(2)
	provision(true, file...)
	refuses(4)

	// After a restore nobody knows who was forgotten.
	provision(false, file...)
	if err := g.store.DeclareRestored(t.Context(), "label"); err != nil {
		t.Fatal(err)
	}
	refuses(4)
	tpp := leaf(t, "tpp", time.Now().Add(time.Hour))
	if status := g.ask(tpp, clientAuthentication, "client_id=client"); status != 200 {
		t.Errorf("a client that the registry knows: %d", status)
	}
	if err := g.store.Suspend(t.Context(), registry.Suspension{Workspace: g.ws.Name, Kind: registry.SuspendClient, Value: "client"}); err != nil {
		t.Fatal(err)
	}
	if err := g.store.ConfirmEpoch(t.Context(), registry.Act{Reason: "looked"}); err != nil {
		t.Fatal(err)
	}
	for _, id := range all {
		places(id, true)
	}
	nameless(true)
	if status := g.ask(tpp, clientAuthentication, "client_id=client"); status != 401 {
		t.Errorf("a suspended client: %d", status)
	}
}
