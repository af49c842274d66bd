package gateway

import (
	"net/url"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/caddy-dcr/caddy-dcr/authserver"
)

// purpose is what the handler does with a path.
type purpose uint8

const (
	passThrough          purpose = iota // the next handler's
	discovery                           // the AS's document, served from the cache
	registrations                       // POST: register
	registration                        // GET, PUT, DELETE: manage one client
	named                               // an address of the AS that needs nothing: passed on
	endpoint                            // another endpoint of the AS: checked (checksOf), and passed on with the certificate
	hidden                              // 404: the AS's own registration, or another spelling of a path that counts
	clientAuthentication                // an endpoint of the AS where clients authenticate: guarded
	revocation                          // the same, and open to suspended clients
	introspection                       // the same, and its answers are checked
)

// guarded are the AS's endpoints at which clients authenticate, beside revocation
// and introspection.
var guarded = []string{
	"token_endpoint", "pushed_authorization_request_endpoint", "device_authorization_endpoint", "backchannel_authentication_endpoint",
}

// table knows every path that counts, by its normal form. It is made once per
// discovery document.
type table struct {
	metadata *authserver.Metadata
	exact    map[string]route
	// checks are those of the AS's paths, by their normal form.
	checks map[string]checks
	// below are paths whose whole subtree counts.
	below []route
	// endpoints are those where clients authenticate, as they are published: an assertion for
	// this server may name them beside the issuer (RFC 7523 3, OpenID Connect Core 9).
	endpoints []string
	// document is the published discovery document, tag its entity tag.
	document []byte
	tag      string
	// elsewhere: it was asked for at another host, and that was logged.
	elsewhere sync.Once
}

type route struct {
	path    string // the one spelling that is served
	normal  string
	purpose purpose
}

// newTable is the table of a workspace.
func (g *Gateway) newTable(m *authserver.Metadata) *table {
	t := &table{metadata: m, exact: map[string]route{}, checks: map[string]checks{}}
	t.add(g.options.RegisterPath, registrations)
	t.below = append(t.below, route{g.options.RegisterPath, g.options.RegisterPath, registration})
	for _, name := range []string{"openid-configuration", "oauth-authorization-server"} {
		suffix := "/.well-known/" + name
		t.add(strings.TrimSuffix(g.options.IssuerPath, "/")+suffix, discovery)
		t.add(suffix+strings.TrimSuffix(g.options.IssuerPath, "/"), discovery) // RFC 8414 3.1
	}
	// Registration at the AS itself comes last, so that nothing takes its place: under
	// every name that ends so (an mTLS alias, a federation's), by path, whatever its query.
	var own []string
	for _, e := range m.Endpoints {
		if strings.HasSuffix(e.Kind(), "registration_endpoint") && !g.options.ASRegistrationOpen {
			own = append(own, e.Path)
			continue
		}
		p := purposeOf(e.Kind())
		t.add(e.Path, p)
		t.addChecks(e.Path, checksOf(e.Kind()))
		if p >= clientAuthentication {
			t.addAudience(Origin(m.Issuer), e.Path)
			t.addAudience(g.options.MTLSOrigin, e.Path)
		}
	}
	for _, path := range own {
		t.add(path, hidden)
		if normal, err := NormalPath(path); err == nil {
			t.below = append(t.below, route{path, normal, hidden})
		}
	}
	return t
}

// maxKept bounds how many paths are kept of earlier documents.
const maxKept = 256

// keep goes on guarding what an earlier document named: an AS that moves an endpoint
// may answer at its old address too.
func (t *table) keep(before *table) {
	if before == nil {
		return
	}
	for normal, r := range before.exact {
		if _, ok := t.exact[normal]; !ok && (r.purpose >= clientAuthentication || r.purpose == hidden || before.checks[normal] != 0) && len(t.exact) < maxKept {
			t.exact[normal] = r
			t.addChecks(r.path, before.checks[normal])
		}
	}
	for _, r := range before.below {
		if r.purpose == hidden && !slices.Contains(t.below, r) && len(t.below) < maxKept {
			t.below = append(t.below, r)
		}
	}
}

// purposeOf is what the handler does with an endpoint of the AS, by its name.
func purposeOf(name string) purpose {
	switch {
	case name == "jwks_uri": // needs no certificate, and caches should keep it
		return named
	case name == "revocation_endpoint":
		return revocation
	case name == "introspection_endpoint":
		return introspection
	case slices.Contains(guarded, name):
		return clientAuthentication
	}
	return endpoint
}

// addAudience adds an endpoint as it is published at an origin, if there is one.
func (t *table) addAudience(origin, path string) {
	if origin != "" {
		t.endpoints = append(t.endpoints, origin+path)
	}
}

// add sets the path's purpose. Where one path has several, hidden and guarded
// win over what lets more through.
func (t *table) add(path string, p purpose) {
	normal, err := NormalPath(path)
	if err != nil {
		return
	}
	before, ok := t.exact[normal]
	switch {
	case !ok, p == hidden, before.purpose == named, before.purpose == endpoint && p != named:
	case before.purpose < clientAuthentication, p < clientAuthentication:
		return
	default:
		path, p = before.path, stricter(before.purpose, p)
	}
	t.exact[normal] = route{path, normal, p}
}

// stricter is the purpose of a path that is two guarded endpoints.
func stricter(a, b purpose) purpose {
	switch {
	case a == b:
		return a
	case a == introspection || b == introspection:
		return introspection
	}
	return clientAuthentication
}

// find tells what a path is, as it was sent. id is the escaped client_id of a
// registration. A path that an AS might take for one that counts, but is not
// spelt like it, is hidden.
func (t *table) find(path string) (p purpose, id string) {
	normal := path
	if !plain(path) {
		var err error
		if normal, err = NormalPath(path); err != nil {
			return t.withoutNormal(path)
		}
	}
	if r, ok := t.exact[normal]; ok {
		switch {
		case path == r.path:
			return r.purpose, ""
		case r.purpose == named:
			return passThrough, ""
		}
		return hidden, ""
	}
	for _, r := range t.below {
		// As it was sent, too: not every server takes /register/.. for its parent.
		if !Within(normal, r.normal) && !Within(path, r.path) {
			continue
		}
		if r.purpose == hidden {
			return hidden, ""
		}
		id, ok := strings.CutPrefix(path, r.path+"/")
		if !ok || !exactSegment(id) {
			return hidden, ""
		}
		return r.purpose, id
	}
	return passThrough, ""
}

// withoutNormal tells what a path is that has no normal form. A client_id that is not
// UTF-8 is nobody's: whoever asks for one is told so, as for any other that is not theirs.
func (t *table) withoutNormal(path string) (p purpose, id string) {
	for _, r := range t.below {
		id, ok := strings.CutPrefix(path, r.path+"/")
		if !ok || r.purpose != registration || !exactSegment(id) {
			continue
		}
		if text, err := url.PathUnescape(id); err == nil && !utf8.ValidString(text) && !strings.ContainsFunc(text, endsPath) {
			return registration, id
		}
	}
	return hidden, ""
}

// exactSegment tells whether a segment is spelt in the one way that this
// gateway spells it.
func exactSegment(s string) bool {
	text, err := url.PathUnescape(s)
	return err == nil && text != "" && url.PathEscape(text) == s && text != "." && text != ".."
}

// Within tells whether path is base or below it.
func Within(path, base string) bool {
	base = strings.TrimSuffix(base, "/")
	return strings.HasPrefix(path, base) && (len(path) == len(base) || path[len(base)] == '/')
}

// Origin is scheme and host of a URL, lower case.
func Origin(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Scheme + "://" + u.Host)
}
