package caddymodule

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
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
		return verify.AsError(err).Status()
	}
	return 200
}

// authorizes is the status of an authorization request.
func (g *guarding) authorizes(query string) int {
	g.t.Helper()
	r := httptest.NewRequest("GET", "/authorize?"+query, nil)
	if err := g.at(httptest.NewRecorder(), r, endpoint).checkAuthorization(); err != nil {
		return verify.AsError(err).Status()
	}
	return 200
}

// holds is the status of a token of a client at userinfo.
func (g *guarding) holds(t authserver.TokenHolder) int {
	g.t.Helper()
	if err := g.at(httptest.NewRecorder(), httptest.NewRequest("GET", "/userinfo", nil), endpoint).checkHolder("token", false, t); err != nil {
		return verify.AsError(err).Status()
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
	file := filepath.Join(t.TempDir(), "known")
	write(t, file, "# the bank's own\n\nmobile app\r\n  web  \n")
	g := newGuarding(t, leaf(t, "tpp", time.Now().Add(time.Hour)).RawSubject)
	h := &Handler{AuthorizationServer: &AuthorizationServer{Client: &Credentials{ID: "gateway"}}, AccessToken: &AccessToken{Client: &Credentials{ID: "registrar"}}, app: new(App)}
	h.app.files.log = slog.New(slog.DiscardHandler)
	provision := func(u *UnknownClients) {
		t.Helper()
		h.UnknownClients = u
		if err := h.provisionUnknownClients(); err != nil {
			t.Fatal(err)
		}
		g.options.RefuseUnknown, g.options.KnownClient = h.UnknownClients.Mode == "refuse", h.UnknownClients.knows
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
	for _, u := range []*UnknownClients{nil, {}, {Mode: "pass"}, {Mode: "pass", Known: file}} {
		provision(u)
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
	provision(&UnknownClients{Mode: "refuse"})
	refuses(2)
	provision(&UnknownClients{Mode: "refuse", Known: file})
	refuses(4)
	write(t, file, "web\n")
	h.app.files.look(time.Now())
	places("web", true)
	places("mobile app", false)
	write(t, file, "mobile app\nweb\n")
	h.app.files.look(time.Now())

	// After a restore nobody knows who was forgotten.
	provision(&UnknownClients{Mode: "pass", Known: file})
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
	if err := g.store.ConfirmEpoch(t.Context(), "looked"); err != nil {
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

// TestKnownClientsFile: what is no list of client_ids does not load.
func TestKnownClientsFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "known")
	for text, says := range map[string]string{
		"a\nb\x00c\n": "line 2 is no client_id", "a\xff": "line 1 is no client_id", strings.Repeat("x", maxKnownID+1): "line 1 is no client_id",
		strings.Repeat("client\n", maxKnown/7+1): "larger than",
		"a\nportal # the bank's portal\n":        "line 2 has a remark behind the client_id; a remark needs a line of its own", "portal\t#x": "line 1 has a remark",
	} {
		write(t, file, text)
		if err := (&UnknownClients{Known: file}).provision(new(fileWatch)); err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), file) {
			t.Errorf("%.20q: %v, want %q", text, err, says)
		}
	}
	if err := (&UnknownClients{Known: file + "-absent"}).provision(new(fileWatch)); err == nil {
		t.Error("no such file")
	}
	write(t, file, "\ufeffa\n#b\n  # c # d\nweb#1\n")
	u := &UnknownClients{Known: file}
	if err := u.provision(new(fileWatch)); err != nil || !u.knows("a") || !u.knows("web#1") || len(*u.known.Load()) != 2 {
		t.Errorf("%v, %v", u.known.Load(), err)
	}
	write(t, file, "a # remark\n")
	if err := u.read(); err == nil || !u.knows("a") || u.knows("a # remark") {
		t.Errorf("read again: %v, %v", u.known.Load(), err)
	}
	if err := (&UnknownClients{Mode: "maybe"}).provision(new(fileWatch)); err == nil {
		t.Error("a mode that is none")
	}
}
