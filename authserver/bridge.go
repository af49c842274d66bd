package authserver

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// How the gateway authenticates as a client in bridge mode (RFC 6749 2.3.1).
const (
	ClientSecretBasic = "client_secret_basic"
	ClientSecretPost  = "client_secret_post"
)

// bridgeMethods are these, the preferred one first.
var bridgeMethods = []string{ClientSecretBasic, ClientSecretPost}

const authMethods = "token_endpoint_auth_methods_supported"

// bridging is how the clients of an AS authenticate there.
type bridging struct {
	// native are the token_endpoint_auth_method values of clients that do so themselves.
	native []string
	// method is how the gateway does so for the others; empty where it cannot.
	method string
}

// Bridge is how the gateway authenticates at the AS for a client that is registered
// for a token_endpoint_auth_method; empty where the client does so itself, and for a
// method that no registration may have: the gateway could not check it. It can check a
// secret of its own also of a client that was registered when its method was on.
func (m *Metadata) Bridge(method string) string {
	if slices.Contains(m.bridge.native, method) || !slices.Contains(m.Supported.AuthMethods, method) && !verify.HasSecret(method) {
		return ""
	}
	return m.bridge.method
}

// bridgeOf is Bridge for a client, where the gateway can check what the client
// authenticates with.
func (m *Metadata) bridgeOf(c *registry.Client) (string, error) {
	method := c.Metadata.TokenEndpointAuthMethod
	bridge := m.Bridge(method)
	switch {
	case bridge == "" && verify.HasSecret(method):
		return "", unavailable(errors.New("a client has a secret of the gateway's, and the gateway cannot be the client at the authorization server: token_endpoint_auth is native, or the server has neither client_secret_basic nor client_secret_post"))
	case bridge != "" && method == "private_key_jwt" && c.JWKSURI == "":
		return "", refusal.New(refusal.InvalidClientMetadata, "token_endpoint_auth_method", "token_endpoint_auth_method: private_key_jwt needs a software_jwks_endpoint in the software statement; publish the software's keys at the directory and get a new statement")
	}
	return bridge, nil
}

// bridging decides for each of the methods that registrations may name, and returns
// those that are possible. A secret of a client is the gateway's and never the AS's. algs are the algorithms of assertions that the AS and the
// gateway share: without any the AS takes no assertion that a client may make.
func (s *Server) bridging(document strictjson.Object, algs []string) (b bridging, methods []string, err error) {
	listed, says, err := document.Strings(authMethods)
	if err != nil {
		return b, nil, fmt.Errorf("%s %w", authMethods, err)
	}
	can := func(method string) bool { return slices.Contains(listed, method) }
	if !says { // RFC 8414 2: client_secret_basic is meant; but whoever writes native knows more
		can = func(method string) bool { return method == ClientSecretBasic || s.TokenEndpointAuth == Native }
	}
	if s.TokenEndpointAuth != Native {
		for _, method := range bridgeMethods {
			if b.method == "" && (s.BridgeMethod == "" || s.BridgeMethod == method) && can(method) {
				b.method = method
			}
		}
	}
	for _, method := range s.Supported.AuthMethods {
		switch {
		case !verify.HasSecret(method) && s.TokenEndpointAuth != Bridge && can(method) && (method != "private_key_jwt" || len(algs) > 0):
			b.native = append(b.native, method)
			methods = append(methods, method)
		case b.method != "":
			methods = append(methods, method)
		}
	}
	if len(methods) == 0 {
		how := "registrations need one of " + strings.Join(s.Supported.AuthMethods, ", ")
		if s.TokenEndpointAuth == Bridge {
			how = "the gateway needs one of " + strings.Join(bridgeMethods, ", ")
		}
		return b, nil, fmt.Errorf("%s: the authorization server has %s, %s", authMethods, refusal.Quote(strings.Join(listed, ", ")), how)
	}
	return b, methods, nil
}

// AsClient is what a request carries that the gateway sends as a client in bridge mode:
// an Authorization header field or, by client_secret_post, parameters of the form.
func AsClient(method, clientID, secret string) (authorization, parameters string) {
	if method == ClientSecretPost {
		return "", "client_id=" + url.QueryEscape(clientID) + "&client_secret=" + url.QueryEscape(secret)
	}
	return basic(clientID, secret), ""
}

// readSecret takes over what the gateway authenticates with as the client, in bridge
// mode (RFC 7591 3.2.1). An AS may give another secret with every answer.
func (s *Server) readSecret(p *registry.Provisioned, answer strictjson.Object, sent *clientMetadata) error {
	if !sent.bridged() {
		p.Credentials.Bridge, p.Credentials.ClientSecret = "", ""
		return nil
	}
	secret, _, err := answer.String("client_secret")
	if err != nil {
		return fmt.Errorf("its answer's client_secret %w", err)
	}
	if secret == "" && p.Credentials.ClientSecret == "" {
		return errors.New("it registered a client for " + sent.TokenEndpointAuthMethod + " without a client_secret")
	}
	if secret != "" {
		p.Credentials.ClientSecret = secret
	}
	p.Credentials.Bridge = sent.TokenEndpointAuthMethod
	if ends, ok, err := answer.Integer("client_secret_expires_at"); ok && err == nil && ends > 0 {
		s.log.Warn("received a client secret that will expire at the authorization server; rotate it before",
			slog.String("client_id", p.ClientID), slog.Time("expires", time.Unix(ends, 0)))
	}
	return nil
}
