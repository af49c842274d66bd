package story

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/directory"
)

// refusal is a registration that must not be.
type refusal struct {
	name   string
	status int
	code   string
	// says is in the error_description: the rule that was broken.
	says string
	make func(*Play, *Call) error
}

// with changes claims of an otherwise good request.
func with(overrides map[string]any) func(*Play, *Call) error {
	return func(p *Play, c *Call) (err error) {
		c.Body, err = p.Acme.Request(overrides)
		return err
	}
}

func statement(f func(*Play) (string, error)) func(*Play, *Call) error {
	return func(p *Play, c *Call) error {
		ssa, err := f(p)
		if err != nil {
			return err
		}
		return with(map[string]any{"software_statement": ssa})(p, c)
	}
}

var refusals = []refusal{
	{"an expired body", 400, "invalid_client_metadata", "exp:", func(p *Play, c *Call) error {
		now := time.Now()
		return with(map[string]any{"iat": now.Add(-2 * time.Hour).Unix(), "exp": now.Add(-time.Hour).Unix()})(p, c)
	}},
	{"another iss than the software's", 400, "invalid_client_metadata", "iss:", with(map[string]any{"iss": "somebodyElse"})},
	{"a body signed with another key", 400, "invalid_client_metadata", "signature", func(p *Play, c *Call) error {
		claims, err := p.Acme.RequestClaims(nil)
		if err != nil {
			return err
		}
		key, err := directory.NewKey("PS256")
		if err != nil {
			return err
		}
		c.Body, err = key.Sign(claims, map[string]any{"kid": p.Acme.Signing.ID})
		return err
	}},
	{"a software statement signed with another key", 400, "invalid_software_statement", "signature", statement(func(p *Play) (string, error) {
		key, err := directory.NewKey("PS256")
		if err != nil {
			return "", err
		}
		return key.Sign(p.Acme.StatementClaims(nil), map[string]any{"kid": p.Directory.Signing.ID})
	})},
	{"a software statement of an unknown issuer", 400, "unapproved_software_statement", "issuer", statement(func(p *Play) (string, error) {
		return p.Stranger.Statement(nil)
	})},
	{"a redirect URI outside the software statement", 400, "invalid_redirect_uri", "redirect_uris:",
		with(map[string]any{"redirect_uris": []string{"https://tpp.example/callback", "https://tpp.example/elsewhere"}})},
	{"response_types id_token and token", 400, "invalid_client_metadata", "response_types:", with(map[string]any{"response_types": []string{"id_token", "token"}})},
	{"a DN that is not the certificate's", 400, "invalid_client_metadata", "tls_client_auth_subject_dn:",
		with(map[string]any{"tls_client_auth_subject_dn": "CN=somebody,O=Acme Ltd,C=GB"})},
	{"no client certificate", 401, "invalid_client", "client certificate", func(_ *Play, c *Call) error { c.As = nil; return nil }},
	{"no token", 401, "invalid_token", "access token", func(_ *Play, c *Call) error { c.Token = ""; return nil }},
	{"a token without the scope", 403, "insufficient_scope", "dcr_register", func(p *Play, c *Call) error { c.Token = p.token; return nil }},
	{"JSON instead of a signed body", 415, "invalid_request", "Content-Type:", func(p *Play, c *Call) error {
		claims, err := p.Acme.RequestClaims(nil)
		if err != nil {
			return err
		}
		raw, err := json.Marshal(claims)
		c.Body, c.ContentType = string(raw), "application/json"
		return err
	}},
	{"a body of 1 MiB", 413, "invalid_request", "larger", func(_ *Play, c *Call) error { c.Body = strings.Repeat("a", 1<<20); return nil }},
}

