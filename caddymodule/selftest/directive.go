package selftest

import (
	"crypto/rand"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/caddymodule"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// Each member of the directive either says what requests must be like, and stays, or where
// something is, and is replaced. One that is in neither list is left out: a later version of
// it may reach something.
var (
	keptMembers = []string{
		"handler", "workspace", "register_path", "mtls_origin", "audience", "client_certificate", "rate_limit", "fair_share", "reregister", "registration_access_token",
		"answer_request_claims", "explain", "audit_retention", "keep_headers", "pass_headers", "version", "lenient", "max_lifetime", "issuer_claim", "algorithms",
		"token_endpoint_auth_methods", "bind_certificate", "dn_match", "roles", "statement_rollback", "crl_mode", "clients_per_software", "bytes_per_organisation",
		"registration", "management", "as_registration", "endpoint_certificate", "unknown_clients", "other_bodies", "assertion_audience", "no_software_statement", "unprotected", "unguarded", "policies",
		"approval", "on_lost_trust", "retire",
	}
	replacedMembers = []string{"authorization_server", "access_token", "software_statements", "signed_request_body", "client_certificate_header", "crl", "proxy"}
	// keptServerMembers are those of authorization_server.
	keptServerMembers = []string{
		"token_endpoint_auth", "bridge_method", "bind_access_tokens", "supports", "client_certificate", "san", "validate", "token_audience", "as_errors",
		"url", "client", "provision", "shared_header", "introspection_endpoint", "revocation_endpoint", "trust_pool",
	}
	keptStatementMembers = []string{
		"issuer", "jwks_uri", "jwks_hosts", "algorithms", "max_age", "org_status", "software_mode", "org_id", "unlisted_redirect_uris", "revoked_keys", "self_signed", "unsigned", "private_addresses", "trust_pool",
	}
	// keptLanguages are those of policies that ask nobody.
	keptLanguages = []string{"cel", "rego"}
)

// rewriteDirective rewrites a directive openbanking_dcr in a site, and makes what takes the
// place of its servers.
func (r *rewriting) rewriteDirective(place string, o map[string]any, hosts []string) error {
	w := &workspace{Handler: new(caddymodule.Handler), place: place, directive: o, hosts: hosts, rewriting: r, server: strings.Split(place, "/")[3]}
	if err := again(o, w.Handler); err != nil {
		return fmt.Errorf("%s: %w", place, err)
	}
	if w.AuthorizationServer == nil || w.AuthorizationServer.Provision == nil {
		return fmt.Errorf("%s: authorization_server or its provision is missing; caddy dcr check says what does not load", place)
	}
	r.keep(place, o, append(keptMembers, replacedMembers...)...)
	w.nameHosts()
	for _, step := range []func(*workspace, map[string]any) error{
		r.rewriteServerOf, r.rewriteAccessToken, r.rewriteStatements, r.rewriteBodyKeys, r.rewriteCertificates, r.checkPolicies,
	} {
		if err := step(w, o); err != nil {
			return fmt.Errorf("openbanking_dcr %s: %w", w.Workspace, err)
		}
	}
	r.workspaces = append(r.workspaces, w)
	return nil
}

// nameHosts chooses the names under which the site is asked.
func (w *workspace) nameHosts() {
	matls := ""
	if u, err := url.Parse(w.MTLSOrigin); err == nil {
		matls = u.Hostname()
	}
	for _, host := range w.hosts {
		if host = strings.ReplaceAll(host, "*", "selftest"); host == matls {
			w.certificateHost = host
		} else if w.host == "" && !strings.ContainsAny(host, "{}") {
			w.host = host
		}
	}
	if w.host == "" {
		w.host = "selftest.invalid"
		if w.certificateHost != "" {
			w.host = w.certificateHost
		}
	}
	if w.certificateHost == "" {
		w.certificateHost = w.host
	}
}

// rewriteServerOf has authorization_server be the stub, with throw-away secrets.
func (r *rewriting) rewriteServerOf(w *workspace, o map[string]any) (err error) {
	at, _ := o["authorization_server"].(map[string]any)
	u, err := url.Parse(w.AuthorizationServer.URL)
	if err != nil || u.Host == "" {
		return fmt.Errorf("authorization_server %q: must be an https URL", w.AuthorizationServer.URL)
	}
	host, port := hostAndPort(u.Host)
	if w.stub = r.stubs[host+":"+port]; w.stub == nil {
		if w.stub, err = newStub(r.ca); err != nil {
			return err
		}
		r.stubs[host+":"+port] = w.stub
	}
	w.issuer = "https://" + w.host + u.Path
	if w.as, err = newAuthorizationServer(w.issuer, u.Path, r.keys); err != nil {
		return err
	}
	r.instead(w.place+"/authorization_server", "the authorization server "+w.AuthorizationServer.URL+" with its credentials, its CA and the way to it", "the built-in authorization server")
	at["url"], at["trust_pool"] = w.stub.url+u.Path, r.ca.trustPool()
	delete(at, "tls_client_auth")
	delete(at, "proxy")
	if at["dn_format"] != nil {
		r.instead(w.place+"/authorization_server/dn_format", "the option dn_format", "rfc4514: the built-in authorization server reads no other form")
		delete(at, "dn_format")
	}
	r.keep(w.place+"/authorization_server", at, keptServerMembers...)
	if err := r.rewriteCredentials(w, at); err != nil {
		return err
	}
	for _, name := range []string{"introspection_endpoint", "revocation_endpoint"} {
		text, _ := at[name].(string)
		if text == "" {
			continue
		}
		target, err := authserver.ReadEndpoint(w.AuthorizationServer.URL, text)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		path := authserver.NewEndpoint(name, target).Path
		at[name], w.as.given[name] = path, path
	}
	w.describe()
	w.stub.mu.Lock()
	w.stub.servers = append(w.stub.servers, w.as)
	w.stub.mu.Unlock()
	return nil
}

// rewriteCredentials gives the gateway's clients at the AS new secrets, and a shared header
// also where there is none: it shows which requests have passed the gateway.
func (r *rewriting) rewriteCredentials(w *workspace, at map[string]any) (err error) {
	if client, _ := at["client"].(map[string]any); client != nil {
		if client["secret"], err = r.newClient(w, w.AuthorizationServer.Client.ID, true); err != nil {
			return err
		}
	}
	provision, _ := at["provision"].(map[string]any)
	if provision["initial_access_token"] != nil {
		w.as.initialAccessToken = rand.Text()
		if provision["initial_access_token"], err = r.secret(w.as.initialAccessToken); err != nil {
			return err
		}
	}
	w.as.clientIDHeader = w.AuthorizationServer.Provision.ClientIDHeader
	w.as.sharedHeader, w.as.sharedSecret = "X-Selftest-Passed", rand.Text()
	if own := w.AuthorizationServer.SharedHeader; own != nil {
		w.as.sharedHeader = own.Name
	}
	placeholder, err := r.secret(w.as.sharedSecret)
	at["shared_header"] = map[string]any{"name": w.as.sharedHeader, "secret": placeholder}
	return err
}

// newClient is a client of the stub with an id of the configuration.
func (r *rewriting) newClient(w *workspace, id string, gateway bool) (placeholder string, err error) {
	c := &stubClient{id: id, secret: rand.Text(), gateway: gateway}
	if known := w.as.clients[id]; known != nil {
		c = known
	}
	w.as.clients[id] = c
	return r.secret(c.secret)
}

func (r *rewriting) rewriteAccessToken(w *workspace, o map[string]any) (err error) {
	part, _ := o["access_token"].(map[string]any)
	client, _ := part["client"].(map[string]any)
	if client == nil {
		return nil
	}
	client["secret"], err = r.newClient(w, w.AccessToken.Client.ID, false)
	w.registrar = w.AccessToken.Client.ID
	return err
}

// rewriteStatements has each directory be a throw-away one of the same issuer.
func (r *rewriting) rewriteStatements(w *workspace, o map[string]any) error {
	for i, part := range objects(o["software_statements"]) {
		of := w.SoftwareStatements[i]
		d, err := r.keys.newDirectory(of, r.claims)
		if err != nil {
			return err
		}
		w.directories = append(w.directories, d)
		for _, name := range []string{"jwks", "proxy"} {
			delete(part, name)
		}
		maps.Copy(part, map[string]any{"jwks_uri": d.address, "jwks_hosts": []any{"127.0.0.1"}, "private_addresses": true, "trust_pool": r.ca.trustPool()})
		place := fmt.Sprintf("%s/software_statements/%d", w.place, i)
		r.instead(place, fmt.Sprintf("the keys of the directory %q, and the way to them and to those of its software", of.Issuer), "a throw-away directory")
		r.keep(place, part, keptStatementMembers...)
	}
	return nil
}

func (r *rewriting) rewriteBodyKeys(w *workspace, o map[string]any) error {
	part, _ := o["signed_request_body"].(map[string]any)
	if part == nil || part["jwks"] == nil && part["jwks_uri"] == nil {
		r.keep(w.place+"/signed_request_body", part, "off")
		return nil
	}
	key, err := newSigningKey(algorithmOf(w.Algorithms))
	if err != nil {
		return err
	}
	w.bodyKey = key
	r.instead(w.place+"/signed_request_body", "the keys that sign requests", "a throw-away key")
	o["signed_request_body"] = map[string]any{"jwks_uri": r.keys.publish("/"+key.id+"/requests.jwks", key.jwk()), "private_addresses": true, "trust_pool": r.ca.trustPool()}
	return nil
}

// rewriteCertificates has the throw-away CA, and its revocation list, stand for the real ones.
func (r *rewriting) rewriteCertificates(w *workspace, o map[string]any) error {
	delete(o, "proxy")
	if header, _ := o["client_certificate_header"].(map[string]any); header != nil {
		r.instead(w.place+"/client_certificate_header/trust_pool", "the CAs of client certificates", "a throw-away CA")
		header["trust_pool"] = r.ca.trustPool()
	}
	if len(w.CRL) == 0 {
		return nil
	}
	name := filepath.Join(r.folder, "revoked.crl")
	r.instead(w.place+"/crl", "the revocation lists", "one list of the throw-away CA")
	o["crl"] = []any{map[string]any{"from": []any{name}}}
	return os.WriteFile(name, r.revoked, 0o600)
}

// checkPolicies refuses languages that may ask others.
func (r *rewriting) checkPolicies(w *workspace, o map[string]any) error {
	for i, p := range objects(o["policies"]) {
		guest, _ := p["policy"].(map[string]any)
		if language, _ := guest["language"].(string); !slices.Contains(keptLanguages, language) {
			return &NotKnownError{fmt.Sprintf("%s/policies/%d", w.place, i), "a policy in the language " + language}
		}
	}
	return nil
}

// describe tells the stub how the workspace uses it.
func (w *workspace) describe() {
	c := w.AuthorizationServer
	w.accept = w.supported()
	w.as.jwt = c.Validate == "jwt" || c.Client == nil
	if w.as.audience = w.issuer; len(c.TokenAudience) > 0 {
		w.as.audience = c.TokenAudience[0]
	}
	w.as.binds = !c.BindAccessTokens && c.TokenEndpointAuth != "bridge"
	form, name := verify.FormRFC9440, ""
	if c.ClientCertificate != nil {
		form, name = c.ClientCertificate.Form, c.ClientCertificate.Name
	}
	w.as.certificate, _ = verify.NewCertificateHeader(form, name) // Caddy says what is wrong with it
	w.as.describe(w.accept, methodsOf(c.TokenEndpointAuth))
}
