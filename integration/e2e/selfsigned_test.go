package e2e_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/directory"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// TestSelfSignedStatement: an issuer block that says so takes a TPP's own
// statements, signed by the organisation or not at all, and nobody else's.
func TestSelfSignedStatement(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	keys, err := json.Marshal(p.Acme.JWKS())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "acme.jwks")
	if err := os.WriteFile(file, keys, 0o600); err != nil {
		t.Fatal(err)
	}
	block := func(words string) gateway.Edit {
		return gateway.Workspace("software_statement acme {", "\tjwks "+file, "\tjwks_hosts localhost 127.0.0.1",
			"\tprivate_addresses", "\ttrust_pool file "+filepath.Join(p.Dir, "ca.pem"), "\torg_id "+p.Acme.OrgID, "\t"+words, "}")
	}
	stranger, err := strangersKey()
	if err != nil {
		t.Fatal(err)
	}
	claims := func(overrides map[string]any) map[string]any {
		c := p.Acme.StatementClaims(overrides)
		c["iss"] = "acme"
		return c
	}
	signed := func(key directory.Key, overrides map[string]any) string {
		s, err := key.Sign(claims(overrides), map[string]any{"kid": p.Acme.Signing.ID})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	unsigned := func(overrides map[string]any) string {
		raw, err := json.Marshal(claims(overrides))
		if err != nil {
			t.Fatal(err)
		}
		enc := base64.RawURLEncoding.EncodeToString
		return enc([]byte(`{"alg":"none"}`)) + "." + enc(raw) + "."
	}
	other := map[string]any{"org_id": "0015800001041REAAY"}
	elsewhere := map[string]any{"software_jwks_endpoint": "https://169.254.169.254/latest"}
	for _, c := range []struct {
		name, words, statement string
		key                    directory.Key // of the request
		status                 int
		code                   string
	}{
		{"signed", "self_signed", signed(p.Acme.Signing, nil), p.Acme.Signing, 201, ""},
		{"unsigned", "self_signed unsigned", unsigned(nil), p.Acme.Signing, 201, ""},
		{"signed where it may be unsigned", "self_signed unsigned", signed(p.Acme.Signing, nil), p.Acme.Signing, 201, ""},
		{"unsigned where it must be signed", "self_signed", unsigned(nil), p.Acme.Signing, 400, "invalid_software_statement"},
		{"signed by a stranger", "self_signed", signed(stranger, nil), p.Acme.Signing, 400, "invalid_software_statement"},
		{"unsigned, in a stranger's request", "self_signed unsigned", unsigned(nil), stranger, 400, "invalid_client_metadata"},
		{"of another organisation", "self_signed", signed(p.Acme.Signing, other), p.Acme.Signing, 400, "unapproved_software_statement"},
		{"unsigned, of another organisation", "self_signed unsigned", unsigned(other), p.Acme.Signing, 400, "unapproved_software_statement"},
		{"unsigned, with keys at another host", "self_signed unsigned", unsigned(elsewhere), p.Acme.Signing, 400, "unapproved_software_statement"},
	} {
		t.Run(c.name, func(t *testing.T) {
			reload(t, p, block(c.words))
			token, _, err := p.Prepare(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			request, err := p.Acme.RequestClaims(map[string]any{"software_statement": c.statement})
			if err != nil {
				t.Fatal(err)
			}
			body, err := c.key.Sign(request, map[string]any{"kid": p.Acme.Signing.ID})
			if err != nil {
				t.Fatal(err)
			}
			r, err := p.Client(p.Acme).Register(t.Context(), p.Register, token, body)
			answered(t, r, err, c.status, c.code)
			if c.status != 201 {
				return
			}
			if r.Text("software_statement") != c.statement || r.Text("org_id") != p.Acme.OrgID {
				t.Errorf("got %v", r)
			}
			id := r.Text("client_id")
			own, err := p.ClientToken(t.Context(), p.Acme, id)
			if err != nil {
				t.Fatal(err)
			}
			read, err := p.Client(p.Acme).Read(t.Context(), p.Register, id, own)
			if answered(t, read, err, 200, ""); string(read.Body) != string(r.Body) {
				t.Errorf("got\n%s\nwant as registered\n%s", read.Body, r.Body)
			}
		})
	}
	answered(t, registers(t, p, p.Client(p.Acme), nil), nil, 201, "") // beside it, the directory's go on
}
