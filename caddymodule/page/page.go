// Package page is the Applications page: what operators see of the registered clients, and
// change of them, in a browser. It has no data of its own: everything is asked for over the
// admin API, package admin.
//
// It brings no authentication. Who may see it is decided in front of it; see Page.
package page

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-dcr/caddy-dcr/caddymodule"
)

func init() {
	caddy.RegisterModule(new(Page))
}

// Page is the directive openbanking_dcr_admin. It does not load where others than operators
// could come to it: it must listen on loopback alone, or behind basic_auth or forward_auth, or
// demand certificates of operators, or the configuration must say ProtectedElsewhere.
//
// A viewer looks, an operator also changes. Behind a login everybody is a viewer who is not
// among the operators; with ClientCertificates nobody is anything who is not listed.
type Page struct {
	// Operators are who may change something: users of basic_auth, or of forward_auth with
	// UserHeader, or with ClientCertificates the subjects of certificates (RFC 4514).
	// Default: nobody.
	Operators []string `json:"operators,omitempty"`

	// Viewers are, with ClientCertificates, who may look, as Operators. Default: nobody.
	Viewers []string `json:"viewers,omitempty"`

	// UserHeader is the header with the name of the user that forward_auth has copied
	// (copy_headers). Default: nobody behind forward_auth has a name, and all are viewers.
	UserHeader string `json:"user_header,omitempty"`

	// RoleHeader is the header with the roles of the user that forward_auth has copied, and
	// OperatorRole the one of them that makes an operator. Roles are separated by commas.
	// Default: Operators alone says who is one.
	RoleHeader   string `json:"role_header,omitempty"`
	OperatorRole string `json:"operator_role,omitempty"`

	// ClientCertificates are those of operators and viewers. Default: none is looked at.
	ClientCertificates *ClientCertificates `json:"client_certificates,omitempty"`

	// ProtectedElsewhere: something in front of Caddy lets operators in alone, a network for
	// instance. All are viewers then. Default: false.
	ProtectedElsewhere bool `json:"protected_elsewhere,omitempty"`

	app     *caddymodule.App
	log     *slog.Logger
	login   caddymodule.Login
	handler http.Handler
}

// CaddyModule returns the module's name.
func (*Page) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.openbanking_dcr_admin", New: func() caddy.Module { return new(Page) }}
}

// name is that of the handler.
const name = "openbanking_dcr_admin"

// Provision finds out what is in front of the page.
func (p *Page) Provision(ctx caddy.Context) error {
	p.log = ctx.Slogger()
	app, err := ctx.App("openbanking_dcr")
	if err != nil {
		return err
	}
	p.app = app.(*caddymodule.App)
	own, err := json.Marshal(p)
	if err != nil {
		return err
	}
	found := false
	if p.login, found, err = caddymodule.LoginBefore(ctx, name, func(module any, raw json.RawMessage) bool { return p.is(module, raw, own) }); err != nil {
		return err
	}
	if !found {
		p.login = caddymodule.Login{} // it cannot be seen how requests come here
	}
	if err := p.ClientCertificates.provision(ctx, p); err != nil {
		return fmt.Errorf("client_certificates: %w", err)
	}
	if err := p.check(); err != nil {
		return err
	}
	p.handler = newServer(func(o operator) API { return inProcess{p.app, o} }, p.log)
	return nil
}

// is tells whether a handler of the configuration is this one, or one like it.
func (p *Page) is(module any, raw, own json.RawMessage) bool {
	if raw == nil {
		other, ok := module.(*Page)
		if !ok {
			return false
		}
		raw, _ = json.Marshal(other)
	}
	one := new(Page)
	if json.Unmarshal(raw, one) != nil {
		return false
	}
	text, err := json.Marshal(one)
	return err == nil && bytes.Equal(text, own)
}

var errUnprotected = errors.New("openbanking_dcr_admin: everybody who can connect would see the page; write basic_auth or forward_auth before it in the same block and without a matcher, or client_certificates in its block, or let the site listen on 127.0.0.1; if something in front of Caddy lets operators in alone, write protected_elsewhere in its block")

// check refuses what would let others in, and what could not work.
func (p *Page) check() error {
	loggedIn := p.login.Authentication || p.login.ForwardAuth
	switch {
	case !loggedIn && !p.login.Local && p.ClientCertificates == nil && !p.ProtectedElsewhere:
		return errUnprotected
	case p.RoleHeader == "" != (p.OperatorRole == ""):
		return errors.New("role_header: give the header, and the role in it that makes an operator")
	case len(p.Operators) > 0 && !loggedIn && p.ClientCertificates == nil:
		return errors.New("operators: nobody is known by a name here; write basic_auth or forward_auth before openbanking_dcr_admin, or client_certificates in its block")
	case len(p.Viewers) > 0 && p.ClientCertificates == nil:
		return errors.New("viewers: is for client_certificates; behind a login everybody who is no operator is a viewer")
	}
	for _, header := range []struct{ word, name string }{{"user_header", p.UserHeader}, {"role_header", p.RoleHeader}} {
		if header.name != "" && !slices.Contains(p.login.Headers, http.CanonicalHeaderKey(header.name)) {
			return fmt.Errorf("%s %s: anybody could send this header; write forward_auth before openbanking_dcr_admin, with copy_headers %s", header.word, header.name, header.name)
		}
	}
	if p.RoleHeader != "" && p.UserHeader == "" {
		return errors.New("role_header: needs user_header too, because the audit trail says who has changed something")
	}
	return nil
}

// ServeHTTP answers everything that comes here.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	if loggedIn := p.login.Authentication || p.login.ForwardAuth; p.login.Local && !loggedIn && p.ClientCertificates == nil && !fromHere(r) {
		return forbid(w, errors.New("the page is for this machine alone: open it as localhost or 127.0.0.1, and through no proxy; to open it from elsewhere, write basic_auth or forward_auth before openbanking_dcr_admin"))
	}
	who, err := p.operator(r)
	if err != nil {
		return forbid(w, err)
	}
	p.handler.ServeHTTP(w, withOperator(r, who))
	return nil
}

// forbid says why there is no page.
func forbid(w http.ResponseWriter, why error) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusForbidden)
	_, err := fmt.Fprintln(w, why)
	return err
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Page)(nil)
	_ caddyhttp.MiddlewareHandler = (*Page)(nil)
)
