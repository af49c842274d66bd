package caddymodule

import (
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/caddy-dcr/caddy-dcr/gateway"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// provisioned is the app of a Caddyfile, as Caddy has it before it starts.
func provisioned(t *testing.T, caddyfile string) *App {
	t.Helper()
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), nil)
	if err != nil {
		t.Fatal(err)
	}
	var config caddy.Config
	if err := json.Unmarshal(adapted, &config); err != nil {
		t.Fatal(err)
	}
	ctx, err := caddy.ProvisionContext(&config)
	if err != nil {
		t.Fatal(err)
	}
	app, err := ctx.AppIfConfigured("openbanking_dcr")
	if err != nil {
		t.Fatal(err)
	}
	return app.(*App)
}

// TestExplainChangesNothing: a request is explained by a configuration that serves, as
// often as one likes, and it serves as before: its store, its clock, its caches and its
// counters are its own.
func TestExplainChangesNothing(t *testing.T) {
	t.Setenv("DCR_TEST_SECRET", "x")
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	store := filepath.Join(t.TempDir(), "store")
	pairs := append([]string{"DIRECTORY", store}, workspaceWord("policy cel `false`")...)
	app := provisioned(t, site(pairs...))
	app.Checks = "off" // they hold the store too, now and then
	h := app.workspaces[0]
	q := Question{Question: gateway.Question{Body: []byte("nothing")}, At: time.Unix(1_700_000_000, 0), Answers: jwks.Answers{Offline: true}}
	explained := func() {
		t.Helper()
		e, err := app.Explain(t.Context(), "", q)
		if err != nil || e.Workspace != "default/obuk" || !e.At.Equal(q.At) {
			t.Fatalf("got %+v, %v, want default/obuk at %s", e, err, q.At)
		}
	}
	explained()
	explained()
	if app.users != 0 || app.registry != nil || !h.at.IsZero() {
		t.Fatalf("%d users, registry %p, clock at %v", app.users, app.registry, h.at)
	}
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	before, err := app.Enter()
	if err != nil {
		t.Fatal(err)
	}
	explained()
	during, err := app.Enter()
	if err != nil || during != before || app.users != 3 || time.Since(h.now()) > time.Minute {
		t.Errorf("%d users, another registry: %v, the clock says %v, %v", app.users, during != before, h.now(), err)
	}
	app.Leave()
	app.Leave()
	if list, _, err := before.KeptExplanations(t.Context(), "", "", 10); err != nil || len(list) != 0 {
		t.Errorf("got %v, %v, want none", list, err)
	}
	if err := app.Cleanup(); err != nil {
		t.Error(err)
	}
	explained() // also of one that has ended
	if app.users != 0 || app.registry != nil {
		t.Error("an explanation has opened the store")
	}
}
