package admin

import (
	"crypto/x509"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/dn"
)

// act is what a change has beside what it changes: the reason and the operator, and the entity
// tag of what the operator has seen. A page of another site can send none of it: neither the
// media type nor If-Match goes without the leave of the server that is asked (CORS).
func (c *call) act() (registry.Act, error) {
	match, err := c.match()
	if err != nil {
		return registry.Act{}, err
	}
	act, err := c.said()
	act.Match = match
	return act, err
}

// said is the reason and the operator alone.
func (c *call) said() (act registry.Act, err error) {
	if kind, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return act, failed(http.StatusUnsupportedMediaType, errors.New("Content-Type: send application/json"))
	}
	in, err := c.body("reason", "operator", "local_user")
	if err != nil {
		return act, err
	}
	act.Reason = in["reason"]
	if act.Operator, err = c.operator(in["operator"], in["local_user"]); err != nil {
		return act, err
	}
	if err := act.Check(); err != nil {
		return act, badRequest("%w", err)
	}
	return act, nil
}

// match is the entity tag that the change is for (RFC 9110 13.1.1, RFC 6585 3).
func (c *call) match() (string, error) {
	fields := c.r.Header.Values("If-Match")
	if len(fields) == 0 {
		return "", failed(http.StatusPreconditionRequired, errors.New("If-Match is missing: read this with GET, and send the ETag of that answer"))
	}
	tag := fields[0]
	if len(fields) > 1 || len(tag) < 2 || len(tag) > 100 || tag[0] != '"' || strings.IndexByte(tag[1:], '"') != len(tag)-2 {
		return "", badRequest("If-Match: send the one ETag of the answer to GET, with its quotes")
	}
	return tag, nil
}

// operator is who makes the change: the holder of the certificate that the admin API has been
// shown, or else who the body says. Caddy's admin API takes a certificate only where it
// demands one, and checks its key itself.
func (c *call) operator(declared, local string) (registry.Operator, error) {
	switch {
	case c.by != nil:
		return *c.by, nil
	case c.r.TLS != nil && len(c.r.TLS.PeerCertificates) > 0:
		// Whoever has a listed certificate may be able to issue others, with any name: only the
		// name in one that is listed itself is proven.
		if !slices.ContainsFunc(c.r.TLS.VerifiedChains, func(chain []*x509.Certificate) bool { return len(chain) == 1 }) {
			return registry.Operator{}, failed(http.StatusForbidden, errors.New("your certificate is not itself among the public_keys of the admin API's access_control; list it there, or connect with one that is"))
		}
		name, err := subject(c.r.TLS.PeerCertificates[0])
		return registry.Operator{Name: name, Known: registry.ByOperatorCertificate}, err
	case declared != "" && local != "":
		return registry.Operator{}, badRequest("operator and local_user: send one of them")
	case local != "":
		return registry.Operator{Name: local, Known: registry.ByLocalUser}, nil
	}
	return registry.Operator{Name: declared, Known: registry.ByDeclaration}, nil
}

func subject(cert *x509.Certificate) (string, error) {
	name, err := dn.ParseSubject(cert.RawSubject)
	if err == nil && len(name) == 0 {
		err = errors.New("it is empty")
	}
	if err != nil {
		return "", failed(http.StatusForbidden, fmt.Errorf("the subject of your certificate cannot be recorded: %w", err))
	}
	return name.String(), nil
}

// workspace is that of the call. It may be left out where there is one.
func (c *call) workspace() (string, error) {
	name, err := c.anyWorkspace()
	if err == nil {
		err = c.configured(name)
	}
	return name, err
}

// anyWorkspace is workspace, for what may also be left of one that is not configured any more.
func (c *call) anyWorkspace() (string, error) {
	if name, given := c.parameters["workspace"]; given {
		return name, nil
	}
	names := c.app.Workspaces()
	if len(names) != 1 {
		return "", badRequest("workspace is missing; there are %s", strings.Join(names, ", "))
	}
	return names[0], nil
}
