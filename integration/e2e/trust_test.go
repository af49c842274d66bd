package e2e_test

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/directory"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// trust is the answer of GET trust, as far as tests look at it.
type trust struct {
	Entries []struct {
		ClientID string `json:"client_id"`
		Findings []struct {
			Kind        string `json:"kind"`
			Detail      string `json:"detail"`
			SuspendedAt int64  `json:"suspended_at"`
		} `json:"findings"`
	} `json:"entries"`
	Passes []struct {
		UnderWay    bool      `json:"under_way"`
		StartedAt   time.Time `json:"started_at"`
		CompletedAt time.Time `json:"completed_at"`
		Looked      int       `json:"looked"`
		Directories []struct {
			Kind string `json:"kind"`
		} `json:"directories"`
	} `json:"passes"`
}

func (a *trust) kinds() (kinds []string) {
	for _, e := range a.Entries {
		for _, f := range e.Findings {
			kinds = append(kinds, f.Kind)
		}
	}
	return kinds
}

func (a *trust) directories() (kinds []string) {
	for _, p := range a.Passes {
		for _, d := range p.Directories {
			kinds = append(kinds, d.Kind)
		}
	}
	return kinds
}

// looksAgain has the gateway look at all clients, and returns what it has found.
func looksAgain(t *testing.T, p *story.Play, d *description) (found trust) {
	t.Helper()
	began := time.Now().Truncate(time.Second)
	status, body, err := p.Operator(t.Context(), http.MethodPost, "trust/check", `{"reason":"a test","operator":"Anna"}`)
	if err != nil || status != http.StatusOK {
		t.Fatalf("trust/check: %d %s, %v", status, body, err)
	}
	d.answers(http.MethodPost, "/trust/check", status, body)
	err = story.Eventually(t.Context(), time.Minute, func() error {
		status, body, err = p.Operator(t.Context(), http.MethodGet, "trust", "")
		if err != nil || status != http.StatusOK {
			return fmt.Errorf("%d %s, %v", status, body, err)
		}
		found = trust{}
		if err := json.Unmarshal(body, &found); err != nil {
			return err
		}
		if len(found.Passes) != 1 || found.Passes[0].UnderWay || found.Passes[0].StartedAt.Before(began) {
			return fmt.Errorf("the look at the clients has not ended: %s", body)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	d.answers(http.MethodGet, "/trust", status, body)
	return found
}

// TestRevokedKeyIsFoundAgain: a key that the directory revokes after the registration suspends
// its client, and an outage of the directory nobody; the last use of a client is kept over a stop.
func TestRevokedKeyIsFoundAgain(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC, Checks: true, Edits: []gateway.Edit{
		gateway.At("software_statement").Add("revoked_keys"), gateway.Workspace("on_lost_trust suspend"), gateway.Workspace("retire unused 400d report"),
	}}))
	d := described(t, p)
	id, _ := registered(t, p)
	token := func(want int) {
		t.Helper()
		r, err := p.Client(p.Acme).Token(t.Context(), p.Endpoint("token_endpoint"), tpp.ClientCredentials(""), tpp.TLSClientAuth(id))
		if err != nil || r.Status != want {
			t.Fatalf("token: %v, %v, want %d", r, err, want)
		}
	}
	token(200)
	if found := looksAgain(t, p, d); len(found.Entries) != 0 || found.Passes[0].Looked != 1 {
		t.Fatalf("%+v, want nothing about one client", found)
	}
	restart(t, p, p.Gateway.Stop)
	status, body, err := p.Operator(t.Context(), http.MethodGet, "clients/"+id, "")
	if today := time.Now().UTC(); err != nil || !strings.Contains(string(body), `"last_used":"`+today.Format(time.DateOnly)+`"`) && !strings.Contains(string(body), `"last_used":"`+today.Add(-time.Hour).Format(time.DateOnly)+`"`) {
		t.Errorf("%d %s, %v; want that it was used today", status, body, err)
	}
	d.answers(http.MethodGet, "/clients/{client_id}", status, body)

	p.Directory.AddFault(directory.Fault{Status: 503, Times: -1})
	found := looksAgain(t, p, d)
	if len(found.Entries) != 0 || !slices.Contains(found.directories(), "software_keys_unreadable") || !slices.Contains(found.directories(), "keys_unreachable") {
		t.Errorf("the directory is down: %+v, want findings about the directory alone", found)
	}
	token(200)
	p.Directory.ResetFaults()

	p.Acme.Revoke(p.Acme.Signing.ID)
	found = looksAgain(t, p, d)
	if !slices.Equal(found.kinds(), []string{"key_revoked"}) || found.Entries[0].ClientID != id || found.Entries[0].Findings[0].SuspendedAt == 0 || len(found.directories()) != 0 {
		t.Errorf("a revoked key: %+v, want that it has suspended %s", found, id)
	}
	token(401)
	if status, body, err := p.Change(t.Context(), "clients/"+id, "resume", "the key was stolen from nobody"); err != nil || status != 200 {
		t.Fatalf("resume: %d %s, %v", status, body, err)
	}
	looksAgain(t, p, d)
	token(200) // an operator has decided
	p.Acme.Withdraw(p.Acme.Signing.ID)
	if _, err := p.Acme.AddSigningKey("PS256"); err != nil {
		t.Fatal(err)
	}
	if found := looksAgain(t, p, d); len(found.Entries) != 0 {
		t.Errorf("the key has left the JWKS: %+v, want no finding", found)
	}
}

