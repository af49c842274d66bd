package story

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// Scene is one command of a step and what came of it.
type Scene struct {
	// Command is what a person could type.
	Command string
	// Response is what curl would show, nil for other commands.
	Response *tpp.Response
}

// Play is one telling of the story. Its steps go in order: each needs what the
// ones before it got.
type Play struct {
	*Stage
	// Tell is told every call. Default: nobody is.
	Tell func(Scene)

	discovery                    *tpp.Response
	tokenEndpoint, introspection string
	registrationToken            string
	clientID                     string
	token                        string
}

// Step is one step of the story.
type Step struct {
	Title string
	Run   func(*Play, context.Context) error
}

// call makes a call, tells it, and expects a status, and the error code if there is one.
func (p *Play) call(ctx context.Context, c Call, status int, code string) (*tpp.Response, error) {
	curl, err := p.Curl(c)
	if err != nil {
		return nil, err
	}
	r, err := p.Make(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", curl, err)
	}
	if p.Tell != nil {
		p.Tell(Scene{curl, r})
	}
	if token := r.Text("access_token"); token != "" {
		p.issued = append(p.issued, token)
	}
	if r.Status != status || r.Text("error") != code {
		return nil, fmt.Errorf("got %d %q, want %d %q\n%s\n%s", r.Status, r.Text("error"), status, code, curl, r)
	}
	return r, nil
}

// expect compares members of an answer.
func expect(r *tpp.Response, want map[string]any) error {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got, w := fmt.Sprint(r.JSON[name]), fmt.Sprint(want[name]); got != w {
			return fmt.Errorf("%s is %s, want %s\n%s", name, got, w, r)
		}
	}
	return nil
}

// RegisterAnother registers a client of Acme's with a new token and returns its client_id.
func (p *Play) RegisterAnother(ctx context.Context) (string, error) {
	token, body, err := p.Prepare(ctx)
	if err != nil {
		return "", err
	}
	r, err := p.call(ctx, Call{Method: "POST", URL: p.Register, As: p.Acme, Token: token, Body: body}, 201, "")
	if err != nil {
		return "", err
	}
	return r.Text("client_id"), nil
}

// Prepare gets what a registration of Acme's needs: a token and a signed request.
func (p *Play) Prepare(ctx context.Context) (token, body string, err error) {
	if token, err = p.registrarToken(ctx, "dcr_register"); err != nil {
		return "", "", err
	}
	body, err = p.Acme.Request(nil)
	return token, body, err
}

// Invitation is a registration that was not made: the command for a person to
// make it. Its token and body are new, and good for one registration.
func (p *Play) Invitation(ctx context.Context) (string, error) {
	token, body, err := p.Prepare(ctx)
	if err != nil {
		return "", err
	}
	return p.Curl(Call{Method: "POST", URL: p.Register, As: p.Acme, Token: token, Body: body})
}

// ClientToken gets a token for a client, with the software's certificate.
func (p *Play) ClientToken(ctx context.Context, software *tpp.Software, clientID string) (string, error) {
	form := tpp.ClientCredentials(p.scope)
	form.Set("client_id", clientID)
	r, err := p.call(ctx, Call{Method: "POST", URL: p.ClientTokens(), As: software, Form: form}, 200, "")
	if err != nil {
		return "", err
	}
	return r.Text("access_token"), nil
}

// ClientTokens is where clients get their tokens.
func (p *Play) ClientTokens() string {
	if p.direct {
		return p.AS.URL() + strings.TrimPrefix(p.tokenEndpoint, p.Issuer)
	}
	return p.tokenEndpoint
}

// Learn takes the endpoints from the discovery document: for a play that does
// not begin at the first step.
func (p *Play) Learn(ctx context.Context) error { return p.discover(ctx) }

// Endpoint is a member of the discovery document.
func (p *Play) Endpoint(name string) string { return p.discovery.Text(name) }

// Seen is what the AS was asked since the last reset, but for revocations: the
// gateway makes those when it gets to it.
func (p *Play) Seen(ctx context.Context) ([]authserverprocess.Request, error) {
	all, err := p.AS.Requests(ctx)
	if err != nil {
		return nil, err
	}
	revocation, err := url.Parse(p.Endpoint("revocation_endpoint"))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(r authserverprocess.Request) bool { return r.Path == revocation.Path }), nil
}
