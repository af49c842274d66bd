package authserver_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// registered answers as an AS that stored what it was told, under the client_id
// of an update or the one that was chosen, with rotated credentials. Changes are
// names and JSON texts in turn, an empty text removes the member.
func registered(status int, changes ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		o, err := strictjson.Parse(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		id, ok, _ := o.String("client_id")
		if !ok {
			id = r.Header.Get("X-Client-Id")
		}
		o = o.With("client_id", strictjson.AppendString(nil, id)).
			With("registration_access_token", strictjson.AppendString(nil, registrationToken+"-"+id)).
			With("registration_client_uri", strictjson.AppendString(nil, "https://bank.example/as/reg/"+id))
		for i := 0; i < len(changes); i += 2 {
			if o = o.Without(changes[i]); changes[i+1] != "" {
				o = o.With(changes[i], json.RawMessage(changes[i+1]))
			}
		}
		answer(status, string(o.AppendJSON(nil)))(w, r)
	}
}

func TestCreate(t *testing.T) {
	for _, test := range []struct {
		name    string
		status  int
		options func(*edge, *authserver.Options)
		changes []string
		want    registry.Provisioned
		header  map[string]string
	}{
		{"201", http.StatusCreated, nil, nil,
			registry.Provisioned{ClientID: "client-1", Credentials: registry.Credentials{RegistrationAccessToken: registrationToken + "-client-1", RegistrationPath: "/as/reg/client-1"}},
			map[string]string{"Authorization": "Bearer " + initialToken, "X-Client-Id": "client-1", "Content-Type": "application/json", "Accept": "application/json"}},
		{"200, as some do", http.StatusOK, nil, nil,
			registry.Provisioned{ClientID: "client-1", Credentials: registry.Credentials{RegistrationAccessToken: registrationToken + "-client-1", RegistrationPath: "/as/reg/client-1"}}, nil},
		{"the AS chooses the client_id, and everybody may register", http.StatusCreated,
			func(_ *edge, o *authserver.Options) { o.ClientIDHeader, o.InitialAccessToken = "", "" }, []string{"client_id", `"own~id"`},
			registry.Provisioned{ClientID: "own~id", Credentials: registry.Credentials{RegistrationAccessToken: registrationToken + "-", RegistrationPath: "/as/reg/"}},
			map[string]string{"Authorization": "", "X-Client-Id": ""}},
		{"path and query of another origin", http.StatusCreated, nil, []string{"registration_client_uri", `"https://evil.example:99/reg%2F?id=a%26b#x"`},
			registry.Provisioned{ClientID: "client-1", Credentials: registry.Credentials{RegistrationAccessToken: registrationToken + "-client-1", RegistrationPath: "/reg%2F?id=a%26b"}}, nil},
		{"an address without a path", http.StatusCreated, nil, []string{"registration_client_uri", `"https://bank.example"`},
			registry.Provisioned{ClientID: "client-1", Credentials: registry.Credentials{RegistrationAccessToken: registrationToken + "-client-1"}}, nil},
		{"an address that would become another host", http.StatusCreated, nil, []string{"registration_client_uri", `".evil.example/reg"`},
			registry.Provisioned{ClientID: "client-1", Credentials: registry.Credentials{RegistrationAccessToken: registrationToken + "-client-1"}}, nil},
		{"an address that would become userinfo", http.StatusCreated, nil, []string{"registration_client_uri", `"@evil.example/reg"`},
			registry.Provisioned{ClientID: "client-1", Credentials: registry.Credentials{RegistrationAccessToken: registrationToken + "-client-1"}}, nil},
		{"an AS without RFC 7592", http.StatusCreated, nil, []string{"registration_client_uri", "", "registration_access_token", ""},
			registry.Provisioned{ClientID: "client-1"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t, test.options)
			e.on(register, registered(test.status, test.changes...))
			p, err := e.Create(t.Context(), tpp(t))
			if err != nil {
				t.Fatal(err)
			}
			if p.ClientID != test.want.ClientID || p.Credentials != test.want.Credentials {
				t.Errorf("%s with %+v, want %s with %+v", p.ClientID, p.Credentials, test.want.ClientID, test.want.Credentials)
			}
			for name, value := range test.header {
				if got := e.only(register).header.Get(name); got != value {
					t.Errorf("%s: %s, want %s", name, got, value)
				}
			}
		})
	}
}

// TestTakenBack: a client that came out wrong may not stay at the AS. One that
// cannot be ended at once is returned, for the registry to do so.
func TestTakenBack(t *testing.T) {
	const gone = "DELETE /as/reg/client-1"
	for _, test := range []struct {
		name    string
		changes []string
		status  int // of the deletion
		lost    bool
	}{
		{"wrong method", []string{"token_endpoint_auth_method", `"none"`}, http.StatusNoContent, false},
		{"DN dropped", []string{"tls_client_auth_subject_dn", ""}, http.StatusOK, false},
		{"client_id of its own", []string{"client_id", `"own"`}, http.StatusNotFound, false},
		{"deletion refused", []string{"client_id", `"own"`}, http.StatusUnauthorized, true},
		{"deletion fails", []string{"token_endpoint_auth_method", `"none"`}, http.StatusInternalServerError, true},
		{"nothing to delete it with", []string{"token_endpoint_auth_method", `"none"`, "registration_access_token", ""}, 0, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t, nil)
			e.on(register, registered(http.StatusCreated, test.changes...))
			e.on(gone, answer(test.status, ""))
			p, err := e.Create(t.Context(), tpp(t))
			if e.refused(err, refusal.Unavailable); (p != nil) != test.lost || errors.Is(err, registry.ErrLost) != test.lost {
				t.Errorf("%+v, error %v", p, err)
			}
			if test.status == 0 {
				return
			}
			if got := e.only(gone).header.Get("Authorization"); got != "Bearer "+registrationToken+"-client-1" {
				t.Errorf("deleted with %s", got)
			}
			if !strings.Contains(e.log.String(), "deletes the client that it names") {
				t.Errorf("log: %s", e.log)
			}
		})
	}
}

