package authserver_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

const read = "GET /as/reg/client-1"

// shown is what an AS shows of the client of managed, with changes as in document.
func shown(t *testing.T, changes ...string) string {
	t.Helper()
	return changed(t, changed(t, `{"client_id":"client-1",`+whole[1:]), changes...)
}

// TestReadTheSame: what an AS may add, leave out or write in another way is no difference.
func TestReadTheSame(t *testing.T) {
	for _, test := range []struct {
		name    string
		changes []string
	}{
		{"the same", nil},
		{"other members", []string{"client_id_issued_at", "7", "subject_type", `"public"`, "jwks", `{"keys":[]}`, "custom", `{"a":[1]}`}},
		{"orders", []string{"redirect_uris", `["https://tpp.example/b","https://tpp.example/a"]`, "scope", `"payments openid  accounts"`, "response_types", `["code","id_token code"]`,
			"grant_types", `["implicit","refresh_token","client_credentials","authorization_code"]`}},
		{"another spelling of the DN", []string{"tls_client_auth_subject_dn", `"cn=tpp, organizationIdentifier=PSDGB-FCA-123456, O=Acme\\, Ltd, C=GB"`}},
		{"defaults left out", []string{"application_type", ""}},
		{"what only people see", []string{"client_name", "", "client_uri", "", "logo_uri", "", "policy_uri", `""`, "tos_uri", ""}},
		{"without implicit", []string{"grant_types", `["authorization_code","client_credentials","refresh_token"]`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t, nil)
			e.on(read, answer(http.StatusOK, shown(t, test.changes...)))
			c, err := e.Read(t.Context(), managed(t))
			if err != nil || len(c.Differences) != 0 || c.Credentials != managed(t).Credentials {
				t.Fatalf("%+v, error %v; want no difference", c, err)
			}
			sent := e.only(read)
			if sent.header.Get("Authorization") != "Bearer "+registrationToken || sent.header.Get("Accept") != "application/json" || sent.body != "" {
				t.Errorf("asked %+v", sent)
			}
			if strings.Contains(e.log.String(), "omits") {
				t.Errorf("got %s, want no line of what is not sent", e.log.String())
			}
		})
	}
}

// TestReadDifferences: each member that decides what a client may do counts.
func TestReadDifferences(t *testing.T) {
	for _, test := range []struct {
		name        string
		changes     []string
		here, there string
	}{
		{"redirect_uris", []string{"redirect_uris", `["https://tpp.example/a","https://evil.example/b"]`}, `["https://tpp.example/a","https://tpp.example/b"]`, `["https://tpp.example/a","https://evil.example/b"]`},
		{"redirect_uris", []string{"redirect_uris", `["https://tpp.example/a","https://tpp.example/b","https://evil.example/b"]`}, `["https://tpp.example/a","https://tpp.example/b"]`, `["https://tpp.example/a","https://tpp.example/b","https://evil.example/b"]`},
		{"redirect_uris", []string{"redirect_uris", ""}, `["https://tpp.example/a","https://tpp.example/b"]`, `[]`},
		{"scope", []string{"scope", `"openid accounts"`}, "openid accounts payments", "openid accounts"},
		{"scope", []string{"scope", `"openid accounts payments dcr_register"`}, "openid accounts payments", "openid accounts payments dcr_register"},
		{"scope", []string{"scope", ""}, "openid accounts payments", ""},
		{"grant_types", []string{"grant_types", `["authorization_code","refresh_token","implicit"]`}, `["authorization_code","client_credentials","refresh_token","implicit"]`, `["authorization_code","refresh_token","implicit"]`},
		{"response_types", []string{"response_types", ""}, `["code id_token","code"]`, `["code"]`},
		{"token_endpoint_auth_method", []string{"token_endpoint_auth_method", ""}, "tls_client_auth", "client_secret_basic"},
		{"tls_client_auth_subject_dn", []string{"tls_client_auth_subject_dn", `"CN=other"`}, `CN=tpp,organizationIdentifier=PSDGB-FCA-123456,O=Acme\, Ltd,C=GB`, "CN=other"},
		{"tls_client_auth_subject_dn", []string{"tls_client_auth_subject_dn", ""}, `CN=tpp,organizationIdentifier=PSDGB-FCA-123456,O=Acme\, Ltd,C=GB`, ""},
		{"tls_client_certificate_bound_access_tokens", []string{"tls_client_certificate_bound_access_tokens", ""}, "true", "false"},
		{"id_token_signed_response_alg", []string{"id_token_signed_response_alg", ""}, "PS256", "RS256"},
		{"jwks_uri", []string{"jwks_uri", `"https://evil.example/keys"`}, "https://keys.example/org/software.jwks", "https://evil.example/keys"},
		{"client_name", []string{"client_name", `"Another Bank"`}, `Acme "Pay" & Söhne`, "Another Bank"},
	} {
		t.Run(test.name+" "+test.there, func(t *testing.T) {
			e := newEdge(t, nil)
			e.on(read, answer(http.StatusOK, shown(t, test.changes...)))
			c, err := e.Read(t.Context(), managed(t))
			want := []registry.Difference{{Member: test.name, Here: test.here, There: test.there}}
			if err != nil || !reflect.DeepEqual(c.Differences, want) {
				t.Errorf("got %+v, %v; want %+v", c, err, want)
			}
		})
	}
}

