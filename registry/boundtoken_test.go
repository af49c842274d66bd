package registry_test

import (
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

func TestBindToken(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		bound := func(raw, want string) {
			x.t.Helper()
			got, err := x.TokenBinding(x.t.Context(), x.ws.Name, &verify.AccessToken{Raw: raw})
			if err != nil || got != want {
				x.t.Errorf("%s: bound to %q, %v, want %q", raw, got, err, want)
			}
		}
		jwt := jwtWithSignature("QQ")
		if err := x.BindToken(x.t.Context(), x.ws.Name, &verify.AccessToken{Raw: jwt, Expires: time.Now().Add(time.Hour)}, "thumb"); err != nil {
			t.Fatal(err)
		}
		bound(jwt, "thumb")
		bound(jwtWithSignature("QR"), "thumb") // another spelling
		bound("another", "")
		time.Sleep(time.Hour + time.Minute) // for clocks that are behind
		bound(jwt, "thumb")
		time.Sleep(3 * time.Minute)
		bound(jwt, "")
	})
}

func TestRefreshKeys(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		c := x.register(request("jti1", ""))
		if c.Keys != "keys-1" {
			t.Fatalf("%+v, want the keys keys-1", c)
		}
		x.as.set(func() { x.as.keys = "keys-2" })
		if err := x.RefreshKeys(x.t.Context(), x.ws, c.ClientID); err != nil {
			t.Fatal(err)
		}
		now, err := x.Client(x.t.Context(), x.ws.Name, c.ClientID)
		if err != nil || now.Keys != "keys-2" || now.Metadata.Scope != c.Metadata.Scope || now.Document != c.Document {
			t.Errorf("%+v, %v; want the keys keys-2 and the rest of %+v", now, err, c)
		}
		refused(t, x.RefreshKeys(x.t.Context(), x.ws, "nobody"), refusal.InvalidToken, "access_token")
		if n := len(x.keys("later/")) + len(x.keys("outbox/")); n != 0 {
			t.Errorf("%d entries of work are left", n)
		}
	})
}
