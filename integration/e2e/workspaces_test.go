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

// otherPrefix is the path of another bank's issuer, and its workspace.
const otherPrefix = "/other/bank"

// bankAt is another bank at a site of the same Caddy: with an AS of its own, and the
// directory and the TPPs of the first.
func bankAt(t *testing.T, p *story.Play, site string) *story.Play {
	t.Helper()
	config := p.AS.Config
	config.Listen, config.ControlListen, config.Prefix = "", "", otherPrefix
	config.Issuer = site + config.Prefix
	as, err := authserverprocess.Start(t.Context(), p.AS.Kind, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := as.Stop(); err != nil {
			t.Error(err)
		}
	})
	stage := *p.Stage
	stage.AS, stage.Issuer = as, config.Issuer
	stage.Register = config.Issuer + "/openbankinguk/dcr/v3.2/register"
	return &story.Play{Stage: &stage}
}

// forOther is a part of the first bank's Caddyfile as the other has it.
func forOther(p, other *story.Play, part string) string {
	return strings.NewReplacer(
		siteOf(p), strings.TrimSuffix(other.Issuer, otherPrefix), "openbanking_dcr default/obuk", "openbanking_dcr other/bank",
		p.AS.URL(), other.AS.URL(), "https://"+p.AS.Listen, "https://"+other.AS.Listen,
	).Replace(part)
}

// second is another bank with a site and a workspace of its own, and the store of the
// first. It returns the Caddyfile of both.
func second(t *testing.T, p *story.Play) (other *story.Play, caddyfile string) {
	t.Helper()
	port, err := gateway.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	other = bankAt(t, p, "https://localhost:"+strconv.Itoa(port))
	site := gateway.At(siteOf(p))
	text, err := site.Text(p.Caddyfile)
	if err != nil {
		t.Fatal(err)
	}
	return other, edited(t, p.Caddyfile, site.After(forOther(p, other, text)))
}

// areStrangers holds that the client of each is one that the other has never heard of.
func areStrangers(t *testing.T, p *story.Play, id, token string, other *story.Play, otherID, otherToken string) {
	t.Helper()
	for _, c := range []struct {
		p         *story.Play
		id, token string
	}{{p, otherID, otherToken}, {other, id, token}, {p, otherID, token}, {other, id, otherToken}} {
		r, err := c.p.Client(c.p.Acme).Read(t.Context(), c.p.Register, c.id, c.token)
		if err := notYours.isIn(c.p, r, err); err != nil {
			t.Errorf("%s at %s: %v", c.id, c.p.Register, err)
		}
	}
}

// useOneRequest holds that a request is used up only where it was used.
func useOneRequest(t *testing.T, p, other *story.Play) {
	t.Helper()
	token, body, err := p.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	otherToken, _, err := other.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Client(p.Acme).Register(t.Context(), p.Register, token, body)
	answered(t, r, err, 201, "")
	r, err = other.Client(other.Acme).Register(t.Context(), other.Register, otherToken, body)
	answered(t, r, err, 201, "")
}

// TestTwoWorkspaces: two sites with a workspace each share one store and one outbox,
// and nothing else; each may go and come back.
func TestTwoWorkspaces(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	other, both := second(t, p)
	loads := func(caddyfile string) {
		t.Helper()
		if err := p.Reload(t.Context(), caddyfile); err != nil {
			t.Fatal(err)
		}
	}
	loads(both)
	if err := other.Learn(t.Context()); err != nil {
		t.Fatal(err)
	}
	id, token := registered(t, p)
	otherID, otherToken := registered(t, other)
	areStrangers(t, p, id, token, other, otherID, otherToken)
	useOneRequest(t, p, other)

	// Work that is left for a workspace waits for it.
	revocation := strings.TrimPrefix(other.Endpoint("revocation_endpoint"), siteOf(other))
	if err := other.AS.Fault(t.Context(), authserverprocess.Fault{PathContains: revocation, Times: -1, Status: 503}); err != nil {
		t.Fatal(err)
	}
	left, err := other.RegisterAnother(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	loads(p.Caddyfile)
	waits := func(configured, waiting bool) {
		t.Helper()
		err := story.Eventually(t.Context(), 30*time.Second, func() error {
			list := listed(t, p, "backlog")
			if len(list) != 2 || list[1]["workspace"] != "other/bank" || list[1]["configured"] != configured || (list[1]["waiting"] != 0.0) != waiting {
				return fmt.Errorf("got %v, want other/bank second, configured %t, with entries that wait %t", list, configured, waiting)
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
	if err := errors.Join(reads(t.Context(), p, id), reads(t.Context(), other, otherID), reads(t.Context(), other, left)); err != nil {
		t.Error(err)
	}
}