// TestRevokedCertificateIsFoundAgain: a certificate on the CRL of its CA suspends its client, and a
// trust_pool without that CA nobody.
func TestRevokedCertificateIsFoundAgain(t *testing.T) {
	t.Parallel()
	ca, other := newListServer(t), httptest.NewTLSServer(nil)
	t.Cleanup(other.Close)
	list := func(p *story.Play, number int64) []byte { return revocationList(t, p, number) }
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC, Checks: true, Edits: []gateway.Edit{
		gateway.Workspace("crl "+ca.URL+"/issuing.crl {", "\tprivate_addresses", "}"), gateway.Workspace("on_lost_trust suspend"),
	}}))
	first := list(p, 7)
	ca.list.Store(&first)
	restart(t, p, p.Gateway.Stop)
	d := described(t, p)
	id, _ := registered(t, p)
	if found := looksAgain(t, p, d); len(found.Entries) != 0 {
		t.Errorf("%+v, want nothing", found)
	}
	second := revocationList(t, p, 8, p.Acme.Transport)
	ca.list.Store(&second)
	restart(t, p, p.Gateway.Stop)
	// Which CA a list is of, shows with the first client of it.
	if r, err := p.Client(p.Acme).Token(t.Context(), p.Endpoint("token_endpoint"), tpp.ClientCredentials(""), tpp.TLSClientAuth(id)); err != nil || r.Status != 401 {
		t.Fatalf("token: %v, %v, want 401", r, err)
	}
	found := looksAgain(t, p, d)
	if !slices.Equal(found.kinds(), []string{"certificate_revoked"}) || found.Entries[0].Findings[0].SuspendedAt == 0 {
		t.Errorf("%+v, want that it has suspended %s", found, id)
	}

	roots := filepath.Join(t.TempDir(), "other.pem")
	if err := os.WriteFile(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: other.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	reload(t, p, gateway.At("client_auth", "trust_pool").Set("file", roots))
	// The CRL is not known to be of the CA before a client of that comes, which is no reason to forget.
	if found := looksAgain(t, p, d); !slices.Equal(found.kinds(), []string{"certificate_revoked", "ca_not_trusted"}) {
		t.Errorf("another trust_pool: %+v, want that the CA is not trusted, too", found)
	}
}
