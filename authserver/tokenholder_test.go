package authserver_test

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

func TestTokenHolder(t *testing.T) {
	mine, other := newKey(t), newKey(t)
	const header, claims = `{"alg":"ES256","kid":"k","typ":"at+jwt"}`, `{"iss":"https://bank.example/as","client_id":"tpp","sub":"psu","jti":"j","exp":1800000060}`
	type holder = authserver.TokenHolder
	jwt, forged := mine.sign(t, header, claims), other.sign(t, header, claims)
	unsupported := answer(400, `{"error":"unsupported_token_type"}`)
	local := func(e *edge, o *authserver.Options) { o.Validate, o.ClientID = authserver.JWT, "" }
	for _, test := range []struct {
		name, token string
		options     func(*edge, *authserver.Options)
		answer      http.HandlerFunc
		want        holder
		requests    int // of two times
	}{
		{"active", accessToken, nil, answer(200, `{"active":true,"client_id":"tpp","sub":"psu","jti":"j"}`), holder{ClientIDs: []string{"tpp"}, JTI: "j", Known: true, Named: true}, 1},
		{"bound to a key", accessToken, nil, answer(200, `{"active":true,"client_id":"tpp","cnf":{"jkt":"x"}}`), holder{ClientIDs: []string{"tpp"}, Known: true, Named: true}, 1},
		{"of an issuer that is called otherwise", accessToken, nil, answer(200, `{"active":true,"client_id":"tpp","iss":"x"}`), holder{ClientIDs: []string{"tpp"}, Known: true, Named: true}, 1},
		{"named by azp", accessToken, nil, answer(200, `{"active":true,"azp":"tpp","sub":"psu"}`), holder{ClientIDs: []string{"tpp"}, Known: true, Named: true}, 1},
		{"of nobody", accessToken, nil, answer(200, `{"active":true}`), holder{}, 1},
		{"of a person, and perhaps a client", accessToken, nil, answer(200, `{"active":true,"sub":"psu"}`), holder{ClientIDs: []string{"psu"}}, 1},
		{"named by the token alone", forged, nil, answer(200, `{"active":true,"sub":"psu"}`), holder{ClientIDs: []string{"psu", "tpp"}, JTI: "j"}, 1},
		{"named by the token alone, with members twice", other.sign(t, header, strings.Replace(claims, "{", `{"x":1,"x":2,`, 1)), nil, answer(200, `{"active":true,"sub":"psu"}`), holder{ClientIDs: []string{"psu", "tpp"}, JTI: "j"}, 1},
		{"inactive", accessToken, nil, answer(200, `{"active":false}`), holder{Inactive: true}, 1},
		{"a JWT that the AS does not keep", jwt, nil, unsupported, holder{ClientIDs: []string{"tpp"}, JTI: "j", Known: true, Named: true}, 1},
		{"a forged JWT that the AS does not keep", forged, nil, unsupported, holder{ClientIDs: []string{"tpp"}, JTI: "j"}, 1},
		{"a JWT", jwt, local, nil, holder{ClientIDs: []string{"tpp"}, JTI: "j", Known: true, Named: true}, 0},
		{"a JWT of a person, and perhaps a client", mine.sign(t, header, strings.Replace(claims, `"client_id":"tpp",`, "", 1)), local, nil, holder{ClientIDs: []string{"psu"}, JTI: "j", Known: true}, 0},
		{"a forged JWT", forged, local, nil, holder{ClientIDs: []string{"tpp"}, JTI: "j"}, 0},
		{"no JWT, and nobody to ask", accessToken, local, nil, holder{}, 0},
		{"no JWT, though tokens are", accessToken, func(_ *edge, o *authserver.Options) { o.Validate = authserver.JWT }, answer(200, `{"active":true,"client_id":"tpp"}`), holder{ClientIDs: []string{"tpp"}, Known: true, Named: true}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t, test.options)
			e.on("GET /as/jwks", answer(200, mine.jwks(t)))
			e.on(introspect, test.answer)
			for range 2 {
				got, err := e.TokenHolder(t.Context(), test.token)
				if err != nil || !reflect.DeepEqual(got, test.want) {
					t.Fatalf("got %+v, %v, want %+v", got, err, test.want)
				}
			}
			if n := len(e.to(introspect)); n != test.requests {
				t.Errorf("the AS was asked %d times, want %d", n, test.requests)
			}
		})
	}
	for name, broken := range map[string]http.HandlerFunc{"status": answer(500, ""), "dropped": dropped, "credentials": answer(401, ""), "garbage": answer(200, "x"), "a client that is a number": answer(200, `{"active":true,"client_id":7}`)} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t, nil)
			e.on(introspect, broken, answer(200, `{"active":true,"client_id":"tpp"}`))
			_, err := e.TokenHolder(t.Context(), accessToken)
			e.refused(err, refusal.Unavailable)
			if got, err := e.TokenHolder(t.Context(), accessToken); err != nil || !got.Known {
				t.Errorf("afterwards %+v, %v", got, err)
			}
		})
	}
}

