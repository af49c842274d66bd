package registry_test

import (
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// has holds whether a registration access token is good for a client.
func (x *fixture) has(clientID, token string, want bool) {
	x.t.Helper()
	c, err := x.Client(x.t.Context(), x.ws.Name, clientID)
	if err != nil || c.HasAccessToken(token, time.Now()) != want {
		x.t.Errorf("%s: %+v, %v; want a client with this token: %t", token, c, err, want)
	}
}

func (x *fixture) update(clientID, jti string) *registry.Client {
	x.t.Helper()
	c, err := x.Update(x.t.Context(), x.ws, clientID, narrower(jti))
	if err != nil {
		x.t.Fatal(err)
	}
	return c
}

func TestAccessTokens(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		none := x.register(request("jti0", ""))
		if none.NewAccessToken != "" || none.HasAccessToken("", time.Now()) {
			t.Errorf("%+v, want no access token", none)
		}
		x.ws.AccessTokens = &registry.AccessTokens{TTL: time.Hour}
		c := x.register(request("jti1", ""))
		first := c.NewAccessToken
		if !registry.IsAccessToken(first) || len(first) < 40 {
			t.Errorf("token %q", first)
		}
		for _, prefix := range []string{"client/", "document/", "token/", "outbox/"} {
			for _, k := range x.keys(prefix) {
				if v := x.get(k); strings.Contains(v, first) {
					t.Errorf("%s holds the token: %s", k, v)
				}
			}
		}
		x.has(c.ClientID, first, true)
		x.has(c.ClientID, first+"x", false)
		x.has(none.ClientID, first, false)
		if u := x.update(c.ClientID, "jti2"); u.NewAccessToken != "" {
			t.Error("rotated, and nobody asked")
		}
		x.has(c.ClientID, first, true)
		time.Sleep(time.Hour)
		x.has(c.ClientID, first, false)
		second := x.update(c.ClientID, "jti3").NewAccessToken
		x.has(c.ClientID, second, true)
		x.has(c.ClientID, first, false)
	})
}

func TestAccessTokensRotate(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.ws.AccessTokens = &registry.AccessTokens{Rotate: true}
		c := x.register(request("jti1", ""))
		first := c.NewAccessToken
		second := x.update(c.ClientID, "jti2").NewAccessToken
		x.has(c.ClientID, first, true) // that answer may have been lost
		x.has(c.ClientID, second, true)
		third := x.update(c.ClientID, "jti3").NewAccessToken
		x.has(c.ClientID, first, false)
		x.has(c.ClientID, second, true)
		x.has(c.ClientID, third, true)
	})
}

func TestAccessTokenOfARepeatedRegistration(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.wants(registry.ReregisterReturn)
		x.ws.AccessTokens = &registry.AccessTokens{}
		c := x.register(request("jti1", "token1"))
		again := x.register(request("jti1", "token1"))
		if again.NewAccessToken == "" || again.NewAccessToken == c.NewAccessToken {
			t.Errorf("%q, want one, and another than %q", again.NewAccessToken, c.NewAccessToken)
		}
		x.has(c.ClientID, c.NewAccessToken, true)
		x.has(c.ClientID, again.NewAccessToken, true)
	})
}

func TestDeleteWithAnAccessToken(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.ws.AccessTokens = &registry.AccessTokens{}
		c := x.register(request("jti1", ""))
		if err := x.Delete(x.t.Context(), x.ws, c.ClientID, registry.Presented{}); err != nil {
			t.Fatal(err)
		}
		x.has(c.ClientID, c.NewAccessToken, false)
		if x.as.count() != 0 || x.as.ended() != 0 {
			t.Errorf("%d clients, %d revoked", x.as.count(), x.as.ended())
		}
	})
}
