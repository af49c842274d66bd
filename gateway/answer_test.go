package gateway

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// unsigned is a compact JWS of claims; a stored request is not verified again.
func unsigned(t *testing.T, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	enc := base64.RawURLEncoding.EncodeToString
	return enc([]byte(`{"alg":"PS256"}`)) + "." + enc(payload) + "." + enc([]byte("signature"))
}

func TestRegistrationJSON(t *testing.T) {
	ssa := unsigned(t, map[string]any{
		"iss": "OpenBanking Ltd", "iat": 1, "exp": 2, "jti": "x", "software_id": "statement's", "org_id": "org", "software_roles": []string{"AISP"},
		"client_secret": "no", "registration_access_token": "no", "registration_client_uri": "no", "scope": "no", "scopes": "no", "error": "no",
		"error_description": "no", "client_id": "no", "aud": "no", "sub": "no", "software_statement": "no", "redirect_uris": []string{"no"},
		"software_client_name": "<b>Ünicode</b>",
	})
	request := unsigned(t, map[string]any{"software_statement": ssa, "iss": "no", "jti": "no", "request_only": "no"})
	c := &registry.Client{ClientID: "id", IssuedAt: 1700000000, SoftwareID: "software", Directory: "OpenBanking Ltd", Document: "request", Metadata: verify.Metadata{
		RedirectURIs: []string{"https://tpp.example/cb"}, TokenEndpointAuthMethod: "tls_client_auth", GrantTypes: []string{"client_credentials"},
		ResponseTypes: []string{"code id_token"}, ApplicationType: "web", IDTokenSigningAlg: "PS256", RequestObjectSigningAlg: "PS256",
		Scope: "openid accounts", TLSClientAuthSubjectDN: `CN=a\,b,C=GB`,
	}}
	raw, claims, err := c.Statement([]byte(request))
	if err != nil {
		t.Fatal(err)
	}
	got := registrationJSON(verify.DefaultVersion, c, nil, raw, claims)
	want := `{"client_id":"id","client_id_issued_at":1700000000,"redirect_uris":["https://tpp.example/cb"],"token_endpoint_auth_method":"tls_client_auth",` +
		`"grant_types":["client_credentials"],"response_types":["code id_token"],"application_type":"web","id_token_signed_response_alg":"PS256",` +
		`"request_object_signing_alg":"PS256","scope":"openid accounts","scopes":["openid","accounts"],"tls_client_auth_subject_dn":"CN=a\\,b,C=GB",` +
		`"tls_client_auth_dn":"CN=a\\,b,C=GB","software_id":"software","org_id":"org","software_client_name":"\u003cb\u003eÜnicode\u003c/b\u003e",` +
		`"software_roles":["AISP"],"software_statement":"` + ssa + `"}`
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if !json.Valid(got) {
		t.Error("not JSON")
	}
}

