package gateway

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

func basicOf(id string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":secret"))
}

// otherRequest is one to the token endpoint, of app with Basic unless header says otherwise.
func otherRequest(t *testing.T, header http.Header, body string) *http.Request {
	r := tokenRequest(leaf(t, "tpp", time.Now().Add(time.Hour)), body)
	r.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {basicOf("app")}}
	for name, values := range header {
		r.Header[name] = values
	}
	return r
}

func guardRefusalsFor(t *testing.T, workspace, reason string) float64 {
	t.Helper()
	var m dto.Metric
	if err := guardRefusals.WithLabelValues(workspace, reason).Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

// TestOtherBodiesAreRefused: whoever sends them, with one line in the log and counted by reason.
func TestOtherBodiesAreRefused(t *testing.T) {
	w := newWhole(t, nil)
	for _, c := range []struct {
		name, rule, says string
		header           http.Header
	}{
		{"JSON", "media_type", "Content-Type: 'application/json'; this endpoint takes", nil},
		{"no type", "media_type", "Content-Type: missing", http.Header{"Content-Type": nil}},
		{"two types", "media_type", "Content-Type", http.Header{"Content-Type": {formType, formType}}},
		{"another character set", "charset", "in UTF-8", http.Header{"Content-Type": {formType + "; charset=ISO-8859-1"}}},
		{"a parameter", "charset", "in UTF-8", http.Header{"Content-Type": {formType + "; x=y"}}},
		{"packed", "content_encoding", "Content-Encoding: 'gzip'", http.Header{"Content-Type": {formType}, "Content-Encoding": {"gzip"}}},
		{"packed as it is", "content_encoding", "Content-Encoding: 'identity'", http.Header{"Content-Type": {formType}, "Content-Encoding": {"identity"}}},
		{"packed JSON", "content_encoding", "Content-Encoding", http.Header{"Content-Encoding": {"gzip"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := guardRefusalsFor(t, w.ws.Name, c.rule)
			lines := w.guardLines(otherRequest(t, c.header, "{}"))
			if len(lines) != 1 || lines[0]["rule"] != c.rule || lines[0]["status"] != 415.0 || lines[0]["presented_client_id"] != "app" || !strings.Contains(lines[0]["description"].(string), c.says) {
				t.Errorf("the log has %v", lines)
			}
			if after := guardRefusalsFor(t, w.ws.Name, c.rule); after != before+1 || w.passed != nil {
				t.Errorf("counted %v after %v, passed on %v", after, before, w.passed)
			}
		})
	}
}

// TestOtherBodiesPass: of clients that the registry does not know and that say so with Basic
// and nothing else, as they came, and without the certificate of the connection.
func TestOtherBodiesPass(t *testing.T) {
	w := newWhole(t, nil)
	w.options.PassOtherBodies, w.options.CertificateHeader = true, verify.CertificateHeader{Form: verify.FormRFC9440, Name: "Client-Cert"}
	for name, c := range map[string]struct {
		header http.Header
		body   string
	}{
		"JSON":                       {nil, ` {"grant_type":"client_credentials", "scope":"a b"}`},
		"JSON in UTF-8":              {http.Header{"Content-Type": {"Application/JSON; charset=UTF-8"}}, `{"name":"\u00e9"}`},
		"JSON with its own id":       {nil, `{"client_id":"app","client_secret":null}`},
		"a form in Latin 1":          {http.Header{"Content-Type": {formType + "; charset=ISO-8859-1"}}, "grant_type=client_credentials&x=%E9"},
		"a form in Latin 1 as it is": {http.Header{"Content-Type": {formType + `;charset="iso-8859-1"`}}, "x=\xe9"},
	} {
		answer := w.serve(otherRequest(t, c.header, c.body))
		if answer.Code != 200 || w.body != c.body || w.passed.Header.Get("Authorization") != basicOf("app") || w.passed.Header["Client-Cert"] != nil {
			t.Errorf("%s: %d %s, passed on %q", name, answer.Code, answer.Body, w.body)
		}
	}
	if answer := w.serve(otherRequest(t, http.Header{"Content-Type": {formType}}, "scope=a")); answer.Code != 200 || w.passed.Header["Client-Cert"] == nil {
		t.Errorf("a form: %d, the certificate %q", answer.Code, w.passed.Header["Client-Cert"])
	}
	w.must(w.store.EndToken(t.Context(), w.ws, registry.Presented{Token: &verify.AccessToken{Raw: "ended"}}))
	w.says = `{"active":true}`
	r := httptest.NewRequest("POST", "/default/obuk/introspect", strings.NewReader(`{"token":"ended"}`))
	r.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {basicOf("app")}}
	if answer := w.serve(r); answer.Code != 200 || answer.Body.String() != `{"active":false}` {
		t.Errorf("a token that was ended, asked about in JSON: %d %s", answer.Code, answer.Body)
	}
}

// TestOtherBodiesOfRegisteredClients: a body in which the AS could find a client of the
// registry, or two ways to authenticate, does not pass.
func TestOtherBodiesOfRegisteredClients(t *testing.T) {
	w := newWhole(t, nil)
	w.options.PassOtherBodies = true
	assertion := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"PS256"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"client","sub":"client"}`)) + ".c2ln"
	for _, c := range []struct {
		name   string
		header http.Header
		query  string
		body   string
		status int
	}{
		{"Basic of a registered client", http.Header{"Authorization": {basicOf("client")}}, "", `{}`, 415},
		{"Basic of a registered client, escaped", http.Header{"Authorization": {basicOf("%63lient")}}, "", `{}`, 415},
		{"Basic of one in another spelling", http.Header{"Authorization": {basicOf("CLIENT")}}, "", `{}`, 401},
		{"no Authorization", http.Header{"Authorization": nil}, "", `{"client_id":"app"}`, 415},
		{"a token", http.Header{"Authorization": {"Bearer t"}}, "", `{}`, 415},
		{"two Authorization headers", http.Header{"Authorization": {basicOf("app"), basicOf("app")}}, "", `{}`, 415},
		{"two Authorization headers, one of the client", http.Header{"Authorization": {basicOf("app"), basicOf("client")}}, "", `{}`, 415},
		{"Basic without an id", http.Header{"Authorization": {basicOf("")}}, "", `{}`, 415},
		{"the client in the body", nil, "", `{"client_id":"client"}`, 415},
		{"the client in the body, escaped", nil, "", `{"client\u005fid":"\u0063lient"}`, 415},
		{"the client in a list", nil, "", `{"client_id":["client"]}`, 415},
		{"the client in another spelling", nil, "", `{"clientId":"x","Client_ID":"client"}`, 415},
		{"two clients", nil, "", `{"client_id":"app","client_id":"client"}`, 415},
		{"an assertion", nil, "", `{"client_assertion":"` + assertion + `"}`, 415},
		{"a secret", nil, "", `{"client_id":"app","client_secret":"s"}`, 415},
		{"the client in the address", nil, "client_id=client", `{}`, 415},
		{"the client in a form in Latin 1", http.Header{"Content-Type": {formType + "; charset=ISO-8859-1"}}, "", "client_id=client", 415},
		{"EBCDIC", http.Header{"Content-Type": {formType + "; charset=ibm037"}}, "", "x=y", 415},
		{"JSON in UTF-16", http.Header{"Content-Type": {"application/json; charset=utf-16"}}, "", `{}`, 415},
		{"JSON in UTF-16, unsaid", nil, "", "{\x00}\x00", 415},
		{"packed", http.Header{"Content-Encoding": {"gzip"}}, "", `{}`, 415},
		{"a form that says it is JSON", nil, "", "client_id=client", 415},
		{"text", http.Header{"Content-Type": {"text/plain"}}, "", `{}`, 415},
		{"a form of parts", http.Header{"Content-Type": {"multipart/form-data; boundary=x"}}, "", "--x--", 415},
		{"two types", http.Header{"Content-Type": {"application/json", formType}}, "", `{}`, 415},
	} {
		r := otherRequest(t, c.header, c.body)
		r.URL.RawQuery = c.query
		if answer := w.serve(r); answer.Code != c.status || w.passed != nil {
			t.Errorf("%s: %d %s, want %d", c.name, answer.Code, answer.Body, c.status)
		}
	}
	w.options.RefuseUnknown = true
	if answer := w.serve(otherRequest(t, nil, "{}")); answer.Code != 401 || w.passed != nil {
		t.Errorf("unknown_clients refuse: %d %s", answer.Code, answer.Body)
	}
}

// TestCompressedRegistrationIsRefused: a registration that is packed is told so, whatever its type.
func TestCompressedRegistrationIsRefused(t *testing.T) {
	w := newWhole(t, nil)
	r := httptest.NewRequest("POST", "/default/obuk/register", strings.NewReader("x"))
	r.Header = http.Header{"Content-Type": {"application/jose"}, "Content-Encoding": {"gzip"}}
	d := w.registering(r)
	err := d.checkMediaType()
	if e := refusal.From(err); err == nil || e.Kind != refusal.UnsupportedMediaType || e.RuleName() != "content_encoding" || !strings.HasPrefix(e.Description, "Content-Encoding: 'gzip'; send a signed request") {
		t.Errorf("got %v, want a refusal of Content-Encoding", err)
	}
}
