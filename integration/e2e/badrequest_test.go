package e2e_test

import (
	"crypto"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/directory"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// forge makes a registration request that is not good.
type forge func(*story.Play) (string, error)

func claim(name string, value any) forge {
	return func(p *story.Play) (string, error) { return p.Acme.Request(map[string]any{name: value}) }
}

// ssa puts a claim into the statement, which the directory signs.
func ssa(name string, value any) forge {
	return func(p *story.Play) (string, error) {
		return p.Acme.Statement(map[string]any{name: value})
	}
}

func in(statement forge) forge {
	return func(p *story.Play) (string, error) {
		s, err := statement(p)
		if err != nil {
			return "", err
		}
		return p.Acme.Request(map[string]any{"software_statement": s})
	}
}

// signed has its header changed and may be signed with another key.
func signed(header map[string]any, key func(*story.Play) (directory.Key, error)) forge {
	return func(p *story.Play) (string, error) {
		claims, err := p.Acme.RequestClaims(nil)
		signer := p.Acme.Signing
		if err == nil && key != nil {
			signer, err = key(p)
		}
		if err != nil {
			return "", err
		}
		return signer.Sign(claims, header)
	}
}

// transportKey is the key of the transport certificate: published for TLS.
func transportKey(p *story.Play) (directory.Key, error) {
	jwk := jose.JSONWebKey{Key: p.Acme.Transport.Leaf.PublicKey}
	sum, err := jwk.Thumbprint(crypto.SHA256)
	return directory.Key{ID: base64.RawURLEncoding.EncodeToString(sum), Algorithm: jose.PS256, Private: p.Acme.Transport.PrivateKey}, err
}

func unpublished(*story.Play) (directory.Key, error) { return directory.NewKey(jose.PS256) }

// changed has another character in its signature.
func changed(body forge) forge {
	return func(p *story.Play) (string, error) {
		raw, err := body(p)
		at := strings.LastIndexByte(raw, '.') + 10
		other := "A"
		if raw[at] == 'A' {
			other = "B"
		}
		return raw[:at] + other + raw[at+1:], err
	}
}

func unchanged(p *story.Play) (string, error) { return p.Acme.Request(nil) }

// TestBadRequests: the rows of the error table for the request itself, as POST and
// as PUT, each with its exact status, code and headers.
func TestBadRequests(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	// What may be demanded of statements and certificates is demanded; org_status is in the example.
	reload(t, p, "bind_certificate ssa_jwks", "\t\tsoftware_statement \"OpenBanking Ltd\" {\n",
		"\t\tsoftware_statement \"OpenBanking Ltd\" {\n\t\t\tsoftware_mode Live\n\t\t\torg_id "+p.Acme.OrgID+"\n")
	id, own := registered(t, p)
	token, good, err := p.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const metadata, statement, unapproved = "invalid_client_metadata", "invalid_software_statement", "unapproved_software_statement"
	past := time.Now().Add(-time.Hour).Unix()
	for _, c := range []struct {
		name, code, says string
		body             forge
	}{
		{"not a JWS", metadata, "registration request is not a compact JWS", func(*story.Play) (string, error) { return "hello", nil }},
		{"JSON", metadata, "registration request is not a compact JWS", func(*story.Play) (string, error) { return `{"iss":"x"}`, nil }},
		{"bad signature", metadata, "registration request has a signature", changed(unchanged)},
		{"signed with another key", metadata, "registration request has a signature", func(p *story.Play) (string, error) {
			return signed(map[string]any{"kid": p.Acme.Signing.ID}, unpublished)(p)
		}},
		{"unknown kid", metadata, "registration request is signed with a key that is not in the JWKS", signed(nil, unpublished)},
		{"key published for TLS", metadata, "registration request ", signed(nil, transportKey)},
		{"alg RS256", metadata, "registration request has alg 'RS256'", signed(map[string]any{"alg": "RS256"}, nil)},
		{"alg none", metadata, "registration request has alg 'none'", signed(map[string]any{"alg": "none"}, nil)},
		{"alg of another key", metadata, "registration request ", signed(map[string]any{"alg": "ES256"}, nil)},
		{"typ at+jwt", metadata, "registration request has typ 'at+jwt'", signed(map[string]any{"typ": "at+jwt"}, nil)},
		{"expired", metadata, "exp: expired", func(p *story.Play) (string, error) {
			return p.Acme.Request(map[string]any{"iat": past - 60, "exp": past})
		}},
		{"iss", metadata, "iss: ", claim("iss", "somebodyElse")},
		{"aud", metadata, "aud: ", claim("aud", "https://other.example")},
		{"jti missing", metadata, "jti: ", claim("jti", nil)},
		{"bad metadata", metadata, "grant_types: ", claim("grant_types", []string{"implicit"})},
		{"scope beyond the roles", metadata, "scope: 'payments'", claim("scope", "openid payments")},
		{"DN of another certificate", metadata, "tls_client_auth_subject_dn: ", claim("tls_client_auth_subject_dn", "CN=other,C=GB")},
		{"redirect URI that is none", "invalid_redirect_uri", "redirect_uris: ", claim("redirect_uris", []string{"http://tpp.example/callback"})},
		{"redirect URI of nobody's", "invalid_redirect_uri", "redirect_uris: ", claim("redirect_uris", []string{"https://tpp.example/callback", "https://evil.example/"})},
		{"no statement", statement, "software_statement: missing", claim("software_statement", nil)},
		{"statement that is none", statement, "software_statement: ", claim("software_statement", "hello")},
		{"statement with a bad signature", statement, "software_statement: has a signature", in(changed(ssa("x", 1)))},
		{"expired statement", statement, "software_statement: ", in(ssa("exp", past))},
		{"statement of tomorrow", statement, "software_statement: ", in(ssa("iat", time.Now().Add(time.Hour).Unix()))},
		{"statement without software_id", statement, "software_statement: ", in(ssa("software_id", nil))},
		{"statement of an unknown issuer", unapproved, "software_statement: its issuer", in(func(p *story.Play) (string, error) { return p.Stranger.Statement(nil) })},
		{"organisation withdrawn", unapproved, "software_statement: ", in(ssa("org_status", "Withdrawn"))},
		{"software in test", unapproved, "software_statement: ", in(ssa("software_mode", "Test"))},
		{"another organisation", unapproved, "software_statement: ", in(ssa("org_id", "0015800001041RZZZZ"))},
	} {
		t.Run(c.name, func(t *testing.T) {
			body, err := c.body(p)
			if err != nil {
				t.Fatal(err)
			}
			for method, call := range map[string]story.Call{
				"POST": {URL: p.Register, Token: token}, "PUT": {URL: p.Register + "/" + id, Token: own},
			} {
				call.Method, call.As, call.Body = method, p.Acme, body
				r, err := p.Make(t.Context(), call)
				if err := (row{400, c.code, "", c.says}).isIn(p, r, err); err != nil {
					t.Errorf("%s: %v", method, err)
				}
			}
		})
	}
	t.Run("certificate that the statement does not name", func(t *testing.T) {
		certificate, err := p.Acme.IssueTransport(directory.TransportOptions{Unpublished: true})
		if err != nil {
			t.Fatal(err)
		}
		r, err := presenting(t, p, certificate).Register(t.Context(), p.Register, token, good)
		if err := (row{400, metadata, "", "client_certificate: "}).isIn(p, r, err); err != nil {
			t.Error(err)
		}
	})
	r, err := p.Client(p.Acme).Register(t.Context(), p.Register, token, good)
	answered(t, r, err, 201, "")
	t.Run("replay", func(t *testing.T) {
		again, _, err := p.Prepare(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r, err := p.Client(p.Acme).Register(t.Context(), p.Register, again, good)
		if err := (row{400, metadata, "", "jti: this request was sent before"}).isIn(p, r, err); err != nil {
			t.Error(err)
		}
	})
}

// TestUpdateOfOther: a PUT is of the same client, software and organisation.
func TestUpdateOfOther(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	id, own := registered(t, p)
	put := func(body string) (*row, error) {
		r, err := p.Make(t.Context(), story.Call{Method: http.MethodPut, URL: p.Register + "/" + id, As: p.Acme, Token: own, Body: body})
		if err != nil {
			return nil, err
		}
		w := &row{r.Status, r.Text("error"), "", strings.SplitN(r.Text("error_description"), ":", 2)[0]}
		if r.Status == 200 {
			return w, nil
		}
		return w, w.isIn(p, r, nil)
	}
	for _, c := range []struct {
		name string
		body forge
		want row
	}{
		{"another client_id", claim("client_id", "somebody"), row{400, "invalid_client_metadata", "", "client_id"}},
		{"its own client_id", claim("client_id", id), row{200, "", "", ""}},
		{"no client_id", claim("client_id", nil), row{200, "", "", ""}},
		{"another organisation", in(ssa("org_id", "0015800001041RZZZZ")), row{400, "invalid_client_metadata", "", "org_id"}},
		{"another software", func(p *story.Play) (string, error) {
			s, err := p.Acme.Statement(map[string]any{"software_id": "other"})
			if err != nil {
				return "", err
			}
			return p.Acme.Request(map[string]any{"software_statement": s, "iss": "other", "software_id": "other"})
		}, row{400, "invalid_client_metadata", "", "software_id"}},
	} {
		body, err := c.body(p)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := put(body); err != nil || *got != c.want {
			t.Errorf("%s: %+v, %v, want %+v", c.name, got, err, c.want)
		}
	}
}