// refusals: each is told which rule it broke, and nothing of it stays anywhere.
func (p *Play) refusals(ctx context.Context) error {
	before, err := p.AS.Clients(ctx)
	if err != nil {
		return err
	}
	token, err := p.registrarToken(ctx, "dcr_register")
	if err != nil {
		return err
	}
	if err := p.AS.ResetRequests(ctx); err != nil {
		return err
	}
	body, err := p.Acme.Request(nil)
	if err != nil {
		return err
	}
	for _, r := range refusals {
		c := Call{Method: "POST", URL: p.Register, As: p.Acme, Token: token, Body: body}
		if err := r.make(p, &c); err != nil {
			return err
		}
		answer, err := p.call(ctx, c, r.status, r.code)
		if err == nil && !strings.Contains(answer.Text("error_description"), r.says) {
			err = fmt.Errorf("the description does not name the rule (%s): %s", r.says, answer.Text("error_description"))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	created, err := p.AS.RequestsTo(ctx, "POST", "/reg")
	if err != nil {
		return err
	}
	after, err := p.AS.Clients(ctx)
	if err != nil {
		return err
	}
	if len(created) > 0 || len(after) != len(before) {
		return fmt.Errorf("the authorization server was asked to register %d times and has %d clients", len(created), len(after))
	}
	return p.stillGood(ctx, token, body)
}

// stillGood: no refusal burnt the token, nor the jti of the request. The
// registration that shows it ends at once.
func (p *Play) stillGood(ctx context.Context, token, body string) error {
	r, err := p.call(ctx, Call{Method: "POST", URL: p.Register, As: p.Acme, Token: token, Body: body}, 201, "")
	if err != nil {
		return err
	}
	id := r.Text("client_id")
	management, err := p.ClientToken(ctx, p.Acme, id)
	if err != nil {
		return err
	}
	_, err = p.call(ctx, Call{Method: "DELETE", URL: p.Register + "/" + id, As: p.Acme, Token: management}, 204, "")
	return err
}

// hidden asks for the AS's own registration endpoint in ways that real servers
// answer to.
func (p *Play) hidden(ctx context.Context) error {
	internal, err := p.InternalRegistration(ctx)
	if err != nil {
		return err
	}
	if err := p.AS.ResetRequests(ctx); err != nil {
		return err
	}
	origin, base := strings.TrimSuffix(p.Issuer, Prefix), strings.TrimPrefix(internal, Prefix)
	for _, path := range []string{
		Prefix + base,
		Prefix + strings.ToUpper(base),
		Prefix + base + "/",
		Prefix + "//" + strings.TrimPrefix(base, "/"),
		Prefix + "/./x/.." + base,
		Prefix + "/%" + fmt.Sprintf("%02x", base[1]) + base[2:],
		Prefix + base + ";v=1",
		Prefix + base + "/" + p.clientID,
	} {
		c := Call{Method: "POST", URL: origin + path, As: p.Acme, Body: `{"redirect_uris":["https://tpp.example/callback"]}`, ContentType: "application/json"}
		if _, err := p.call(ctx, c, 404, "invalid_request"); err != nil {
			return err
		}
	}
	return p.none(ctx)
}

// none holds that the AS was asked nothing since the last reset.
func (p *Play) none(ctx context.Context) error {
	seen, err := p.Seen(ctx)
	if err == nil && len(seen) > 0 {
		err = fmt.Errorf("the authorization server saw %s %s", seen[0].Method, seen[0].Path)
	}
	return err
}

// InternalRegistration is the path of the AS's own registration endpoint, from
// its own document.
func (p *Play) InternalRegistration(ctx context.Context) (string, error) {
	r, err := p.anonymous.Discover(ctx, p.AS.URL())
	if err != nil {
		return "", err
	}
	u, err := url.Parse(r.Text("registration_endpoint"))
	if err == nil && u.Path == "" {
		err = errors.New("the authorization server names no registration endpoint")
	}
	if err != nil {
		return "", err
	}
	return u.Path, nil
}

// Eventually repeats a check that something else will make true.
func Eventually(ctx context.Context, within time.Duration, check func() error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	pause := 20 * time.Millisecond
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
			pause = min(pause+pause/4, time.Second) // a long wait leaves the processor to what it waits for
		}
	}
}