// TestReadRotatedCredentials: an AS may replace token and secret with each read. A masked
// secret is none, and no difference tells a secret.
func TestReadRotatedCredentials(t *testing.T) {
	for secretShown, want := range map[string]string{`"SECRET-new"`: "SECRET-new", `"********"`: "SECRET-old", `""`: "SECRET-old", ``: "SECRET-old"} {
		e := newEdge(t, func(_ *edge, o *authserver.Options) { o.TokenEndpointAuth = authserver.Bridge })
		e.on(read, answer(http.StatusOK, shown(t, "client_secret", secretShown, "registration_access_token", `"SECRET-rotated"`, "registration_client_uri", `"https://elsewhere.example/as/reg/new"`,
			"token_endpoint_auth_method", `"client_secret_basic"`, "tls_client_auth_subject_dn", "")))
		c := managed(t)
		c.Credentials.Bridge, c.Credentials.ClientSecret = "client_secret_basic", "SECRET-old"
		got, err := e.Read(t.Context(), c)
		if err != nil || len(got.Differences) != 0 {
			t.Fatalf("%+v, %v", got, err)
		}
		if expected := (registry.Credentials{RegistrationAccessToken: "SECRET-rotated", RegistrationPath: "/as/reg/new", Bridge: "client_secret_basic", ClientSecret: want}); got.Credentials != expected {
			t.Errorf("%s: got %+v, want %+v", secretShown, got.Credentials, expected)
		}
	}
}

// TestReadFails: every answer that is none has its error, and none tells a secret.
func TestReadFails(t *testing.T) {
	huge := answer(200, `{"client_id":"client-1","x":"`+strings.Repeat("x", 4<<20)+`"}`)
	elsewhere := answer(302, "", "Location", "https://elsewhere.example/login")
	login := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/login" {
			http.Redirect(w, r, "/login", http.StatusFound)
		}
	}
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
		want   error
		cause  string
	}{
		{"401", answer(401, `{"error":"invalid_token","error_description":"`+registrationToken+`"}`), registry.ErrDetached, "status 401, invalid_token: ***"},
		{"403", answer(403, ``), registry.ErrDetached, "status 403"},
		{"404", answer(404, ``), registry.ErrMissing, "status 404"},
		{"410", answer(410, ``), registry.ErrMissing, "status 410"},
		{"400", answer(400, `{"error":"invalid_request"}`), registry.ErrUnreadable, "status 400"},
		{"405", answer(405, ``), registry.ErrUnreadable, "status 405"},
		{"204", answer(204, ``), registry.ErrUnreadable, "status 204"},
		{"500", answer(500, ``), registry.ErrLost, "status 500"},
		{"503", answer(503, ``), nil, "status 503"},
		{"429", answer(429, ``, "Retry-After", "9"), nil, "status 429"},
		{"dropped", dropped, registry.ErrLost, "EOF"},
		{"garbage", answer(200, `<html>`), registry.ErrUnreadable, ""},
		{"a list", answer(200, `[]`), registry.ErrUnreadable, ""},
		{"nothing", answer(200, ``), registry.ErrUnreadable, ""},
		{"no client_id", answer(200, shown(t, "client_id", "")), registry.ErrUnreadable, "client_id is missing"},
		{"another client", answer(200, shown(t, "client_id", `"other"`)), registry.ErrUnreadable, "another client_id"},
		{"another type", answer(200, shown(t, "scope", "7")), registry.ErrUnreadable, "scope is a number"},
		{"another type of a list", answer(200, shown(t, "redirect_uris", `"x"`)), registry.ErrUnreadable, "redirect_uris is a string"},
		{"another type of a switch", answer(200, shown(t, "tls_client_certificate_bound_access_tokens", `"x"`)), registry.ErrUnreadable, "tls_client_certificate_bound_access_tokens"},
		{"huge", huge, registry.ErrUnreadable, "it is longer than the gateway reads"},
		{"redirect to another origin", elsewhere, registry.ErrUnreadable, "it redirects to another origin"},
		{"redirect to a page", login, registry.ErrUnreadable, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t, nil)
			e.on(read, test.answer)
			e.on("GET /login", answer(200, "<html>sign in"))
			c, err := e.Read(t.Context(), managed(t))
			if c != nil && test.want != registry.ErrUnreadable || err == nil || !strings.Contains(err.Error(), test.cause) {
				t.Fatalf("%+v, error %v", c, err)
			}
			e.tellsNoSecret("the error", err.Error())
			for _, one := range []error{registry.ErrMissing, registry.ErrDetached, registry.ErrUnreadable, registry.ErrLost} {
				if errors.Is(err, one) != (one == test.want) {
					t.Errorf("%v: got %v, want %v", err, one, test.want)
				}
			}
			if test.want == nil && refusal.From(err).Kind != refusal.Unavailable {
				t.Errorf("got %v, want one that is unavailable", err)
			}
		})
	}
}