// TestTokenHolderIsTheTokensOwn: another spelling of a token, and another token, are
// asked about anew.
func TestTokenHolderIsTheTokensOwn(t *testing.T) {
	e := newEdge(t, nil)
	e.on(introspect, func(w http.ResponseWriter, r *http.Request) {
		answer(200, fmt.Sprintf(`{"active":true,"client_id":%q}`, "of "+r.FormValue("token")))(w, r)
	})
	for _, token := range []string{"a.b.QQ", "a.b.QR", "A.b.QQ", "a.c.QQ", "a.b.QQ", "QQ"} {
		if got, err := e.TokenHolder(t.Context(), token); err != nil || got.ClientIDs[0] != "of "+token {
			t.Errorf("%s: %+v, %v; want the client \"of %s\"", token, got, err, token)
		}
	}
	if n := len(e.to(introspect)); n != 5 {
		t.Errorf("asked %d times about five tokens", n)
	}
}

// TestInactiveTokenIsRememberedShortly: what is repeated costs the AS nothing, and what
// becomes good is good.
func TestInactiveTokenIsRememberedShortly(t *testing.T) {
	e := newEdge(t, nil)
	e.on(introspect, answer(200, `{"active":false}`), answer(200, `{"active":true,"client_id":"tpp"}`))
	for i, want := range []bool{true, true, false, false} {
		if i == 2 {
			e.later(11 * time.Second)
		}
		if got, err := e.TokenHolder(t.Context(), accessToken); err != nil || got.Inactive != want {
			t.Errorf("%d: %+v, %v; want inactive %t", i, got, err, want)
		}
	}
	// A stranger's inventions displace nobody's token.
	e.on(introspect, answer(200, `{"active":false}`))
	for i := range authserver.MaxDoubtful + 10 {
		if _, err := e.TokenHolder(t.Context(), fmt.Sprint("invented", i)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := e.TokenHolder(t.Context(), accessToken); err != nil || !got.Known {
		t.Errorf("%+v, %v; want a known holder", got, err)
	}
}

// TestTokenHolderIsAskedForOnce: of requests that come together with one token one asks,
// and those wait on that whose sender has gone.
func TestTokenHolderIsAskedForOnce(t *testing.T) {
	e := newEdge(t, nil)
	arrived, release := make(chan struct{}), make(chan struct{})
	e.on(introspect, func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-release
		answer(200, `{"active":true,"client_id":"tpp"}`)(w, r)
	})
	ctx, leave := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		if _, err := e.TokenHolder(ctx, accessToken); err == nil || !strings.Contains(err.Error(), "canceled") {
			t.Errorf("the one who left: %v", err)
		}
	})
	wait.For(t, arrived, "the question at the AS")
	leave()
	for range 20 {
		group.Go(func() {
			if got, err := e.TokenHolder(t.Context(), accessToken); err != nil || !got.Known {
				t.Errorf("%+v, %v; want a known holder", got, err)
			}
		})
	}
	close(release)
	wait.ForGroup(t, &group, "the answers to all who ask")
	e.only(introspect)
}
