package authserver_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// TestUnusualDocumentsAreAccepted: what the authorization server writes otherwise than others
// do is no trouble where nobody needs it.
func TestUnusualDocumentsAreAccepted(t *testing.T) {
	plain := newEdge(t, nil)
	plain.on(discovery, answer(http.StatusOK, plain.document()))
	want := plain.metadata().Supported
	null := []string{"scopes_supported", "null", "grant_types_supported", "null", "response_types_supported", "null", "id_token_signing_alg_values_supported", "null",
		"request_object_signing_alg_values_supported", "null", "backchannel_authentication_endpoint", "null", "mtls_endpoint_aliases", "null",
		"token_endpoint_auth_signing_alg_values_supported", "null", "userinfo_endpoint", "null", "tls_client_certificate_bound_access_tokens", "null", "signed_metadata", "null"}
	for name, document := range map[string]string{
		"null for what it need not say":       plain.document(null...),
		"null in a list":                      plain.document("token_endpoint_auth_methods_supported", `["client_secret_basic",null,"private_key_jwt","tls_client_auth"]`),
		"a byte order mark":                   "\ufeff" + plain.document(),
		"bytes that are not UTF-8":            strings.Replace(plain.document("service_documentation", `"cafe"`), "cafe", "caf\xe9", 1),
		"members twice, with one value":       strings.TrimSuffix(plain.document(), "}") + "," + strings.TrimPrefix(plain.document(), "{"),
		"a member twice, that nobody needs":   strings.TrimSuffix(plain.document(), "}") + `,"claims_supported":["a"],"claims_supported":["b"],"x":{"y":1,"y":2}}`,
		"an endpoint of another type":         plain.document("userinfo_endpoint", "7"),
		"half a surrogate pair, somewhere":    plain.document("op_policy_uri", `"\ud800"`),
		"null for a list that decides, twice": strings.TrimSuffix(plain.document(), "}") + `,"scopes_supported":null,"scopes_supported":null}`,
	} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t, nil)
			e.on(discovery, answer(http.StatusOK, strings.ReplaceAll(document, plain.https.URL, e.https.URL)))
			m, err := e.Metadata(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if strings.Join(m.Supported.Scopes, " ") != strings.Join(want.Scopes, " ") || strings.Join(m.Supported.AuthMethods, " ") != strings.Join(want.AuthMethods, " ") || m.Path("token_endpoint") != "/as/token" {
				t.Errorf("%+v, want %+v, and the token endpoint /as/token", m, want)
			}
			published, err := strictjson.ParseAnswer(m.Publish("https://bank.example", "", "https://bank.example/register"))
			if err != nil {
				t.Fatal(err)
			}
			if issuer, _, err := published.String("issuer"); err != nil || issuer != "https://bank.example/as" || published.Has("signed_metadata") {
				t.Errorf("published: %s, %v", published.AppendJSON(nil), err)
			}
		})
	}
}

// TestOlderDocumentInUse: the log says so of one from the store, too.
func TestOlderDocumentInUse(t *testing.T) {
	for name, kept := range map[string]bool{"uses_older_document=true": true, "uses_older_document=false": false} {
		e := newEdge(t, func(e *edge, o *authserver.Options) {
			if kept {
				o.Documents = &documents{kept: e.document()}
			}
		})
		e.on(discovery, answer(http.StatusOK, `{"issuer":null}`))
		if _, err := e.Metadata(t.Context()); (err == nil) != kept {
			t.Errorf("%v, want an error: %t", err, !kept)
		}
		if text := e.log.String(); !strings.Contains(text, name) || !strings.Contains(text, "url="+e.https.URL+"/as") {
			t.Errorf("log: %s", text)
		}
	}
}
