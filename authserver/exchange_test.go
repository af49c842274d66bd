package authserver_test

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// TestAnswerLost: whatever the AS may have carried out is ErrLost.
func TestAnswerLost(t *testing.T) {
	whole := []string{"no JSON", "no UTF-8", "client_id twice", "client_id null", "empty", "no client_id", "empty client_id", "client_id of another type"}
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
		{"cut in the body", cutOff(201, `{"client_id":"client-1`), "EOF"},
		{"no JSON", answer(201, `<html>`), "not a JSON object"},
		{"no UTF-8", answer(201, "{\"client_id\":\"\xff\"}"), "not UTF-8"},
		{"client_id twice", answer(201, `{"client_id":"a","client_id":"b"}`), "client_id is there more than once"},
		{"client_id null", registered(201, "client_id", "null"), "/as: client_id is missing"},
		{"empty", answer(201, ``), "not a JSON object"},
		{"too long", answer(201, `{"client_id":"`+strings.Repeat("x", jwks.DefaultMaxBytes)+`"}`), "longer than"},
		{"no client_id", registered(201, "client_id", ""), "client_id is missing"},
		{"empty client_id", registered(201, "client_id", `""`), "client_id is empty"},
		{"client_id of another type", registered(201, "client_id", `7`), "client_id is a number"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t, nil)
			e.on(register, test.answer)
			p, err := e.Create(t.Context(), tpp(t))
			if e.refused(err, refusal.Unavailable); p != nil || !errors.Is(err, registry.ErrLost) || !strings.Contains(err.Error(), test.cause) {
				t.Errorf("%+v, error %v, want %q in it", p, err, test.cause)
			}
			// Of these the AS has said that it made a client: each repetition may make one more.
			if want := slices.Contains(whole, test.name); errors.Is(err, registry.ErrNoRegistration) != want {
				t.Errorf("error %v, that no client is named: want %v", err, want)
			}
			e.only(register) // never repeated here: the registry decides
		})
	}
}

// cutOff is an answer that breaks off.
func cutOff(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
}

// TestAnswerNamesClient: whatever else is wrong with an answer that names a client, that is
// deleted again, or returned for the registry to do so.
func TestAnswerNamesClient(t *testing.T) {
	const gone = "DELETE /as/reg/client-1"
	const credentials = `{"client_id":"client-1","registration_access_token":"` + registrationToken + `-client-1","registration_client_uri":"https://bank.example/as/reg/client-1"`
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
		ends   bool // it can be deleted
		cause  string
	}{
		{"cut in the body", cutOff(201, credentials+`,"scope":"open`), true, "unexpected EOF"},
		{"cut behind the client_id", cutOff(201, `{"client_id":"client-1","registration_acc`), false, "unexpected EOF"},
		{"JSON that ends early", answer(201, credentials), true, "the end of the object is missing"},
		{"a page behind it", answer(201, credentials+`}<!-- -->`), true, "text after the object"},
		{"too long", answer(201, credentials+`,"x":"`+strings.Repeat("x", jwks.DefaultMaxBytes)+`"}`), true, "longer than"},
		{"202", answer(202, credentials+`}`), true, "status 202"},
		{"500", answer(500, credentials+`}`), true, "status 500"},
		{"method twice", answer(201, credentials+`,"token_endpoint_auth_method":"tls_client_auth","token_endpoint_auth_method":"none"}`), true, "its answer's token_endpoint_auth_method is there more than once"},
		{"token of another type", registered(201, "registration_access_token", `{}`), false, "registration_access_token is an object"},
		{"token twice", answer(201, credentials+`,"registration_access_token":"other"}`), false, "registration_access_token is there more than once"},
		{"address of another type", registered(201, "registration_client_uri", `7`), false, "registration_client_uri is a number"},
		{"method null", registered(201, "token_endpoint_auth_method", `null`), true, "it registered token_endpoint_auth_method"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t, nil)
			e.on(register, test.answer)
			e.on(gone, answer(204, ""))
			p, err := e.Create(t.Context(), tpp(t))
			e.refused(err, refusal.Unavailable)
			lost := errors.Is(err, registry.ErrLost) && errors.Is(err, registry.ErrDetached)
			if (p == nil) != test.ends || errors.Is(err, registry.ErrTakenBack) != test.ends || lost == test.ends || !strings.Contains(err.Error(), test.cause) {
				t.Errorf("%+v, error %v, want %q in it", p, err, test.cause)
			}
			if p != nil && p.ClientID != "client-1" {
				t.Errorf("%+v, want client-1", p)
			}
			if test.ends {
				e.only(gone)
			}
		})
	}
}

