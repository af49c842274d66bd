package selftest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// step notes a step of the story, and tells whether the next one makes sense.
func (p *play) step(ctx context.Context, name, clause string, status int, r *reply, err error, wrong ...string) (bool, error) {
	if err := interrupted(ctx, err); err != nil {
		return false, err
	}
	wrong = slices.DeleteFunc(wrong, func(text string) bool { return text == "" })
	ok := err == nil && r.status == status && len(wrong) == 0
	p.row("story", name, clause, strconv.Itoa(status), r, err, ok, wrong...)
	return ok, nil
}

// playStory registers clients by each method, and leaves two of them.
func (p *play) playStory(ctx context.Context) error {
	p.tell("the story of workspace " + p.Workspace)
	r, err := p.call(ctx, call{method: http.MethodGet, path: p.as.path + "/.well-known/openid-configuration", host: p.host})
	wrong := ""
	if err == nil && r.text("issuer") != p.issuer {
		wrong = fmt.Sprintf("issuer is %q, want %q", r.text("issuer"), p.issuer)
	}
	if _, err := p.step(ctx, "discovery document, without a certificate", "OpenID Connect Discovery 4, RFC 8414 3", http.StatusOK, r, err, wrong); err != nil {
		return err
	}
	if p.Registration == "off" {
		p.leaveOut("the story", "registration off: no client can be registered")
		return nil
	}
	ownKey, err := newSigningKey(algorithmOf(p.Algorithms))
	if err != nil {
		return err
	}
	otherKey, err := newSigningKey(algorithmOf(p.Algorithms))
	if err != nil {
		return err
	}
	for _, method := range p.accept.AuthMethods {
		if method == "private_key_jwt" && !p.needsStatement() {
			p.leaveOut("register with private_key_jwt", "software_statement off: nothing names the keys of the software")
			continue
		}
		c, err := p.register(ctx, p.home, "Selftest "+method, method, ownKey)
		if err != nil {
			return err
		}
		if c == nil {
			continue
		}
		if err := p.manage(ctx, c); err != nil {
			return err
		}
		p.byMethod[method] = c
		if p.acme == nil {
			p.acme = c
		}
	}
	for _, d := range p.directories {
		if d == p.home {
			continue
		}
		c, err := p.register(ctx, d, "Selftest "+d.configured.Issuer, p.accept.AuthMethods[0], ownKey)
		if err == nil && c != nil {
			err = p.end(ctx, c)
		}
		if err != nil {
			return err
		}
	}
	if p.acme != nil && p.home.claims["software_id"] == nil {
		p.other, err = p.register(ctx, p.home, "Selftest of another TPP", p.acme.method, otherKey)
	}
	return err
}

// register registers new software; nil where that was refused.
func (p *play) register(ctx context.Context, d *directory, name, method string, key *signingKey) (*client, error) {
	s, err := d.enrol(name, key)
	if err != nil {
		return nil, err
	}
	token := ""
	if p.needsToken() {
		if token, err = p.workspace.token(nil); err != nil {
			return nil, err
		}
	}
	a := p.attempt(s, method, token)
	r, err := a.send(ctx)
	ok, err := p.step(ctx, "register with "+method+" ("+name+")", "RFC 7591 3, Open Banking DCR", http.StatusCreated, r, err)
	if err != nil || !ok {
		return nil, err
	}
	c := &client{
		software: s, id: r.text("client_id"), method: method, secret: r.text("client_secret"), accessToken: r.text("registration_access_token"),
		usedToken: token, usedBody: string(a.body),
	}
	return c, p.approve(ctx, c)
}

