package admin

import (
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-dcr/caddy-dcr/caddymodule"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// withRegistry runs f with the registry of the running gateway.
func (s *stage) withRegistry(f func(*registry.Registry)) {
	s.t.Helper()
	running, err := caddy.ActiveContext().AppIfConfigured("openbanking_dcr")
	if err != nil {
		s.t.Fatal(err)
	}
	app := running.(*caddymodule.App)
	r, err := app.Enter()
	if err != nil {
		s.t.Fatal(err)
	}
	defer app.Leave()
	f(r)
}

// TestLastUseIsShownAndFound: a client shows the day of its last use and the certificate of it,
// and one that was never used shows neither.
func TestLastUseIsShownAndFound(t *testing.T) {
	s := newStage(t, 2)
	ids := []string{}
	for _, e := range s.ask("GET", "clients", "").body["entries"].([]any) {
		ids = append(ids, e.(map[string]any)["client_id"].(string))
	}
	now := time.Now().UTC()
	s.withRegistry(func(r *registry.Registry) {
		r.MarkUsed("default/obuk", ids[0], &verify.Certificate{Thumbprint: "thumb"}, registry.DayOf(now))
	})
	for id, want := range map[string]any{ids[0]: now.Format(time.DateOnly), ids[1]: nil} {
		a := s.ask("GET", "clients/"+id, "")
		seen, _ := a.body["certificate_last_seen"].(map[string]any)
		if a.body["last_used"] != want || (want != nil) != (seen["thumbprint"] == "thumb") {
			t.Errorf("%s: last used %v with %v, want %v", id, a.body["last_used"], seen, want)
		}
	}
	tomorrow := now.Add(24 * time.Hour).Format(time.RFC3339)
	for query, want := range map[string]int{
		"last_used_before=" + tomorrow: 2, "last_used_before=2020-01-01T00:00:00Z": 0,
		"last_used_after=2020-01-01T00:00:00Z": 1, "last_used_after=" + tomorrow: 0,
	} {
		if a := s.ask("GET", "clients?"+query, ""); len(a.body["entries"].([]any)) != want {
			t.Errorf("%s: %s, want %d clients", query, a.says, want)
		}
	}
	s.is(s.ask("GET", "clients?last_used_before=180d", ""), 400, "last_used_before: a time like")
}
