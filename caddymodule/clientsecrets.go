package caddymodule

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// Clients that authenticate with a secret of the gateway's own (verify.SecretMethods).

// checkSecretMethods refuses such methods where every client authenticates at the AS
// itself, which does not know these secrets, and warns of them elsewhere.
func (h *Handler) checkSecretMethods() error {
	on := slices.DeleteFunc(slices.Clone(h.AuthMethods), func(m string) bool { return !verify.HasSecret(m) })
	switch {
	case len(on) == 0:
		return nil
	case h.AuthorizationServer.TokenEndpointAuth == authserver.Native:
		return fmt.Errorf("token_endpoint_auth_methods %s: these secrets are the gateway's own, and with token_endpoint_auth native clients authenticate at the authorization server; write auto or bridge there, or take the methods away",
			strings.Join(on, " "))
	case !h.explains:
		doubt(h.doubtful(), "accepts client authentication with secrets, which FAPI 1 Advanced does not allow: whoever reads a secret can use it",
			"client-secrets", "openbanking_dcr "+h.Workspace+"/token_endpoint_auth_methods", "leave tls_client_auth and private_key_jwt alone there, unless TPPs or a conformance test need the others", slog.String("methods", strings.Join(on, " ")))
	}
	return nil
}