// manage has a client get a token, read its registration and change it.
func (p *play) manage(ctx context.Context, c *client) error {
	r, err := p.clientToken(ctx, c)
	wrong := ""
	if err == nil && r.status == http.StatusOK && r.text("access_token") == "" {
		wrong = "the answer has no access_token: does a reverse_proxy of the site send to the authorization server?"
	}
	ok, err := p.step(ctx, "token with "+c.method, "RFC 6749 4.4, RFC 8705 2, RFC 7523 2.2", http.StatusOK, r, err, wrong)
	if err != nil || !ok {
		return err
	}
	token, at := r.text("access_token"), p.registerPath()+"/"+url.PathEscape(c.id)
	if !p.manages(http.MethodGet) {
		p.leaveOut("read its registration", "management without GET")
	} else {
		r, err := p.call(ctx, call{method: http.MethodGet, path: at, certificate: c.transport, header: bearer(token)})
		wrong := ""
		if err == nil && r.status == http.StatusOK && r.text("client_id") != c.id {
			wrong = "the answer is about another client_id"
		}
		if _, err := p.step(ctx, "read its registration, "+c.method, "RFC 7592 2.1", http.StatusOK, r, err, wrong); err != nil {
			return err
		}
	}
	if c.accessToken != "" && p.manages(http.MethodGet) {
		r, err := p.call(ctx, call{method: http.MethodGet, path: at, certificate: c.transport, header: bearer(c.accessToken)})
		if _, err := p.step(ctx, "read it with the registration access token, "+c.method, "RFC 7592 2.1", http.StatusOK, r, err); err != nil {
			return err
		}
	}
	if !p.manages(http.MethodPut) {
		p.leaveOut("change its registration", "management without PUT")
		return nil
	}
	a := p.attempt(c.software, c.method, token)
	a.method, a.path = http.MethodPut, at
	a.claims["response_types"] = []string{"code"}
	r, err = a.send(ctx)
	wrong = ""
	if err == nil && r.status == http.StatusOK {
		if raw, _ := json.Marshal(r.json["response_types"]); string(raw) != `["code"]` {
			wrong = "the answer has other response_types than the request"
		}
		if secret := r.text("client_secret"); secret != "" {
			c.secret = secret
		}
		if token := r.text("registration_access_token"); token != "" {
			c.accessToken = token
		}
	}
	_, err = p.step(ctx, "change its registration, "+c.method, "RFC 7592 2.2", http.StatusOK, r, err, wrong)
	return err
}

// end deletes a client, which gets no token from then on.
func (p *play) end(ctx context.Context, c *client) error {
	if !p.manages(http.MethodDelete) {
		p.leaveOut("delete its registration", "management without DELETE")
		return nil
	}
	r, err := p.clientToken(ctx, c)
	if err := interrupted(ctx, err); err != nil {
		return err
	}
	if err != nil || r.text("access_token") == "" {
		_, err := p.step(ctx, "token to delete "+c.name, "RFC 6749 4.4", http.StatusOK, r, err)
		return err
	}
	at := p.registerPath() + "/" + url.PathEscape(c.id)
	r, err = p.call(ctx, call{method: http.MethodDelete, path: at, certificate: c.transport, header: bearer(r.text("access_token"))})
	wrong := ""
	if slices.Contains(p.as.registered(), c.id) {
		wrong = "the authorization server still has the client"
	}
	ok, err := p.step(ctx, "delete its registration ("+c.name+")", "RFC 7592 2.3", http.StatusNoContent, r, err, wrong)
	if err != nil || !ok {
		return err
	}
	r, err = p.clientToken(ctx, c)
	_, err = p.step(ctx, "no token once it is deleted ("+c.name+")", "RFC 6749 5.2", http.StatusUnauthorized, r, err)
	return err
}

// ended are the clients that are still registered.
func (p *play) ended() (list []*client) {
	for _, method := range p.accept.AuthMethods {
		if c := p.byMethod[method]; c != nil {
			list = append(list, c)
		}
	}
	if p.other != nil {
		list = append(list, p.other)
	}
	return list
}

// finish shows that no hostile request has left anything, and ends the clients.
func (p *play) finish(ctx context.Context) error {
	if p.acme == nil {
		return nil
	}
	if p.token != "" {
		s, err := p.home.enrol("Selftest after the hostile requests", p.acme.signing)
		if err != nil {
			return err
		}
		a := p.attempt(s, p.acme.method, p.token)
		r, err := a.send(ctx)
		ok, err := p.step(ctx, "the token of the refused requests still registers", "protocol: a refusal must not burn the token", http.StatusCreated, r, err)
		if err != nil {
			return err
		}
		if ok {
			c := &client{software: s, id: r.text("client_id"), method: p.acme.method, secret: r.text("client_secret")}
			if err := errors.Join(p.approve(ctx, c), p.end(ctx, c)); err != nil {
				return err
			}
		}
	}
	for _, c := range p.ended() {
		if err := p.end(ctx, c); err != nil {
			return err
		}
	}
	left := p.as.registered()
	ok := len(left) == 0 || !p.manages(http.MethodDelete)
	row := Row{Workspace: p.Workspace, Kind: "story", Name: "nothing is left at the authorization server", Clause: "RFC 7592 2.3", Expected: "no client", Got: "no client", OK: ok}
	if len(left) > 0 {
		row.Got = strings.Join(left, " ")
	}
	p.report.Rows = append(p.report.Rows, row)
	return nil
}
