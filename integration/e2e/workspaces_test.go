package e2e_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// second is another bank of the same Caddy: a site and a workspace of its own with
// another AS, and the store of the first. It returns the Caddyfile of both.
func second(t *testing.T, p *story.Play) (other *story.Play, caddyfile string) {
	t.Helper()
	port, err := gateway.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	config := p.AS.Config
	config.Listen, config.ControlListen, config.Prefix = "", "", "/other/bank"
	config.Issuer = "https://localhost:" + strconv.Itoa(port) + config.Prefix
	as, err := authserverprocess.Start(t.Context(), p.AS.Kind, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := as.Stop(); err != nil {
			t.Error(err)
		}
	})
	site := siteOf(p)
	at := strings.Index(p.Caddyfile, "\n"+site+" {\n")
	if at < 0 {
		t.Fatalf("no site %s", site)
	}
	block := strings.NewReplacer(
		site, "https://localhost:"+strconv.Itoa(port),
		"openbanking_dcr default/obuk", "openbanking_dcr other/bank",
		p.AS.URL(), as.URL(), "https://"+p.AS.Listen, "https://"+as.Listen,
	).Replace(p.Caddyfile[at:])
	stage := *p.Stage
	stage.AS, stage.Issuer = as, config.Issuer
	stage.Register = config.Issuer + "/openbankinguk/dcr/v3.2/register"
	return &story.Play{Stage: &stage}, p.Caddyfile + block
}

// TestTwoWorkspaces: two sites with a workspace each share one store and one outbox,
// and nothing else; each may go and come back.
func TestTwoWorkspaces(t *testing.T) {
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	other, both := second(t, p)
	loads := func(caddyfile string) {
		t.Helper()
		if err := p.Gateway.Reload(t.Context(), caddyfile); err != nil {
			t.Fatal(err)
		}
		p.CloseIdle()
	}
	loads(both)
	if err := other.Learn(t.Context()); err != nil {
		t.Fatal(err)
	}
	id, token := registered(t, p)
	otherID, otherToken := registered(t, other)
	for _, c := range []struct {
		p         *story.Play
		id, token string
	}{{p, otherID, otherToken}, {other, id, token}, {p, otherID, token}, {other, id, otherToken}} {
		r, err := c.p.Client(c.p.Acme).Read(t.Context(), c.p.Register, c.id, c.token)
		if err := notYours.isIn(c.p, r, err); err != nil {
			t.Errorf("%s at %s: %v", c.id, c.p.Register, err)
		}
	}
	// A request is used up where it was used.
	token, body, err := p.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	otherToken, _, err = other.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Client(p.Acme).Register(t.Context(), p.Register, token, body)
	answered(t, r, err, 201, "")
	r, err = other.Client(other.Acme).Register(t.Context(), other.Register, otherToken, body)
	answered(t, r, err, 201, "")

	// Work that is left for a workspace waits for it.
	revocation := strings.TrimPrefix(other.Endpoint("revocation_endpoint"), siteOf(other))
	if err := other.AS.Fault(t.Context(), authserverprocess.Fault{PathContains: revocation, Times: -1, Status: 503}); err != nil {
		t.Fatal(err)
	}
	otherID, err = other.RegisterAnother(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	loads(p.Caddyfile)
	waits := func(configured, waiting bool) {
		t.Helper()
		err := story.Eventually(t.Context(), 30*time.Second, func() error {
			list := listed(t, p, "backlog")
			if len(list) != 2 || list[1]["workspace"] != "other/bank" || list[1]["configured"] != configured || (list[1]["waiting"] != 0.0) != waiting {
				return fmt.Errorf("%v", list)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	waits(false, true)
	if err := reads(t.Context(), p, id); err != nil {
		t.Error(err)
	}
	if _, err := other.Client(other.Acme).Discover(t.Context(), other.Issuer); err == nil {
		t.Error("the other site is served")
	}
	if err := other.AS.ResetFaults(t.Context()); err != nil {
		t.Fatal(err)
	}
	loads(both)
	waits(true, false)
	if err := errors.Join(reads(t.Context(), p, id), reads(t.Context(), other, otherID)); err != nil {
		t.Error(err)
	}
}
