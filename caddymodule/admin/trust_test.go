package admin

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// revoking finds that the certificate of every client is revoked.
type revoking struct{}

func (revoking) CheckDirectories(context.Context, map[string]int, func(context.Context) error) ([]registry.DirectoryFinding, map[string]int) {
	return []registry.DirectoryFinding{{Directory: "OpenBanking Ltd", Kind: registry.KeysEmpty, Detail: "no usable key: it is empty"}}, nil
}

func (revoking) CheckClient(context.Context, *registry.Client, *verify.PolicyCertificate, func(context.Context) error) registry.TrustResult {
	return registry.TrustResult{Findings: []registry.Finding{{Kind: registry.CertificateRevoked, Detail: "serial 7"}}}
}

// TestTrustIsShown: an operator begins a look at all clients, and sees what it has found; in the
// details of a client too.
func TestTrustIsShown(t *testing.T) {
	s := newStage(t, 3)
	s.is(s.ask("POST", "trust/check", change), 409, "nothing looks again")
	s.withRegistry(func(r *registry.Registry) {
		t.Cleanup(r.Attach(registry.Workspace{Name: "default/obuk", Provisioner: s.as, Trust: revoking{}, SuspendLostTrust: true}))
	})
	s.is(s.ask("POST", "trust/check", `{"operator":"Anna"}`), 400, "reason")
	if a := s.ask("POST", "trust/check", change); a.status != 200 || a.body["workspace"] != "default/obuk" {
		t.Fatalf("%d %s", a.status, a.says)
	}
	wait.Until(t, "the look at all clients", func() bool {
		return strings.Contains(s.ask("GET", "trust", "").says, `"completed_at"`)
	})
	a := s.ask("GET", "trust?kind=certificate_revoked&limit=2", "")
	entries := a.body["entries"].([]any)
	pass := a.body["passes"].([]any)[0].(map[string]any)
	if len(entries) != 2 || a.body["next"] == nil || pass["looked"] != 3.0 || pass["findings"].(map[string]any)["certificate_revoked"] != 3.0 || len(pass["directories"].([]any)) != 1 {
		t.Errorf("%s, want two of three clients with findings, and one about a directory", a.says)
	}
	if a := s.ask("GET", "trust?kind=certificate_revoked&limit=2&cursor="+url.QueryEscape(a.body["next"].(string)), ""); len(a.body["entries"].([]any)) != 1 {
		t.Errorf("%s, want the third", a.says)
	}
	if a := s.ask("GET", "trust?kind=unused", ""); len(a.body["entries"].([]any)) != 0 {
		t.Errorf("%s, want none", a.says)
	}
	id := entries[0].(map[string]any)["client_id"].(string)
	if d := s.ask("GET", "clients/"+id, ""); d.body["suspended"] != true || !strings.Contains(d.says, `"known":"rule"`) || len(d.body["findings"].([]any)) != 1 {
		t.Errorf("%s, want the finding, and that a rule has suspended the client", d.says)
	}
	s.is(s.ask("GET", "trust?kind=rich", ""), 400, "kind: one of unused, key_revoked")
	s.is(s.ask("GET", "trust?workspace=other", ""), 404, "there are default/obuk")
	s.is(s.ask("GET", "trust?cursor=client%2F1", ""), 400, "the cursor is of another list")
}