// TestFaultyAnswerDeletesNoActiveClient: a client that is in use is registered again for its
// credentials, and not deleted for what else is wrong with the answer. One that the AS made in
// its place is, and that says nothing of the client.
func TestFaultyAnswerDeletesNoActiveClient(t *testing.T) {
	e := newEdge(t, nil)
	c := tpp(t)
	c.Status = registry.Active
	e.on(register, registered(201, "token_endpoint_auth_method", `"none"`))
	p, err := e.Create(t.Context(), c)
	if e.refused(err, refusal.Unavailable); p == nil || p.ClientID != c.ClientID || p.Credentials.RegistrationAccessToken == "" || !errors.Is(err, registry.ErrLost) || errors.Is(err, registry.ErrTakenBack) {
		t.Errorf("%+v, %v; want client %s with its access token, lost and not taken back", p, err, c.ClientID)
	}
	e.only(register)
	e = newEdge(t, nil)
	e.on(register, registered(201, "client_id", `"other"`))
	e.on("DELETE /as/reg/client-1", answer(204, ""))
	p, err = e.Create(t.Context(), c)
	if e.refused(err, refusal.Unavailable); p != nil || errors.Is(err, registry.ErrTakenBack) || errors.Is(err, registry.ErrLost) {
		t.Errorf("%+v, %v; want no client, neither lost nor taken back", p, err)
	}
	e.only("DELETE /as/reg/client-1")
}

// TestUnusualRegistrationAnswersAreAccepted: an answer may be good in a form that few send.
func TestUnusualRegistrationAnswersAreAccepted(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"null for what it need not say": registered(201, "scope", "null", "grant_types", "null", "redirect_uris", "null", "response_types", "null", "client_secret", "null", "client_secret_expires_at", "null", "jwks", "null"),
		"no credentials, as null":       registered(201, "registration_access_token", "null", "registration_client_uri", "null"),
		"null in a list":                registered(201, "grant_types", `["authorization_code",null,"client_credentials","refresh_token"]`),
		"members twice, with one value": func(w http.ResponseWriter, r *http.Request) { registered(201)(twice{w}, r) },
	} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t, nil)
			e.on(register, answer)
			if p, err := e.Create(t.Context(), tpp(t)); err != nil || p.ClientID != "client-1" || p.Metadata.Scope != tpp(t).Metadata.Scope || len(p.Metadata.GrantTypes) != 3 {
				t.Errorf("%+v, %v; want client-1 with the scope and the three grants that were sent", p, err)
			}
		})
	}
}

// twice writes the members of an object twice.
type twice struct{ http.ResponseWriter }

func (w twice) Write(p []byte) (int, error) {
	if text := strings.TrimSuffix(strings.TrimPrefix(string(p), "{"), "}"); text != "" {
		_, err := io.WriteString(w.ResponseWriter, "{"+text+","+text+",\"x\":1,\"x\":2}")
		return len(p), err
	}
	return 0, nil
}

func TestAnswerTooLate(t *testing.T) {
	t.Run("for the client", func(t *testing.T) {
		e := newEdge(t, func(e *edge, o *authserver.Options) { o.Client = e.client(time.Second) })
		gate := make(chan struct{})
		defer close(gate)
		e.on(register, func(http.ResponseWriter, *http.Request) { <-gate })
		_, err := e.Create(t.Context(), tpp(t))
		if e.refused(err, refusal.Unavailable); !errors.Is(err, registry.ErrLost) {
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
		if e.refused(err, refusal.Unavailable); !errors.Is(err, registry.ErrLost) || !errors.Is(err, context.Canceled) {
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
		{"a proxy that makes no tunnel", func(t *testing.T, e *edge) context.Context {
			e.Client = jwks.NewClient(jwks.Options{Proxy: &jwks.Proxy{URL: &url.URL{Scheme: "http", Host: e.https.Listener.Addr().String()}}})
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
				if e.refused(err, refusal.Unavailable); errors.Is(err, registry.ErrLost) || errors.Is(err, registry.ErrDetached) {
					t.Errorf("%s: %v, want neither ErrLost nor ErrDetached", call, err)
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
