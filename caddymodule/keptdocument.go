package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/gateway"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// documents keeps the last good discovery document in the store, which is open
// only while somebody holds it. They are fetched behind the requests.
type documents struct{ h *Handler }

// Load returns the document of this authorization server (AS), or of an earlier version
// one whose issuer has the path of this AS: that did not note of which AS a document is,
// and an upgrade while the AS is down must not take the whole site down.
func (d documents) Load(ctx context.Context) ([]byte, error) {
	r, err := d.h.app.enterBehind()
	if err != nil {
		return nil, err
	}
	defer d.h.app.Leave()
	document, known, err := d.in(r).Load(ctx)
	if err != nil || known {
		return document, err
	}
	issuer, err := d.issuerOf(document)
	if err != nil {
		return nil, fmt.Errorf("the one in the store was kept by an earlier version, which did not note of which authorization server: %w", err)
	}
	d.h.log.Warn("uses a discovery document that an earlier version has stored without the URL of its authorization server; its issuer has the path of this one",
		slog.String("issuer", issuer), slog.String("url", d.h.AuthorizationServer.URL))
	return document, nil
}

func (d documents) issuerOf(document []byte) (string, error) {
	o, err := strictjson.ParseAnswer(document)
	if err != nil {
		return "", err
	}
	issuer, _, err := o.String("issuer")
	if err != nil {
		return "", fmt.Errorf("issuer %w", err)
	}
	u, err := url.Parse(issuer)
	if err != nil || strings.TrimSuffix(u.EscapedPath(), "/") != strings.TrimSuffix(d.h.issuerPath, "/") {
		return "", fmt.Errorf("its issuer %s has another path than %s", refusal.Quote(issuer), d.h.AuthorizationServer.URL)
	}
	return issuer, nil
}

func (d documents) Save(ctx context.Context, document []byte) error {
	r, err := d.h.app.enterBehind()
	if errors.Is(err, errGone) {
		return nil // the next configuration keeps its own
	}
	if err != nil {
		return err
	}
	defer d.h.app.Leave()
	return d.in(r).Save(ctx, document)
}

// in is the place in a store: the URL in one spelling.
func (d documents) in(r *registry.Registry) registry.Documents {
	return r.Documents(d.h.Workspace, strings.TrimSuffix(gateway.Origin(d.h.AuthorizationServer.URL)+d.h.issuerPath, "/"))
}
