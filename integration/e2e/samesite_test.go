package e2e_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/directory"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// secondOnSite is another bank with a workspace of its own on the site of the first.
// It returns the Caddyfile of both.
func secondOnSite(t *testing.T, p *story.Play) (other *story.Play, caddyfile string) {
	t.Helper()
	other = bankAt(t, p, siteOf(p))
	directive, proxy := gateway.At("openbanking_dcr default/obuk"), gateway.At("reverse_proxy")
	ours, err := directive.Text(p.Caddyfile)
	if err != nil {
		t.Fatal(err)
	}
	toOurs, err := proxy.Text(p.Caddyfile)
	if err != nil {
		t.Fatal(err)
	}
	return other, edited(t, p.Caddyfile, directive.After(forOther(p, other, ours)), proxy.Wrap("handle"),
		gateway.At("handle").Before("handle "+otherPrefix+"/* {", forOther(p, other, toOurs), "}"))
}

// TestTwoWorkspacesOnOneSite: each answers under its own paths, its clients are unknown
// to the other, and its AS gets their certificates through the other's guard.
func TestTwoWorkspacesOnOneSite(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	other, both := secondOnSite(t, p)
	if err := p.Reload(t.Context(), both); err != nil {
		t.Fatal(err)
	}
	if err := other.Learn(t.Context()); err != nil {
		t.Fatal(err)
	}
	id, token := registered(t, p)
	otherID, otherToken := registered(t, other)
	if err := errors.Join(reads(t.Context(), p, id), reads(t.Context(), other, otherID)); err != nil {
		t.Error(err)
	}
	areStrangers(t, p, id, token, other, otherID, otherToken)
	useOneRequest(t, p, other)
	for _, c := range []struct {
		at      *story.Play
		id, own string
	}{{p, id, otherID}, {other, otherID, id}} {
		// Nobody but the client itself gets a token; an id of the other workspace is the
		// AS's business, which knows none.
		r, err := c.at.Client(c.at.Other).Token(t.Context(), c.at.Endpoint("token_endpoint"), tpp.ClientCredentials(""), tpp.TLSClientAuth(c.id))
		answered(t, r, err, 401, "invalid_client")
		r, err = c.at.Client(c.at.Acme).Token(t.Context(), c.at.Endpoint("token_endpoint"), tpp.ClientCredentials(""), tpp.TLSClientAuth(c.own))
		if err != nil || r.Status != http.StatusUnauthorized || r.Text("error") != "invalid_client" {
			t.Errorf("got %v, %v, want 401 invalid_client", r, err)
		}
		if hidden, err := c.at.InternalRegistration(t.Context()); err != nil {
			t.Error(err)
		} else if r, err := c.at.Client(c.at.Acme).Do(t.Context(), http.MethodPost, siteOf(p)+hidden, nil, []byte("{}")); err != nil || r.Status != 404 {
			t.Errorf("the registration of %s: %v, %v, want 404", c.at.Issuer, r, err)
		}
	}
	// One of the two goes and comes back.
	if err := p.Reload(t.Context(), p.Caddyfile); err != nil {
		t.Fatal(err)
	}
	if err := reads(t.Context(), p, id); err != nil {
		t.Error(err)
	}
	if err := p.Reload(t.Context(), both); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(reads(t.Context(), p, id), reads(t.Context(), other, otherID)); err != nil {
		t.Error(err)
	}
}

// TestSiteWithSeveralAddresses: one workspace under two names is one workspace. Its
// discovery document names the issuer's.
func TestSiteWithSeveralAddresses(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	site := siteOf(p)
	second := strings.Replace(site, "localhost", "matls.bank.example", 1)
	certificate, err := p.Directory.ServerCertificate("matls.bank.example")
	if err != nil {
		t.Fatal(err)
	}
	file, key, err := directory.WriteCertificate(p.Dir, "both", certificate)
	if err != nil {
		t.Fatal(err)
	}
	reload(t, p, gateway.At(site).Rename(site+",", second), gateway.At("tls").Set(file, key))
	there := func(url string) string { return strings.Replace(url, site, second, 1) }
	options := p.ClientOptions()
	options.Address = strings.TrimPrefix(site, "https://") // its name does not resolve
	client, stranger := p.Acme.Client(options), p.Other.Client(options)
	t.Cleanup(client.Close)
	t.Cleanup(stranger.Close)

	r, err := client.Discover(t.Context(), there(p.Issuer))
	if err != nil || r.Status != 200 || r.Text("registration_endpoint") != p.Register || r.Text("issuer") != p.Issuer {
		t.Errorf("got %v, %v, want 200, the registration endpoint %s and the issuer %s", r, err, p.Register, p.Issuer)
	}
	token, body, err := p.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r, err = client.Register(t.Context(), there(p.Register), token, body)
	id := answered(t, r, err, 201, "").Text("client_id")
	if err := reads(t.Context(), p, id); err != nil {
		t.Errorf("registered at one address, read at the other: %v", err)
	}
	_, again, err := p.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r, err = p.Client(p.Acme).Register(t.Context(), p.Register, token, again)
	answered(t, r, err, 401, "invalid_token") // used up at both
	r, err = client.Token(t.Context(), there(p.Endpoint("token_endpoint")), tpp.ClientCredentials(""), tpp.TLSClientAuth(id))
	answered(t, r, err, 200, "")
	r, err = client.Read(t.Context(), there(p.Register), id, r.Text("access_token"))
	answered(t, r, err, 200, "")
	r, err = stranger.Token(t.Context(), there(p.Endpoint("token_endpoint")), tpp.ClientCredentials(""), tpp.TLSClientAuth(id))
	answered(t, r, err, 401, "invalid_client")
}