func TestCreateRefused(t *testing.T) {
	for _, test := range []struct {
		name        string
		status      int
		body        string
		header      []string
		kind        refusal.Kind
		retry       time.Duration
		description string // in what the TPP is told
		cause       string // in the log's text
	}{
		{"metadata", 400, `{"error":"invalid_client_metadata","error_description":"scope is \"odd\"\\\u0007\u00fc\n at /srv/as.js:1"}`, nil, refusal.InvalidClientMetadata, 0,
			"the authorization server refuses the client metadata (it names scope); register others, or ask the bank", "at /srv/as.js:1"},
		{"nothing that it knows", 400, `{"error":"invalid_client_metadata","error_description":"see https://as.internal/x or db-7: java.lang.NullPointerException in /opt/as/Scope.java"}`, nil, refusal.InvalidClientMetadata, 0,
			"the authorization server refuses the client metadata; register others, or ask the bank", "as.internal"},
		{"redirect URI", 400, `{"error":"invalid_redirect_uri","error_description":"no"}`, nil, refusal.InvalidRedirectURI, 0, "refuses the redirect URIs; register others", "no"},
		{"redirect URI, members twice", 400, `{"error":"invalid_redirect_uri","error":"invalid_redirect_uri","x":1,"x":2}`, nil, refusal.InvalidRedirectURI, 0, "refuses the redirect URIs; register others", ""},
		{"software statement", 400, `{"error":"invalid_software_statement"}`, nil, refusal.InvalidClientMetadata, 0, "metadata (it names software_statement);", ""},
		{"unapproved", 400, `{"error":"unapproved_software_statement"}`, nil, refusal.InvalidClientMetadata, 0, "metadata (it names software_statement);", ""},
		{"a general code", 400, `{"error":"invalid_request"}`, nil, refusal.InvalidClientMetadata, 0, "metadata; register", ""},
		{"scope", 400, `{"error":"invalid_scope","error_description":7}`, nil, refusal.InvalidClientMetadata, 0, "metadata (it names scope);", ""},
		{"422", 422, `{"error":"invalid_client_metadata"}`, nil, refusal.InvalidClientMetadata, 0, "metadata; register", ""},
		{"a code of ours", 400, `{"error":"invalid_token"}`, nil, refusal.Unavailable, 0, "", "status 400, invalid_token"},
		{"no code", 400, `<html>`, nil, refusal.Unavailable, 0, "", "status 400, no error text"},
		{"wrong initial access token", 401, `{"error":"invalid_token"}`, nil, refusal.Unavailable, 0, "", "check the gateway's credentials"},
		{"forbidden", 403, `{"error":"invalid_client_metadata"}`, nil, refusal.Unavailable, 0, "", "check the gateway's credentials"},
		{"no such page", 404, ``, nil, refusal.Unavailable, 0, "", "status 404"},
		{"too many", 429, ``, []string{"Retry-After", "7"}, refusal.Unavailable, 7 * time.Second, "", "status 429"},
		{"too busy", 503, `{"error":"invalid_client_metadata"}`, []string{"Retry-After", "30"}, refusal.Unavailable, 30 * time.Second, "", "status 503"},
		{"for a year", 503, ``, []string{"Retry-After", "31536000"}, refusal.Unavailable, time.Hour, "", "status 503"},
		{"until a date", 503, ``, []string{"Retry-After", "Fri, 31 Dec 1999 23:59:59 GMT"}, refusal.Unavailable, 0, "", "status 503"},
		{"since yesterday", 429, ``, []string{"Retry-After", "-1"}, refusal.Unavailable, 0, "", "status 429"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t, nil)
			e.on(register, answer(test.status, test.body, test.header...))
			p, err := e.Create(t.Context(), tpp(t))
			refused := e.refused(err, test.kind)
			if p != nil || errors.Is(err, registry.ErrLost) || refused.RetryAfter != test.retry {
				t.Errorf("%+v, retry after %s, error %v", p, refused.RetryAfter, err)
			}
			if !strings.Contains(refused.Description, test.description) || !strings.Contains(err.Error(), test.cause) {
				t.Errorf("description %s\nerror %v", refused.Description, err)
			}
			if len(refused.Description) > refusal.MaxDescription || strings.ContainsFunc(refused.Description, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
				t.Errorf("description %q", refused.Description)
			}
		})
	}
	e := newEdge(t, nil)
	e.on(discovery, answer(http.StatusOK, e.document("registration_endpoint", `"https://evil.example/reg"`)))
	_, err := e.Create(t.Context(), tpp(t))
	if e.refused(err, refusal.Unavailable); !strings.Contains(err.Error(), "publishes no registration_endpoint") || errors.Is(err, registry.ErrLost) {
		t.Errorf("%v, want a refusal: no registration_endpoint, nothing lost", err)
	}

	e = newEdge(t, nil)
	e.on(discovery, answer(http.StatusBadGateway, ""))
	_, created := e.Create(t.Context(), tpp(t))
	_, updated := e.Update(t.Context(), managed(t))
	for _, err := range []error{created, updated} {
		if e.refused(err, refusal.Unavailable); !strings.Contains(err.Error(), "discovery document: status 502") || errors.Is(err, registry.ErrLost) {
			t.Errorf("%v, want a refusal: status 502 of the discovery document, nothing lost", err)
		}
	}
}
