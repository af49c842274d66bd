package gateway

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// namer is an AS that gives out the ids that it is asked to.
type namer struct{ ids []string }

func (*namer) ChoosesClientID() bool { return false }

func (n *namer) Create(_ context.Context, c *registry.Client) (*registry.Provisioned, error) {
	id := n.ids[0]
	n.ids = n.ids[1:]
	return &registry.Provisioned{ClientID: id, Metadata: c.Metadata}, nil
}

func (*namer) Update(context.Context, *registry.Client) (*registry.Provisioned, error) {
	return nil, errors.New("not asked")
}
func (*namer) Read(context.Context, *registry.Client) (*registry.Comparison, error) {
	return nil, errors.New("not asked")
}
func (*namer) IsOwn(string) bool                                 { return false }
func (*namer) Delete(context.Context, *registry.Client) error    { return nil }
func (*namer) Answers(context.Context) error                     { return nil }
func (*namer) Revokes(registry.Revocation) bool                  { return false }
func (*namer) Revoke(context.Context, registry.Revocation) error { return nil }
func signed(payload string) string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"PS256"}`)) + "." + part([]byte(payload)) + ".c2ln"
}

// TestIntrospection: what the AS says of a token stands, unless its client may do
// nothing any more, or the gateway has ended the token.
func TestIntrospection(t *testing.T) {
	g := newGuarding(t, nil)
	store := g.store
	ws := registry.Workspace{Name: g.ws.Name, Provisioner: &namer{ids: []string{"active", "deleted", "suspended"}}}
	for _, jti := range []string{"s1", "s2", "s3"} {
		ssa := &verify.SoftwareStatement{SoftwareID: jti, OrgID: "org", Issuer: &verify.Issuer{Name: "OpenBanking Ltd"}}
		in := registry.Registration{
			Request: &verify.Request{Raw: []byte("x"), Statement: ssa, Issuer: jti, JTI: jti, Expires: time.Now().Add(time.Hour)},
			Checked: &verify.Checked{Metadata: verify.Metadata{Scope: "openid", TLSClientAuthSubjectDN: "CN=x"}},
		}
		if _, err := store.Register(t.Context(), ws, in); err != nil {
			t.Fatal(err)
		}
	}
	err := errors.Join(
		store.Delete(t.Context(), ws, "deleted", registry.Presented{}),
		store.Suspend(t.Context(), registry.Suspension{Workspace: ws.Name, Kind: registry.SuspendSoftware, Value: "s3"}),
		store.EndToken(t.Context(), ws, registry.Presented{Token: &verify.AccessToken{Raw: "ended-token", ID: "ended-jti"}}),
	)
	if err != nil {
		t.Fatal(err)
	}
	const jwt = "application/token-introspection+jwt"
	for _, c := range []struct {
		name, token, contentType string
		status                   int
		body                     string
		want                     string // "": as it was
		wantStatus               int
	}{
		{"active", "t", "", 200, `{"active":true,"client_id":"active","scope":"a"}`, "", 200},
		{"not the registry's", "t", "", 200, `{"active":true,"client_id":"elsewhere"}`, "", 200},
		{"of nobody", "t", "", 200, `{"active":true}`, "", 200},
		{"inactive", "t", "", 200, `{"active":false}`, "", 200},
		{"inactive, in many words", "ended-token", "", 200, `{"active":false,"client_id":"deleted"}`, "", 200},
		{"deleted", "t", "", 200, `{"active":true,"client_id":"deleted","scope":"a"}`, `{"active":false}`, 200},
		{"deleted, by azp", "t", "", 200, `{"active":true,"azp":"deleted","sub":"psu"}`, `{"active":false}`, 200},
		{"deleted, by sub", "t", "", 200, `{"active":true,"sub":"deleted"}`, `{"active":false}`, 200},
		{"deleted, active in another form", "t", "", 200, `{"active":"true","client_id":"deleted"}`, `{"active":false}`, 200},
		{"deleted, as its token says", signed(`{"client_id":"deleted"}`), "", 200, `{"active":true,"sub":"psu"}`, `{"active":false}`, 200},
		{"deleted, as its token says and the server does not", signed(`{"client_id":"deleted"}`), "", 200, `{"active":true,"client_id":"active"}`, "", 200},
		{"suspended", "t", "", 200, `{"active":true,"client_id":"suspended"}`, `{"active":false}`, 200},
		{"ended", "ended-token", "", 200, `{"active":true,"client_id":"active"}`, `{"active":false}`, 200},
		{"ended, by its jti", "t", "", 200, `{"active":true,"client_id":"active","jti":"ended-jti"}`, `{"active":false}`, 200},
		{"signed", "t", jwt, 200, signed(`{"iss":"as","token_introspection":{"active":true,"client_id":"active"}}`), "", 200},
		{"signed, deleted", "t", jwt, 200, signed(`{"token_introspection":{"active":true,"client_id":"deleted"}}`), `{"active":false}`, 200},
		{"signed, without it", "t", jwt, 200, signed(`{"active":true}`), "temporarily_unavailable", 503},
		{"null for what it need not say", "t", "", 200, `{"active":true,"client_id":"deleted","sub":null,"jti":null,"cnf":null,"iss":null}`, `{"active":false}`, 200},
		{"null, and good", "t", "", 200, `{"active":true,"client_id":"active","sub":null,"jti":null,"cnf":null,"exp":1.8e9}`, "", 200},
		{"members twice, with one value", "t", "", 200, `{"active":true,"active":true,"client_id":"active","client_id":"active","x":1,"x":2}`, "", 200},
		{"a scope twice", "t", "", 200, `{"active":true,"client_id":"active","scope":"a","scope":"b"}`, "temporarily_unavailable", 503},
		{"a thumbprint twice", "t", "", 200, `{"active":true,"client_id":"active","cnf":{"x5t#S256":"a","x5t#S256":"b"}}`, "temporarily_unavailable", 503},
		{"active twice", "t", "", 200, `{"active":false,"active":true}`, "temporarily_unavailable", 503},
		{"signed, members twice, with one value", "t", jwt, 200, signed(`{"token_introspection":{"active":true,"active":true,"client_id":"active"},"x":1,"x":2}`), "", 200},
		{"signed, sub twice", "t", jwt, 200, signed(`{"token_introspection":{"active":true,"sub":"a","sub":"b"}}`), "temporarily_unavailable", 503},
		{"two answers in one", "t", "", 200, `{"active":true,"client_id":"active","client_id":"deleted"}`, "temporarily_unavailable", 503},
		{"no JSON", "t", "", 200, "<p>active", "temporarily_unavailable", 503},
		{"256 KiB", "t", "", 200, `{"active":false}` + strings.Repeat(" ", 256<<10-len(`{"active":false}`)), "", 200},
		{"a byte more", "t", "", 200, `{"active":false}` + strings.Repeat(" ", 256<<10-len(`{"active":false}`)+1), "temporarily_unavailable", 503},
		{"refused without an end", "t", "", 401, strings.Repeat("x", 256<<10+1), "temporarily_unavailable", 503},
		{"deleted, as another success", "t", "", 203, `{"active":true,"client_id":"deleted"}`, `{"active":false}`, 203},
		{"no body", "t", "", 204, "", "temporarily_unavailable", 503},
		{"refused", "t", "", 401, `{"error":"invalid_client"}`, "", 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Accept-Encoding") != "" {
					t.Error("the answer may come packed")
				}
				w.WriteHeader(http.StatusEarlyHints)
				w.Header().Set("Content-Type", c.contentType)
				w.Header().Set("Content-Length", "999")
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})
			w := httptest.NewRecorder()
			r := httptest.NewRequest("POST", "/introspect", strings.NewReader(url.Values{"token": {c.token}}.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Accept-Encoding", "gzip")
			g.at(w, r, introspection).serveGuarded(next)
			if w.Code != c.wantStatus {
				t.Fatalf("%d %s, want %d", w.Code, w.Body, c.wantStatus)
			}
			switch {
			case c.want == "" && (w.Body.String() != c.body || w.Header().Get("Content-Type") != c.contentType),
				c.want != "" && !strings.Contains(w.Body.String(), c.want),
				c.want == string(inactive) && (w.Body.String() != c.want || w.Header().Get("Content-Length") != "16"):
				t.Errorf("%v %s, want %s in 16 bytes", w.Header(), w.Body, c.want)
			}
		})
	}
}
