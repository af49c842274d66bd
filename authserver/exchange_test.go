package authserver_test

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// TestAnswerLost: whatever the AS may have carried out is ErrLost.
func TestAnswerLost(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
		cause  string
	}{
		{"500", answer(500, `{"error":"server_error"}`), "status 500, server_error"},
		{"500 that sounds like a refusal", answer(500, `{"error":"invalid_client_metadata"}`), "status 500"},
		{"502", answer(502, ``), "status 502"},
		{"504", answer(504, ``), "status 504"},
		{"202", answer(202, ``), "status 202"},
		{"204", answer(204, ``), "status 204"},
		{"redirect without an address", answer(302, ``), "302"},
		{"redirect to another origin", answer(307, ``, "Location", "https://evil.example/reg"), "another origin"},
		{"dropped", dropped, "EOF"},
		{"cut in the header", func(w http.ResponseWriter, _ *http.Request) {
			conn, buffered, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			_, _ = buffered.WriteString("HTTP/1.1 201 Created\r\nContent-Ty")
			_ = buffered.Flush()
			_ = conn.Close()
		}, "malformed MIME header"},
		{"cut in the body", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, `{"client_id":"client-1"`)
		}, "EOF"},
		{"no JSON", answer(201, `<html>`), "not a JSON object"},
		{"no UTF-8", answer(201, "{\"client_id\":\"\xff\"}"), "not UTF-8"},
		{"a member twice", answer(201, `{"client_id":"a","client_id":"b"}`), "twice"},
		{"empty", answer(201, ``), "not a JSON object"},
		{"too long", answer(201, `{"client_id":"`+strings.Repeat("x", jwks.DefaultMaxBytes)+`"}`), "longer than"},
		{"no client_id", registered(201, "client_id", ""), "without client_id"},
		{"empty client_id", registered(201, "client_id", `""`), "without client_id"},
		{"client_id of another type", registered(201, "client_id", `7`), "without client_id"},
		{"token of another type", registered(201, "registration_access_token", `{}`), "registration_access_token is an object"},
		{"address of another type", registered(201, "registration_client_uri", `null`), "registration_client_uri is null"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t, nil)
			e.on(register, test.answer)
			p, err := e.Create(t.Context(), tpp(t))
			if e.refused(err, verify.Unavailable); p != nil || !errors.Is(err, registry.ErrLost) || !strings.Contains(err.Error(), test.cause) {
				t.Errorf("%+v, error %v, want %q in it", p, err, test.cause)
			}
			e.only(register) // never repeated here: the registry decides
		})
	}
}

func TestAnswerTooLate(t *testing.T) {
	t.Run("for the client", func(t *testing.T) {
		e := newEdge(t, func(e *edge, o *authserver.Options) { o.Client = e.client(time.Second) })
		gate := make(chan struct{})
		defer close(gate)
		e.on(register, func(http.ResponseWriter, *http.Request) { <-gate })
		_, err := e.Create(t.Context(), tpp(t))
		if e.refused(err, verify.Unavailable); !errors.Is(err, registry.ErrLost) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("for the caller", func(t *testing.T) {
		e := newEdge(t, nil)
		gate := make(chan struct{})
		defer close(gate)
		ctx, leave := context.WithCancel(t.Context())
		e.on(register, func(http.ResponseWriter, *http.Request) { leave(); <-gate })
		_, err := e.Create(ctx, tpp(t))
		if e.refused(err, verify.Unavailable); !errors.Is(err, registry.ErrLost) || !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
}

// TestNeverSent: what certainly did not reach the AS is not ErrLost.
func TestNeverSent(t *testing.T) {
	for _, test := range []struct {
		name    string
		prepare func(*testing.T, *edge) context.Context
	}{
		{"nobody listens", func(t *testing.T, e *edge) context.Context {
			e.Client.CloseIdle()
			e.https.Close()
			return t.Context()
		}},
		{"a server that is not the AS", func(t *testing.T, e *edge) context.Context {
			e.Client = jwks.NewClient(jwks.Options{Roots: x509.NewCertPool(), PrivateRanges: true})
			return t.Context()
		}},
		{"an address that is not allowed", func(t *testing.T, e *edge) context.Context {
			e.Client = jwks.NewClient(jwks.Options{})
			return t.Context()
		}},
		{"the caller has left", func(t *testing.T, _ *edge) context.Context {
			ctx, leave := context.WithCancel(t.Context())
			leave()
			return ctx
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t, nil)
			e.metadata()
			ctx := test.prepare(t, e)
			_, created := e.Create(ctx, tpp(t))
			_, updated := e.Update(ctx, managed(t))
			_, checked := e.CheckToken(ctx, accessToken)
			for call, err := range map[string]error{
				"create": created, "update": updated, "check token": checked,
				"delete": e.Delete(ctx, managed(t)), "revoke": e.Revoke(ctx, registry.Revocation{Token: accessToken, Registration: true}),
			} {
				if e.refused(err, verify.Unavailable); errors.Is(err, registry.ErrLost) || errors.Is(err, registry.ErrDetached) {
					t.Errorf("%s: %v", call, err)
				}
			}
			if n := len(e.to(register)) + len(e.to(put)) + len(e.to(introspect)) + len(e.to(remove)) + len(e.to(revoke)); n != 0 {
				t.Errorf("%d requests came", n)
			}
		})
	}
}

// TestOnlyTheConfiguredOrigin: an AS that names its public address is still asked
// where the operator said.
func TestOnlyTheConfiguredOrigin(t *testing.T) {
	e := newEdge(t, nil)
	c := managed(t)
	for _, path := range []string{"//evil.example/reg", "/a@evil.example", "/../x", "/%2e%2e"} {
		c.Credentials.RegistrationPath = path
		call := "DELETE " + path
		e.on(call, answer(http.StatusNoContent, ""))
		if err := e.Delete(t.Context(), c); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		e.only(call)
	}
}
