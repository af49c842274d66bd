package authserver_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// TestRevokeAs says as whom tokens are revoked.
func TestRevokeAs(t *testing.T) {
	for _, test := range []struct {
		name         string
		change       func(*edge, *authserver.Options)
		registration bool
		id, secret   string // as in the header, form-encoded
	}{
		{"registration token", nil, true, "registrar", registrarSecret},
		{"management token", nil, false, "gateway", "SECRET-gateway%3A+%2B%2F"},
		{"registration token without a registrar", func(_ *edge, o *authserver.Options) { o.RegistrarID, o.RegistrarSecret = "", "" }, true, "gateway", "SECRET-gateway%3A+%2B%2F"},
		{"registration token where JWTs are verified", func(_ *edge, o *authserver.Options) { o.ClientID, o.ClientSecret = "", "" }, true, "registrar", registrarSecret},
		{"id that needs encoding", func(_ *edge, o *authserver.Options) { o.ClientID, o.ClientSecret = "a:b c", "SECRET%" }, false, "a%3Ab+c", "SECRET%25"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t, test.change)
			e.on(revoke, answer(http.StatusOK, ""))
			if err := e.Revoke(t.Context(), registry.Revocation{Token: accessToken + "+/=", Registration: test.registration}); err != nil {
				t.Fatal(err)
			}
			sent := e.only(revoke)
			r := http.Request{Header: sent.header}
			if id, secret, ok := r.BasicAuth(); !ok || id != test.id || secret != test.secret {
				t.Errorf("revoked as %s:%s", id, secret)
			}
			if sent.body != "token="+accessToken+"%2B%2F%3D&token_type_hint=access_token" || sent.header.Get("Content-Type") != "application/x-www-form-urlencoded" {
				t.Errorf("asked %+v", sent)
			}
		})
	}
}

// TestRevokeAsClient: first as the client that the token belongs to, and as the
// gateway where the AS does not take that.
func TestRevokeAsClient(t *testing.T) {
	v := registry.Revocation{Token: accessToken, ClientID: "tpp&1", Certificate: []byte("DER")}
	for _, test := range []struct {
		name     string
		change   func(*edge, *authserver.Options)
		answers  []http.HandlerFunc
		kind     refusal.Kind // 0: done
		requests int
	}{
		{"taken", nil, []http.HandlerFunc{answer(200, "")}, 0, 1},
		{"not taken", nil, []http.HandlerFunc{answer(401, `{"error":"invalid_client"}`), answer(200, "")}, 0, 2},
		{"taken of nobody", nil, []http.HandlerFunc{answer(401, ""), answer(403, "")}, refusal.AccessDenied, 2},
		{"down", nil, []http.HandlerFunc{answer(503, "")}, refusal.Unavailable, 1},
		{"no client of the gateway's", func(_ *edge, o *authserver.Options) { o.ClientID, o.ClientSecret = "", "" }, []http.HandlerFunc{answer(401, "")}, refusal.AccessDenied, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t, test.change)
			e.on(revoke, test.answers...)
			err := e.Revoke(t.Context(), v)
			if test.kind == 0 && err != nil {
				t.Fatal(err)
			}
			if test.kind != 0 {
				e.refused(err, test.kind)
			}
			requests := e.to(revoke)
			if len(requests) != test.requests {
				t.Fatalf("asked %d times", len(requests))
			}
			first := requests[0]
			if first.header.Get("Client-Cert") != ":REVS:" || first.header.Get("Authorization") != "" || first.body != "client_id=tpp%261&token="+accessToken+"&token_type_hint=access_token" {
				t.Errorf("asked %+v", first)
			}
			if len(requests) > 1 && (requests[1].header.Get("Client-Cert") != "" || requests[1].header.Get("Authorization") == "") {
				t.Errorf("then %+v", requests[1])
			}
		})
	}
}

func TestRevokeAnswers(t *testing.T) {
	const final = refusal.AccessDenied
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
		kind   refusal.Kind // 0: done
		retry  time.Duration
		cause  string
	}{
		{"200", answer(200, ""), 0, 0, ""},
		{"200 with a page", answer(200, "<p>done"), 0, 0, ""},
		{"204", answer(204, ""), 0, 0, ""},
		{"400", answer(400, `{"error":"unsupported_token_type"}`), final, 0, "status 400, unsupported_token_type"},
		{"401", answer(401, `{"error":"invalid_client"}`), final, 0, "status 401, invalid_client"},
		{"403", answer(403, ""), final, 0, "status 403, no error text"},
		{"404", answer(404, ""), final, 0, "status 404"},
		{"408", answer(408, ""), refusal.Unavailable, 0, "status 408"},
		{"429", answer(429, "", "Retry-After", "3"), refusal.Unavailable, 3 * time.Second, "status 429"},
		{"500", answer(500, ""), refusal.Unavailable, 0, "status 500"},
		{"503", answer(503, "", "Retry-After", "120"), refusal.Unavailable, 2 * time.Minute, "status 503"},
		{"dropped", dropped, refusal.Unavailable, 0, "EOF"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t, nil)
			e.on(revoke, test.answer)
			err := e.Revoke(t.Context(), registry.Revocation{Token: accessToken})
			if test.kind == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			refused := e.refused(err, test.kind)
			if !strings.Contains(err.Error(), test.cause) || refused.RetryAfter != test.retry {
				t.Errorf("error %v, retry after %s", err, refused.RetryAfter)
			}
		})
	}
}

func TestRevokeWithoutEndpointOrClient(t *testing.T) {
	e := newEdge(t, nil)
	e.on(discovery, answer(http.StatusOK, e.document("revocation_endpoint", "")))
	if err := e.Revoke(t.Context(), registry.Revocation{Token: accessToken, Registration: true}); !strings.Contains(e.refused(err, refusal.AccessDenied).Error(), "has no revocation endpoint") {
		t.Errorf("%v, want a refusal: no revocation endpoint", err)
	}

	e = newEdge(t, nil)
	e.on(discovery, answer(http.StatusBadGateway, ""))
	e.refused(e.Revoke(t.Context(), registry.Revocation{Token: accessToken, Registration: true}), refusal.Unavailable) // to be tried again

	e = newEdge(t, func(_ *edge, o *authserver.Options) { o.ClientID, o.ClientSecret, o.RegistrarID = "", "", "" })
	if err := e.Revoke(t.Context(), registry.Revocation{Token: accessToken, Registration: true}); !strings.Contains(e.refused(err, refusal.AccessDenied).Error(), "no client at the authorization server is configured") {
		t.Errorf("%v, want a refusal: no client at the authorization server", err)
	}
	if len(e.to(discovery)) != 0 {
		t.Error("the AS was asked for nothing")
	}
}
