package registry_test

import (
	"crypto/x509"
	"slices"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// ended holds what TokenEnded says of a token.
func (x *fixture) isEnded(token string, want bool) {
	x.t.Helper()
	ended, err := x.TokenEnded(x.t.Context(), x.ws.Name, presented(token).Token)
	if err != nil || ended != want {
		x.t.Errorf("%s: ended %v, %v", token, ended, err)
	}
}

func TestEndToken(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		p := presented(jwtWithSignature("QQ"))
		p.Token.ClientID, p.Certificate = "tpp1", &verify.Certificate{Leaf: &x509.Certificate{Raw: []byte("DER")}}
		x.isEnded(p.Token.Raw, false)
		for range 3 {
			if err := x.EndToken(x.t.Context(), x.ws, p); err != nil {
				t.Fatal(err)
			}
			x.settle()
		}
		x.isEnded(p.Token.Raw, true)
		x.isEnded(jwtWithSignature("QR"), true) // another spelling
		x.isEnded("another", false)
		if got := x.as.revocations; len(got) != 1 || got[0].ClientID != "tpp1" || string(got[0].Certificate) != "DER" || got[0].Registration {
			t.Errorf("revoked %+v", got)
		}
		_, err := x.Register(x.t.Context(), x.ws, request("jti1", p.Token.Raw))
		refused(t, err, refusal.InvalidToken, "access_token")

		time.Sleep(time.Hour) // it has expired, and skew keeps it
		x.isEnded(p.Token.Raw, true)
		time.Sleep(3 * time.Minute)
		x.isEnded(p.Token.Raw, false)
	})
}

// A registration token ends as the registrar's, and what it is registering goes on.
func TestEndARegistrationToken(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.as.during = func() {
			p := presented("token1")
			p.Token.Scopes = []string{verify.ScopeRegister}
			if err := x.EndToken(x.t.Context(), x.ws, p); err != nil {
				t.Error(err)
			}
		}
		x.register(request("jti1", "token1"))
		x.isEnded("token1", true)

		p := presented("token2")
		p.Token.Scopes = []string{verify.ScopeRegister}
		if err := x.EndToken(x.t.Context(), x.ws, p); err != nil {
			t.Fatal(err)
		}
		x.settle()
		if !slices.Equal(x.as.revoked, []string{"token1", "token2"}) || !x.as.revocations[1].Registration {
			t.Errorf("revoked %+v", x.as.revocations)
		}
	})
}

func TestEndTokenWithoutClientAtTheAS(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.as.set(func() { x.as.noClient = true })
		if err := x.EndToken(x.t.Context(), x.ws, presented("token1")); err != nil {
			t.Fatal(err)
		}
		x.isEnded("token1", true)
		if keys := x.keys("outbox/"); len(keys) > 0 {
			t.Errorf("left %q", keys)
		}
	})
}

// The token that asked for a deletion is revoked while its client is still there.
func TestRevokedBeforeDeleted(t *testing.T) {
	t.Parallel()
	down := refusal.New(refusal.Unavailable, "", "down")
	for _, test := range []struct {
		name    string
		fails   []error
		after   time.Duration
		revoked int
		calls   []string // of the AS, after the registration
	}{
		{"at once", nil, 0, 1, []string{"revoke", "delete"}},
		{"later", []error{down, down}, time.Minute, 1, []string{"revoke", "revoke", "revoke", "delete"}},
		{"refused", []error{refusal.New(refusal.AccessDenied, "", "foreign")}, 0, 0, []string{"revoke", "delete"}},
		{"not at all", []error{down, down, down, down}, time.Hour, 0, []string{"revoke", "revoke", "revoke", "revoke", "delete"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			run(t, true, func(x *fixture) {
				c := x.register(request("jti1", ""))
				before := len(x.as.calls)
				x.as.set(func() { x.as.fail["revoke"] = test.fails })
				if err := x.Delete(x.t.Context(), x.ws, c.ClientID, presented("t")); err != nil {
					t.Fatal(err)
				}
				time.Sleep(test.after)
				x.settle()
				if calls := x.as.calls[before:]; !slices.Equal(calls, test.calls) || x.as.ended() != test.revoked || x.as.count() != 0 {
					t.Errorf("calls %q, %d revoked, %d clients", calls, x.as.ended(), x.as.count())
				}
				if keys := append(x.keys("outbox/"), x.keys("later/")...); len(keys) > 0 {
					t.Errorf("left %q", keys)
				}
			})
		})
	}
}

func TestNoRevocationOfATokenThatHasExpired(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		c := x.register(request("jti1", ""))
		x.as.set(func() { x.as.fail["revoke"] = []error{refusal.New(refusal.Unavailable, "", "down")} })
		p := registry.Presented{Token: &verify.AccessToken{Raw: "t", Expires: time.Now().Add(time.Second / 2)}}
		if err := x.Delete(x.t.Context(), x.ws, c.ClientID, p); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		x.settle()
		if x.as.ended() != 0 || x.as.count() != 0 {
			t.Errorf("%d revoked, %d clients", x.as.ended(), x.as.count())
		}
	})
}
