package caddymodule

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// probes are what is tried of a workspace: its authorization server (AS) and each jwks_uri,
// and more, once the AS is known: the gateway's own clients there.
func (h *Handler) probes() (list []*probe, more func(context.Context) []*probe) {
	list = []*probe{h.probeServer()}
	for _, s := range h.SoftwareStatements {
		if s != nil && s.keys != nil {
			list = append(list, s.keys.probe(fmt.Sprintf("software_statement %q", s.Issuer)))
		}
	}
	if s := h.SignedRequestBody; s != nil && s.keys != nil {
		list = append(list, s.keys.probe("signed_request_body"))
	}
	known := map[string]*probe{}
	return list, func(ctx context.Context) []*probe {
		m, err := h.as.Metadata(ctx)
		if err != nil {
			return nil
		}
		clients := []*probe{} // not nil: there may be none to try
		for _, c := range h.as.ClientProbes(m) {
			at := c.ID + " " + c.URL
			if known[at] == nil {
				known[at] = h.probeClient(c)
			}
			clients = append(clients, known[at])
		}
		return clients
	}
}

func (h *Handler) probeServer() *probe {
	return &probe{
		name: "authorization_server", url: strings.TrimSuffix(h.AuthorizationServer.URL, "/") + "/.well-known/openid-configuration",
		problem: "cannot use the authorization server's discovery document",
		first:   probeServerAgain,
		run: func(ctx context.Context) error {
			err := h.as.ProbeDiscovery(ctx)
			var unfit *authserver.UnfitError
			if err != nil && !errors.As(err, &unfit) {
				return err
			}
			if unfit != nil {
				return &authserver.UnfitError{Lacks: append(slices.Clone(unfit.Lacks), h.checkDocument(unfit.Metadata)...), Metadata: unfit.Metadata}
			}
			m, err := h.as.Metadata(ctx)
			if err != nil {
				return err
			}
			if lacks := h.checkDocument(m); len(lacks) > 0 {
				return &authserver.UnfitError{Lacks: lacks, Metadata: m}
			}
			return nil
		},
		cure: func(err error) string {
			var unfit *authserver.UnfitError
			if !errors.As(err, &unfit) {
				return cureOf(err, "authorization_server")
			}
			var cures []string
			for _, one := range unfit.Lacks {
				if cure := cureOf(one, "authorization_server"); !slices.Contains(cures, cure) {
					cures = append(cures, cure)
				}
			}
			return strings.Join(cures, "; ")
		},
	}
}

// misfit is what of a document cannot be right for this configuration, with its cure and
// the name of its check.
type misfit struct{ what, cure, check string }

func (m *misfit) Error() string { return m.what }

// checkDocument checks the AS's document against the configuration.
func (h *Handler) checkDocument(m *authserver.Metadata) (lacks []error) {
	issuer, err := url.Parse(m.Issuer)
	if err != nil {
		return []error{err}
	}
	published := h.issuerPath
	if len(h.hosts) > 0 {
		published = "https://" + h.hosts[0] + published
	}
	if strings.TrimSuffix(issuer.EscapedPath(), "/") != strings.TrimSuffix(h.issuerPath, "/") ||
		len(h.hosts) > 0 && !slices.ContainsFunc(h.hosts, func(host string) bool { _, ok := meet(host, strings.ToLower(issuer.Hostname())); return ok }) {
		lacks = append(lacks, &misfit{
			fmt.Sprintf("the issuer %s is not the address under which this site publishes the workspace", refusal.Quote(m.Issuer)),
			"give the authorization server the public URL of this site as issuer (" + published + "), or correct the site's address or the path of authorization_server",
			"as-issuer",
		})
	}
	if m.Path("registration_endpoint") == "" && h.Registration != "off" {
		lacks = append(lacks, &misfit{
			"the document names no registration_endpoint of the authorization server's own origin: no client can be registered",
			"switch dynamic client registration on at the authorization server, or write registration off",
			"as-registration-missing",
		})
	}
	return lacks
}

func (h *Handler) probeClient(c authserver.ClientProbe) *probe {
	return &probe{
		name: "client", url: c.URL,
		problem: "cannot use the gateway's client at the authorization server", subject: []any{slog.String("client_id", c.ID)},
		run: func(ctx context.Context) error {
			err := h.as.ProbeClient(ctx, c)
			if errors.Is(err, authserver.ErrNoAnswer) {
				return errUndecided // an outage, which the probe of the server tells of
			}
			return err
		},
		cure: func(err error) string {
			switch {
			case errors.Is(err, authserver.ErrMayNot):
				return "let client " + c.ID + " introspect the tokens of all clients at the authorization server"
			case errors.Is(err, authserver.ErrNoEndpoint):
				return "correct introspection_endpoint or revocation_endpoint in authorization_server, or what the discovery document names"
			}
			return "compare client " + c.ID + " and its secret with what the authorization server has; the gateway authenticates by client_secret_basic"
		},
	}
}

// probedKeys is a jwks_uri that is tried.
type probedKeys struct {
	client *jwks.Client
	url    string
}

func newProbedKeys(client *jwks.Client, url string) *probedKeys {
	if url == "" {
		return nil
	}
	return &probedKeys{client, url}
}

// probe fetches the keys apart from those in use: a failure here is nobody's request.
func (k *probedKeys) probe(of string) *probe {
	return &probe{
		name: "directory", url: k.url, problem: "cannot use the keys at a jwks_uri", subject: []any{slog.String("jwks_uri_of", of)}, first: probeServerAgain,
		run: func(ctx context.Context) error {
			res, err := k.client.Get(ctx, k.url)
			if err != nil {
				return err
			}
			_, err = verify.ParseJWKS(res.Body)
			return err
		},
		cure: func(err error) string {
			cure := cureOf(err, "jwks_uri of "+of)
			if k.client.Proxied() && errors.As(err, new(x509.UnknownAuthorityError)) {
				cure += "; if it is the proxy's, have the proxy pass TLS to this host through"
			}
			return cure
		},
	}
}