func TestRefuse(t *testing.T) {
	var log strings.Builder
	g := &Gateway{options: Options{Workspace: registry.Workspace{Name: "default/obuk"}, Host: new(fakeHost)}, log: slog.New(slog.NewJSONHandler(&log, nil))}
	for _, c := range []struct {
		name   string
		err    error
		status int
		header map[string]string
		body   string
	}{
		{
			"metadata", refusal.New(refusal.InvalidClientMetadata, "exp", "exp: in the past"), 400,
			map[string]string{"WWW-Authenticate": "", "Retry-After": ""}, `{"error":"invalid_client_metadata","error_description":"exp: in the past"}`,
		},
		{
			"no token", refusal.New(refusal.NoToken, "", "access token: missing"), 401,
			map[string]string{"WWW-Authenticate": `Bearer realm="default/obuk"`}, `{"error":"invalid_token","error_description":"access token: missing"}`,
		},
		{
			"another client's", verify.NotYours(errors.New("the reason")), 401,
			map[string]string{"WWW-Authenticate": `Bearer realm="default/obuk", error="invalid_token"`}, "",
		},
		{
			"our own fault", errors.New("disk is full at /var/lib"), 503,
			map[string]string{"Retry-After": "5"}, `{"error":"temporarily_unavailable","error_description":"the registration service cannot answer now; try again later"}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			log.Reset()
			w := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			r.Header.Set("x-fapi-interaction-id", "93BAC548-D2DE-4546-B106-880A5018460D")
			g.newRequest(w, r, nil, passThrough).refuse("register", c.err)
			if w.Code != c.status || c.body != "" && w.Body.String() != c.body {
				t.Errorf("%d %s, want %d %s", w.Code, w.Body, c.status, c.body)
			}
			for name, value := range c.header {
				if got := w.Header().Get(name); got != value {
					t.Errorf("%s: %q, want %q", name, got, value)
				}
			}
			for name, value := range map[string]string{"Content-Type": "application/json", "Cache-Control": "no-store", "Pragma": "no-cache", "x-fapi-interaction-id": "93BAC548-D2DE-4546-B106-880A5018460D"} {
				if got := w.Header().Get(name); got != value {
					t.Errorf("%s: %q, want %q", name, got, value)
				}
			}
			if e := refusal.From(c.err); e.Cause != nil && (!strings.Contains(log.String(), e.Cause.Error()) || strings.Contains(w.Body.String(), e.Cause.Error())) {
				t.Errorf("the cause is for the log only: %s\n%s", log.String(), w.Body)
			}
		})
	}
}

// TestAnswerWithoutABody: a deletion over HTTP/2 is answered without a fault in the log.
func TestAnswerWithoutABody(t *testing.T) {
	var log strings.Builder
	g := &Gateway{options: Options{Workspace: registry.Workspace{Name: "default/obuk"}, Host: new(fakeHost)}, log: slog.New(slog.NewJSONHandler(&log, nil))}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.newRequest(w, r, nil, passThrough).answer(http.StatusNoContent, nil)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	res, err := server.Client().Get(server.URL)
	server.Close() // the line is written after the answer
	if err != nil || res.StatusCode != http.StatusNoContent || res.ProtoMajor != 2 {
		t.Fatalf("%+v, %v; want 204 over HTTP/2", res, err)
	}
	if !strings.Contains(log.String(), `"outcome":"accepted"`) || strings.Contains(log.String(), "write_error") {
		t.Errorf("logged: %s", &log)
	}
}

// TestAnswerOfTheVersion: a client that was registered while the workspace served another
// version is shown as the files of this one have it.
func TestAnswerOfTheVersion(t *testing.T) {
	c := &registry.Client{ClientID: "c", Metadata: verify.Metadata{ApplicationType: "mobile"}}
	for version, want := range map[verify.Version]string{"3.3": "mobile", "3.4": "native"} {
		var answer map[string]any
		if err := json.Unmarshal(registrationJSON(version, c, nil, nil, strictjson.Object{}), &answer); err != nil {
			t.Fatal(err)
		}
		if got := answer["application_type"]; got != want {
			t.Errorf("%s: got %v, want %s", version, got, want)
		}
	}
}

// TestRemedyIsOnlyInTheLog: what the host knows to do about a cause is in the log, and not in the answer.
func TestRemedyIsOnlyInTheLog(t *testing.T) {
	var log strings.Builder
	g := newGuarding(t, nil)
	g.Gateway.log = slog.New(slog.NewTextHandler(&log, nil))
	g.options.Cure = func(error) string { return "start the proxy" }
	w := httptest.NewRecorder()
	g.newRequest(w, httptest.NewRequest(http.MethodPost, "/register", nil), nil, passThrough).refuse("create", refusal.New(refusal.Unavailable, "jwks", "the keys cannot be fetched now; try again later").Because(errors.New("no proxy")))
	if !strings.Contains(log.String(), `cure="start the proxy"`) || strings.Contains(w.Body.String(), "proxy") {
		t.Errorf("logged %s, answered %s", log.String(), w.Body)
	}
}
