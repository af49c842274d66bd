package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/directory"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// TestConfiguredKeys: the keys that verify statements and requests are the ones
// that the operator names, from a file or an address, and no others.
func TestConfiguredKeys(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	write := func(keys any) string {
		t.Helper()
		file := filepath.Join(t.TempDir(), "keys.jwks")
		raw, err := json.Marshal(keys)
		if err == nil {
			err = os.WriteFile(file, raw, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return file
	}
	statement := func(keys any) gateway.Edit {
		return gateway.At("software_statement", "jwks_uri").Replace("jwks "+write(keys), "jwks_hosts 127.0.0.1 localhost")
	}
	request := gateway.At("signed_request_body")
	for _, c := range []struct {
		name string
		edit gateway.Edit
		// signers of statement and request that are accepted.
		statement, request directory.Key
		// others that are not.
		forgedStatement, forgedRequest directory.Key
	}{
		{"directory's keys in a file", statement(p.Directory.JWKS()),
			p.Directory.Signing, p.Acme.Signing, p.Other.Signing, p.Other.Signing},
		{"another directory's keys in a file", statement(p.Other.JWKS()),
			p.Other.Signing, p.Acme.Signing, p.Directory.Signing, p.Other.Signing},
		{"software_jwks_endpoint, in words", request.Set("software_jwks_endpoint"),
			p.Directory.Signing, p.Acme.Signing, p.Acme.Signing, p.Other.Signing},
		{"request's keys in a file", request.Set("jwks", write(p.Other.JWKS())),
			p.Directory.Signing, p.Other.Signing, p.Acme.Signing, p.Acme.Signing},
		{"request's keys at an address", request.Replace("signed_request_body jwks_uri "+p.Other.JWKSEndpoint()+" {", "\tprivate_addresses", "\ttrust_pool file "+filepath.Join(p.Dir, "ca.pem"), "}"),
			p.Directory.Signing, p.Other.Signing, p.Acme.Signing, p.Acme.Signing},
	} {
		t.Run(c.name, func(t *testing.T) {
			reload(t, p, c.edit)
			for _, signers := range []struct {
				statement, request directory.Key
				row                row
			}{
				{c.forgedStatement, c.request, row{400, "invalid_software_statement", "", "software_statement: is signed with a key that is not in the JWKS"}},
				{c.statement, c.forgedRequest, row{400, "invalid_client_metadata", "", "registration request is signed with a key that is not in the JWKS"}},
				{c.statement, c.request, row{}},
			} {
				token, _, err := p.Prepare(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				ssa, err := signers.statement.Sign(p.Acme.StatementClaims(nil), nil)
				if err != nil {
					t.Fatal(err)
				}
				claims, err := p.Acme.RequestClaims(map[string]any{"software_statement": ssa})
				if err != nil {
					t.Fatal(err)
				}
				body, err := signers.request.Sign(claims, nil)
				if err != nil {
					t.Fatal(err)
				}
				r, err := p.Client(p.Acme).Register(t.Context(), p.Register, token, body)
				if signers.row.status == 0 {
					answered(t, r, err, 201, "")
				} else if err := signers.row.isIn(p, r, err); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