// TestReadTimesOut: an AS that does not answer may have rotated the credentials.
func TestReadTimesOut(t *testing.T) {
	e := newEdge(t, nil)
	waits := make(chan struct{})
	defer close(waits)
	e.on(read, func(http.ResponseWriter, *http.Request) { <-waits })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := e.Read(ctx, managed(t)); !errors.Is(err, registry.ErrLost) || errors.Is(err, registry.ErrUnreadable) {
		t.Errorf("got %v, want a lost answer", err)
	}
}

// TestReadWithoutRFC7592: an AS without RFC 7592 gave nothing to read with.
func TestReadWithoutRFC7592(t *testing.T) {
	e := newEdge(t, nil)
	if _, err := e.Read(t.Context(), tpp(t)); !errors.Is(err, registry.ErrDetached) || len(e.to(read)) != 0 {
		t.Errorf("got %v, want that nobody is asked", err)
	}
}

// TestReadsAreApart: reads that fail keep nobody from registering, and reads rest while
// registrations do.
func TestReadsAreApart(t *testing.T) {
	e := newEdge(t, nil)
	fails := func(f func(c *registry.Client) error) {
		for i := range 8 {
			c := managed(t)
			c.OrgID = fmt.Sprint(i)
			if err := f(c); err == nil {
				t.Fatal("no error")
			}
		}
	}
	e.on(read, dropped)
	e.on(put, registered(http.StatusOK))
	fails(func(c *registry.Client) error { _, err := e.Read(t.Context(), c); return err })
	if _, err := e.Read(t.Context(), managed(t)); !errors.Is(err, registry.ErrNotAsked) {
		t.Errorf("got %v, want %v", err, registry.ErrNotAsked)
	}
	if _, err := e.Update(t.Context(), managed(t)); err != nil {
		t.Errorf("an update: %v", err)
	}
	e.later(time.Minute)
	e.on(read, answer(http.StatusOK, shown(t)))
	e.on(put, dropped)
	fails(func(c *registry.Client) error { _, err := e.Update(t.Context(), c); return err })
	before := len(e.to(read))
	if _, err := e.Read(t.Context(), managed(t)); !errors.Is(err, registry.ErrNotAsked) || len(e.to(read)) != before {
		t.Errorf("got %v, want %v", err, registry.ErrNotAsked)
	}
	e.later(time.Minute)
	if _, err := e.Read(t.Context(), managed(t)); err != nil {
		t.Errorf("after the pause: %v", err)
	}
}

// TestReadKeysInline: where the AS is told the keys, their absence counts, and nobody fetches them.
func TestReadKeysInline(t *testing.T) {
	for jwks, want := range map[string]int{`{"keys":[]}`: 0, "": 1} {
		e := newEdge(t, func(_ *edge, o *authserver.Options) {
			o.Keys = func(context.Context, *registry.Client) ([]verify.Key, error) {
				t.Error("the keys are fetched")
				return nil, nil
			}
		})
		e.on(read, answer(http.StatusOK, shown(t, "jwks_uri", "", "jwks", jwks)))
		if c, err := e.Read(t.Context(), managed(t)); err != nil || len(c.Differences) != want {
			t.Errorf("%q: got %+v, %v; want %d differences", jwks, c, err, want)
		}
	}
}

func TestIsOwn(t *testing.T) {
	e := newEdge(t, nil)
	for id, want := range map[string]bool{"gateway": true, "registrar": true, "client-1": false, "": false} {
		if e.IsOwn(id) != want {
			t.Errorf("%q: got %v", id, !want)
		}
	}
}
