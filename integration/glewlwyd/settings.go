package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
)

// settings is the configuration file of glewlwyd: what the administration API
// cannot change.
func settings(root, database string, port int, m mount) []byte {
	return fmt.Appendf(nil, `
port = %d
bind_address = "127.0.0.1"
external_url = %q
api_prefix = %q
login_url = "login.html"
log_mode = "console"
log_level = "DEBUG"
cookie_secure = 0
session_key = "GLEWLWYD_SESSION"
admin_scope = "g_admin"
profile_scope = "g_profile"
user_module_path = "%[5]s/user"
client_module_path = "%[5]s/client"
user_auth_scheme_module_path = "%[5]s/scheme"
plugin_module_path = "%[5]s/plugin"
hash_algorithm = "SHA512"
database = { type = "sqlite3"; path = %[4]q; };
`, port, m.external, m.api, database, root+"/usr/lib/glewlwyd")
}

// Scopes of the clients that register themselves: glewlwyd gives all to all,
// whatever the registration says.
var clientScopes = []string{"openid", "accounts", "payments", "fundsconfirmations"}

const registrationScope = "dcr_register"

// introspectionScope is what a token needs that is presented in a secret's place at
// the introspection and revocation endpoints.
const introspectionScope = "introspection"

// The payment service user who is always logged in and consents to all.
const psu, psuPassword = "psu", "psu-password"

// edgeID is the client by which the edge gets what the registration endpoint demands.
const edgeID = "edge"

func staticIDs(config authserverprocess.Config) []string {
	return []string{edgeID, config.GatewayID, config.RegistrarID}
}

// staticClient is a client_secret_basic client.
func staticClient(id, secret string, scopes ...string) map[string]any {
	return map[string]any{
		"client_id": id, "name": id, "client_secret": secret, "enabled": true, "confidential": true,
		"scope": scopes, "authorization_type": []string{"client_credentials"},
		"token_endpoint_auth_method": []string{"client_secret_basic"},
	}
}

// plugin is the instance of the OpenID Connect plugin.
func plugin(issuer, instance string) (map[string]any, error) {
	private, public, err := newKey()
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"module": "oidc", "name": instance, "display_name": "Open Banking", "enabled": true,
		"parameters": map[string]any{
			"iss":      issuer,
			"jwt-type": "rsa-pss", "jwt-key-size": "256", "key": private, "cert": public, "jwks-show": true,
			"subject-type":  "public",
			"allowed-scope": append([]string{registrationScope}, clientScopes...), // what discovery names
			"code-duration": 600, "access-token-duration": 3600, "refresh-token-duration": 14 * 24 * 3600,
			"refresh-token-rolling": true, "refresh-token-one-use": "always",

			"allow-non-oidc":           true, // client_credentials
			"auth-type-client-enabled": true, "auth-type-code-enabled": true, "auth-type-refresh-enabled": true,
			"auth-type-implicit-enabled": true, // code id_token
			"auth-type-token-enabled":    false, "auth-type-password-enabled": false, "auth-type-device-enabled": false,
			"auth-type-code-revoke-replayed": true,

			"request-parameter-allow": true, "pkce-allowed": true, "pkce-method-plain-allowed": false,
			"client-jwks-parameter": "jwks", "client-jwks_uri-parameter": "jwks_uri", "client-pubkey-parameter": "pubkey",
			"oauth-par-allowed": true, "oauth-par-required": false, "oauth-par-duration": 90,
			"oauth-par-request_uri-prefix": "urn:ietf:params:oauth:request_uri:",

			// By Basic a client may ask for its own tokens; once a scope is named here,
			// for those of all, whatever its own scopes. The gateway needs that.
			"introspection-revocation-allowed":             true,
			"introspection-revocation-allow-target-client": true,
			"introspection-revocation-auth-scope":          []string{introspectionScope},

			"register-client-allowed":            true,
			"register-client-auth-scope":         []string{registrationScope},
			"register-client-credentials-scope":  clientScopes,
			"register-client-management-allowed": true,
			"register-client-token-one-use":      false, // the access token that the POST demands
		},
	}, nil
}

// newKey makes the signing key of this run.
func newKey() (private, public string, err error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return "", "", err
	}
	privateDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", "", err
	}
	publicDER, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return "", "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: privateDER})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: publicDER})), nil
}
