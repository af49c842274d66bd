package e2e_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// TestChallenges: which 401 or 403 a request gets for its token, and what its
// WWW-Authenticate says, letter for letter.
func TestChallenges(t *testing.T) {
	once(t, story.Options{}, func(t *testing.T, p *story.Play) {
		id, own := registered(t, p)
		token, body, err := p.Prepare(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		used, again, err := p.Prepare(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r, err := p.Client(p.Acme).Register(t.Context(), p.Register, used, again)
		answered(t, r, err, 201, "")
		if again, err = p.Acme.Request(nil); err != nil {
			t.Fatal(err)
		}
		// A token that is tried on a client which is not its own ends.
		tried, _, err := p.Prepare(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		bad := row{401, "invalid_token", tokenInvalid, "access token: "}
		for _, c := range []struct {
			name          string
			authorization []string
			register      row
			manage        row
		}{
			{"no header", nil, noToken, noToken},
			{"empty header", []string{""}, bad, notYours},
			{"scheme alone", []string{"Bearer"}, bad, notYours},
			{"empty token", []string{"Bearer "}, bad, notYours},
			{"unknown token", []string{"Bearer nobody-knows-it"}, bad, notYours},
			{"JWT of somebody else", []string{"Bearer eyJhbGciOiJQUzI1NiJ9.e30.c2ln"}, bad, notYours},
			{"Basic", []string{"Basic " + basic("registrar", "guess")}, bad, notYours},
			{"another scheme", []string{"DPoP " + token}, bad, notYours},
			{"two headers", []string{"Bearer " + token, "Bearer " + own}, bad, notYours},
			{"used up", []string{"Bearer " + used}, bad, notYours},
			{"without the scope", []string{"Bearer " + own}, row{403, "insufficient_scope", scopeMissing, "access token: it lacks the scope dcr_register"}, row{}},
			{"with the scope", []string{"Bearer " + tried}, row{}, notYours},
		} {
			send := func(method, url, body string) (*tpp.Response, error) {
				header := http.Header{"Content-Type": {"application/jose"}}
				if c.authorization != nil {
					header["Authorization"] = c.authorization
				}
				return p.Client(p.Acme).Do(t.Context(), method, url, header, []byte(body))
			}
			t.Run(c.name, func(t *testing.T) {
				if c.register.status != 0 {
					r, err := send(http.MethodPost, p.Register, again)
					if err := c.register.isIn(p, r, err); err != nil {
						t.Errorf("POST: %v", err)
					}
				}
				for _, method := range []string{"GET", "PUT", "DELETE"} {
					if c.manage.status == 0 {
						continue
					}
					r, err := send(method, p.Register+"/"+id, again)
					if err := c.manage.isIn(p, r, err); err != nil {
						t.Errorf("%s: %v", method, err)
					}
				}
			})
		}
		// In the form of RFC 6750 2.2 or 2.3 a token is none.
		r, err = p.Client(p.Acme).Do(t.Context(), http.MethodGet, p.Register+"/"+id+"?access_token="+url.QueryEscape(own), nil, nil)
		if err := noToken.isIn(p, r, err); err != nil {
			t.Error(err)
		}
		// Beside the header it is in two places.
		r, err = p.Client(p.Acme).Register(t.Context(), p.Register+"?access_token="+url.QueryEscape(token), token, body)
		answered(t, r, err, 401, "invalid_token")
		r, err = p.Client(p.Acme).Register(t.Context(), p.Register, token, body)
		answered(t, r, err, 201, "")
		r, err = p.Client(p.Acme).Read(t.Context(), p.Register, id, own)
		answered(t, r, err, 200, "")
	})
}

// TestWhoIsThere: an unknown client, somebody else's, a deleted one and one that
// cannot be are answered alike, to the last byte of header and body, for every
// method; and so is the right one with another certificate or another token.
func TestWhoIsThere(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	var ids, tokens []string
	for range 3 {
		id, token := registered(t, p)
		ids, tokens = append(ids, id), append(tokens, token)
	}
	mine, foreign, deleted := ids[0], ids[1], ids[2]
	if r, err := p.Client(p.Acme).Delete(t.Context(), p.Register, deleted, tokens[2]); err != nil || r.Status != 204 {
		t.Fatal(r, err)
	}
	_, body, err := p.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// A token that was tried on another client is refused from then on: a new one each time.
	newToken := func(whose string) string {
		switch whose {
		case "mine":
			whose = mine
		case "foreign":
			whose = foreign
		case "registrar":
			token, _, err := p.Prepare(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return token
		default:
			return whose
		}
		token, err := p.ClientToken(t.Context(), p.Acme, whose)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		alike := ""
		for _, c := range []struct {
			name, id, token string
			as              *tpp.Software
		}{
			{"unknown", "4f5a1c3e-7b0d-4c8e-9a51-2d6f0b8c7e11", "mine", p.Acme},
			{"somebody else's", foreign, "mine", p.Acme},
			{"deleted, its own token", deleted, tokens[2], p.Acme},
			{"deleted, another's token", deleted, "mine", p.Acme},
			{"no id of this server", "nobody", "mine", p.Acme},
			{"in capitals", strings.ToUpper(mine), "mine", p.Acme},
			{"with a blank", mine + "%20", "mine", p.Acme},
			{"not UTF-8", "%FF%FE", "mine", p.Acme},
			{"very long", strings.Repeat("a", 5000), "mine", p.Acme},
			{"markup", url.PathEscape("<script>"), "mine", p.Acme},
			{"another certificate", mine, "mine", p.Other},
			{"another token", mine, "foreign", p.Acme},
			{"a token of nobody", mine, "nobody-knows-it", p.Acme},
			{"a registration token", mine, "registrar", p.Acme},
		} {
			r, err := p.Make(t.Context(), story.Call{Method: method, URL: p.Register + "/" + c.id, As: c.as, Token: newToken(c.token), Body: body})
			if err := notYours.isIn(p, r, err); err != nil {
				t.Errorf("%s, %s: %v", method, c.name, err)
				continue
			}
			for _, name := range []string{"Date", "X-Fapi-Interaction-Id"} {
				r.Header.Del(name)
			}
			if alike == "" {
				alike = r.String()
			}
			if got := r.String(); got != alike {
				t.Errorf("%s, %s is answered\n%s\nbut an unknown client\n%s", method, c.name, got, alike)
			}
		}
	}
	r, err := p.Client(p.Acme).Read(t.Context(), p.Register, mine, tokens[0])
	answered(t, r, err, 200, "")
}

// TestNoCertificate: without a client certificate, or with one that was not
// verified, every method of a registration is 401 invalid_client, whatever the
// token; discovery and the rest of the site need none.
func TestNoCertificate(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	id, own := registered(t, p)
	token, body, err := p.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	refused := func(name string, client *tpp.Client) {
		t.Helper()
		for method, url := range map[string]string{"POST": p.Register, "GET": p.Register + "/" + id, "PUT": p.Register + "/" + id, "DELETE": p.Register + "/" + id} {
			for _, bearer := range []string{map[bool]string{true: token, false: own}[method == "POST"], "nobody-knows-it", ""} {
				header := http.Header{"Content-Type": {"application/jose"}}
				if bearer != "" {
					header.Set("Authorization", "Bearer "+bearer)
				}
				r, err := client.Do(t.Context(), method, url, header, []byte(body))
				if err := noCertificate.isIn(p, r, err); err != nil {
					t.Errorf("%s, %s with %.8q: %v", name, method, bearer, err)
				}
			}
		}
		for _, path := range wellKnown {
			if r, err := client.Do(t.Context(), "GET", siteOf(p)+path, nil, nil); err != nil || r.Status != 200 {
				t.Errorf("%s, %s: %v, %v", name, path, r, err)
			}
		}
		r, err := client.Token(t.Context(), p.Endpoint("token_endpoint"), tpp.ClientCredentials(""), tpp.TLSClientAuth(id))
		if err != nil || r.Status != 401 || r.Text("error") != "invalid_client" {
			t.Errorf("%s, token: %v, %v", name, r, err)
		}
	}
	none := tpp.NewClient(p.ClientOptions())
	t.Cleanup(none.Close)
	refused("none", none)
	// In this mode Caddy takes every certificate and verifies none.
	reload(t, p, "", "mode verify_if_given", "mode request")
	refused("of another directory", presenting(t, p, p.Stranger.Transport))
	refused("the right one, not verified", presenting(t, p, p.Acme.Transport))
	reload(t, p, "")
	r, err := presenting(t, p, p.Acme.Transport).Register(t.Context(), p.Register, token, body)
	answered(t, r, err, 201, "")
}
