package selftest

import (
	"crypto/x509"
	"maps"
	"slices"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/caddymodule"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// workspace is a directive of the configuration, with what stands for its servers.
type workspace struct {
	*caddymodule.Handler // as it was written
	rewriting            *rewriting
	place, server        string
	directive            map[string]any
	hosts                []string
	// host is a name of the site, certificateHost that for clients with certificates.
	host, certificateHost string
	// issuer is the AS's, at the site.
	issuer string
	stub   *stub
	as     *authorizationServer
	// proxied: a reverse_proxy of the site sends to the AS.
	proxied bool
	// registrar is the client of registration tokens, empty where none is configured.
	registrar   string
	directories []*directory
	// bodyKey signs all requests; nil where software does so with its own key.
	bodyKey *signingKey
	accept  verify.SupportedMetadata
}

// supported is what a registration may ask for.
func (w *workspace) supported() verify.SupportedMetadata {
	version := w.Version
	if version == "" {
		version = verify.DefaultVersion
	}
	a := version.SupportedMetadata()
	if len(w.AuthMethods) > 0 {
		a.AuthMethods = w.AuthMethods
	}
	if len(w.Algorithms) > 0 {
		a.AuthSigningAlgs, a.IDTokenAlgs, a.RequestObjectAlgs = w.Algorithms, w.Algorithms, w.Algorithms
	}
	if len(w.Roles) > 0 {
		a.Roles, a.Scopes = w.Roles, []string{"openid"}
		for _, role := range slices.Sorted(maps.Keys(w.Roles)) {
			a.Scopes = append(a.Scopes, w.Roles[role]...)
		}
	}
	return a
}

// registerPath is where clients register.
func (w *workspace) registerPath() string {
	if w.RegisterPath != "" {
		return w.RegisterPath
	}
	version := w.Version
	if version == "" {
		version = verify.DefaultVersion
	}
	return "/" + w.Workspace + "/openbankinguk/dcr/v" + string(version) + "/register"
}

// The four protections, as the operator has them.
func (w *workspace) needsCertificate() bool { return w.ClientCertificate != "off" }
func (w *workspace) needsToken() bool       { return w.AccessToken == nil || !w.AccessToken.Off }
func (w *workspace) needsStatement() bool   { return !w.NoSoftwareStatement }
func (w *workspace) needsSignature() bool {
	return w.SignedRequestBody == nil || !w.SignedRequestBody.Off
}

// needsEndpointCertificate: clients present their certificate where they authenticate.
func (w *workspace) needsEndpointCertificate() bool {
	if w.EndpointCertificate != "" {
		return w.EndpointCertificate == "required"
	}
	return w.needsCertificate()
}

// manages tells whether clients may use a method for their registrations.
func (w *workspace) manages(method string) bool {
	return w.Management == nil || slices.Contains(w.Management.Methods, method)
}

// directory is that of the story: the first whose statements a directory signs, and not a
// TPP for itself. Without statements it is one that only gives out keys.
func (w *workspace) directory() (*directory, error) {
	for _, d := range w.directories {
		if !d.configured.SelfSigned {
			return d, nil
		}
	}
	if len(w.directories) > 0 {
		return w.directories[0], nil
	}
	return w.rewriting.keys.newDirectory(&caddymodule.SoftwareStatement{Issuer: "Selftest Directory"}, w.rewriting.claims)
}

// roles are those of the story's software, and scope what they give.
func (w *workspace) roles() []string {
	if given, ok := w.rewriting.claims["software_roles"].([]any); ok {
		return texts(given)
	}
	return slices.Sorted(maps.Keys(w.accept.Roles))
}

func (w *workspace) scope() string {
	scopes := []string{"openid"}
	for _, role := range w.roles() {
		for _, scope := range w.accept.Roles[role] {
			if !slices.Contains(scopes, scope) {
				scopes = append(scopes, scope)
			}
		}
	}
	return strings.Join(scopes, " ")
}

// token is one that registers, of the AS.
func (w *workspace) token(change func(*stubToken)) (string, error) {
	id := w.registrar
	if id == "" {
		id = "selftest-registrar"
	}
	return w.as.issue(id, verify.ScopeRegister, (*x509.Certificate)(nil), change)
}
