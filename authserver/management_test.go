package authserver_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

const (
	put    = "PUT /as/reg/client-1"
	remove = "DELETE /as/reg/client-1"
)

// managed is a client that is registered.
func managed(t *testing.T) *registry.Client {
	c := tpp(t)
	c.Credentials = registry.Credentials{RegistrationAccessToken: registrationToken, RegistrationPath: "/as/reg/client-1"}
	return c
}

func TestUpdate(t *testing.T) {
	for _, test := range []struct {
		name    string
		changes []string
		want    registry.Credentials
	}{
		{"rotated", nil, registry.Credentials{RegistrationAccessToken: registrationToken + "-client-1", RegistrationPath: "/as/reg/client-1"}},
		{"moved", []string{"registration_client_uri", `"https://evil.example/new?id=1"`}, registry.Credentials{RegistrationAccessToken: registrationToken + "-client-1", RegistrationPath: "/new?id=1"}},
		{"neither", []string{"registration_client_uri", "", "registration_access_token", ""}, managed(t).Credentials},
		{"empty", []string{"registration_client_uri", `""`, "registration_access_token", `""`}, managed(t).Credentials},
		{"no path", []string{"registration_client_uri", `"https://bank.example"`, "registration_access_token", ""}, managed(t).Credentials},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t, nil)
			e.on(put, registered(http.StatusOK, test.changes...))
			p, err := e.Update(t.Context(), managed(t))
			if err != nil || p.ClientID != "client-1" || p.Credentials != test.want {
				t.Fatalf("%+v, error %v", p, err)
			}
			sent := e.only(put)
			if want := `{"client_id":"client-1",` + whole[1:]; sent.body != want {
				t.Errorf("told\n%s\nwant\n%s", sent.body, want)
			}
			for name, want := range map[string]string{"Authorization": "Bearer " + registrationToken, "Content-Type": "application/json", "Accept": "application/json", "X-Client-Id": ""} {
				if got := sent.header.Get(name); got != want {
					t.Errorf("%s: %s, want %s", name, got, want)
				}
			}
		})
	}
}

func TestUpdateFails(t *testing.T) {
	rotated := registry.Credentials{RegistrationAccessToken: registrationToken + "-client-1", RegistrationPath: "/as/reg/client-1"}
	for _, test := range []struct {
		name        string
		answer      http.HandlerFunc
		kind        refusal.Kind
		retry       time.Duration
		lost        bool
		detached    bool
		credentials registry.Credentials // that come beside the error
		cause       string
	}{
		{"401", answer(401, `{"error":"invalid_token"}`), refusal.Unavailable, 0, false, true, registry.Credentials{}, "status 401, invalid_token"},
		{"404", answer(404, ``), refusal.Unavailable, 0, false, true, registry.Credentials{}, "status 404"},
		{"403", answer(403, ``), refusal.Unavailable, 0, false, false, registry.Credentials{}, "check the gateway's credentials"},
		{"metadata", answer(400, `{"error":"invalid_client_metadata","error_description":"no"}`), refusal.InvalidClientMetadata, 0, false, false, registry.Credentials{}, "refuses the client metadata; register others"},
		{"redirect URI", answer(400, `{"error":"invalid_redirect_uri"}`), refusal.InvalidRedirectURI, 0, false, false, registry.Credentials{}, "refuses the redirect URIs; register others"},
		{"429", answer(429, ``, "Retry-After", "9"), refusal.Unavailable, 9 * time.Second, false, false, registry.Credentials{}, "status 429"},
		{"503", answer(503, ``), refusal.Unavailable, 0, false, false, registry.Credentials{}, "status 503"},
		{"500", answer(500, ``), refusal.Unavailable, 0, true, false, registry.Credentials{}, "status 500"},
		{"dropped", dropped, refusal.Unavailable, 0, true, false, registry.Credentials{}, "EOF"},
		{"unreadable", answer(200, `{`), refusal.Unavailable, 0, true, false, registry.Credentials{}, "registration answer"},
		{"no client_id", registered(200, "client_id", ""), refusal.Unavailable, 0, true, false, registry.Credentials{}, "client_id is missing"},
		{"token of another type", registered(200, "registration_access_token", "7"), refusal.Unavailable, 0, true, false, managed(t).Credentials, "registration_access_token is a number"},
		{"another client_id", registered(200, "client_id", `"other"`), refusal.Unavailable, 0, true, false, rotated, "another client_id"},
		{"another method", registered(200, "token_endpoint_auth_method", `"none"`), refusal.Unavailable, 0, false, false, rotated, "it registered token_endpoint_auth_method"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t, nil)
			e.on(put, test.answer)
			p, err := e.Update(t.Context(), managed(t))
			refused := e.refused(err, test.kind)
			if errors.Is(err, registry.ErrLost) != test.lost || errors.Is(err, registry.ErrDetached) != test.detached || refused.RetryAfter != test.retry || !strings.Contains(err.Error(), test.cause) {
				t.Errorf("retry after %s, error %v", refused.RetryAfter, err)
			}
			if p == nil {
				p = &registry.Provisioned{}
			}
			if p.Credentials != test.credentials {
				t.Errorf("credentials %+v, want %+v", p.Credentials, test.credentials)
			}
		})
	}
}

func TestDelete(t *testing.T) {
	for _, test := range []struct {
		name     string
		answer   http.HandlerFunc
		kind     refusal.Kind // 0: gone
		lost     bool
		detached bool
	}{
		{"204", answer(204, ``), 0, false, false},
		{"200, as some do", answer(200, `{}`), 0, false, false},
		{"404", answer(404, ``), 0, false, false},
		{"401", answer(401, ``), refusal.Unavailable, false, true},
		{"403", answer(403, ``), refusal.Unavailable, false, false},
		{"405", answer(405, ``), refusal.Unavailable, false, false},
		{"429", answer(429, ``), refusal.Unavailable, false, false},
		{"500", answer(500, ``), refusal.Unavailable, true, false},
		{"503", answer(503, ``), refusal.Unavailable, false, false},
		{"dropped", dropped, refusal.Unavailable, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t, nil)
			e.on(discovery, answer(http.StatusBadGateway, "")) // not needed
			e.on(remove, test.answer)
			err := e.Delete(t.Context(), managed(t))
			if test.kind == 0 && err != nil {
				t.Error(err)
			}
			if test.kind != 0 {
				e.refused(err, test.kind)
			}
			if errors.Is(err, registry.ErrLost) != test.lost || errors.Is(err, registry.ErrDetached) != test.detached {
				t.Errorf("error %v", err)
			}
			sent := e.only(remove)
			if sent.header.Get("Authorization") != "Bearer "+registrationToken || sent.header.Get("Content-Type") != "" || sent.body != "" {
				t.Errorf("asked %+v", sent)
			}
		})
	}
}

// TestManagementWithoutRFC7592: an AS without RFC 7592 gave nothing.
func TestManagementWithoutRFC7592(t *testing.T) {
	for _, credentials := range []registry.Credentials{{}, {RegistrationAccessToken: registrationToken}, {RegistrationPath: "/as/reg/client-1"}} {
		e := newEdge(t, nil)
		c := tpp(t)
		c.Credentials = credentials
		_, err := e.Update(t.Context(), c)
		for _, err := range []error{err, e.Delete(t.Context(), c)} {
			if e.refused(err, refusal.Unavailable); !errors.Is(err, registry.ErrDetached) || errors.Is(err, registry.ErrLost) {
				t.Errorf("error %v", err)
			}
		}
		if len(e.to(put))+len(e.to(remove)) != 0 {
			t.Error("the AS was asked")
		}
	}
}
