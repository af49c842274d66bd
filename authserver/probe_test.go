package authserver_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// TestProbeDiscovery: the error is that of the last fetch, also where an older document is
// in use, and a fetch is made each time.
func TestProbeDiscovery(t *testing.T) {
	e := newEdge(t, nil)
	e.on(discovery, answer(http.StatusBadGateway, ""), answer(http.StatusOK, e.document()), answer(http.StatusNotFound, ""), answer(http.StatusOK, e.document()))
	for i, good := range []bool{false, true, false, true} {
		err := e.ProbeDiscovery(t.Context())
		if good != (err == nil) {
			t.Errorf("probe %d: %v", i, err)
		}
		if err != nil {
			e.refused(err, refusal.Unavailable)
		}
		if n := len(e.to(discovery)); n != i+1 {
			t.Errorf("probe %d: %d fetches", i, n)
		}
		if i > 0 && e.metadata().Issuer != issuer {
			t.Errorf("probe %d: no document is in use", i)
		}
	}
	e.later(time.Minute) // what the probe has fetched is fresh
	if e.metadata(); len(e.to(discovery)) != 4 {
		t.Errorf("%d fetches", len(e.to(discovery)))
	}
}

// TestProbeClient: what an answer to a question about nobody's token says of the client
// that asks.
func TestProbeClient(t *testing.T) {
	type want struct{ introspection, revocation error }
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   want
	}{
		"inactive":                   {answer(200, `{"active":false}`), want{nil, nil}},
		"members twice":              {answer(200, `{"active":false,"active":false,"x":1,"x":2}`), want{nil, nil}},
		"nothing to say":             {answer(200, ``), want{authserver.ErrNoEndpoint, nil}},
		"a page":                     {answer(200, `<html>`), want{authserver.ErrNoEndpoint, nil}},
		"wrong secret":               {answer(401, `{"error":"invalid_client","error_description":"no such client"}`), want{authserver.ErrCredentials, authserver.ErrCredentials}},
		"wrong secret, without code": {answer(401, ``), want{authserver.ErrCredentials, authserver.ErrCredentials}},
		"wrong secret, 400":          {answer(400, `{"error":"invalid_client"}`), want{authserver.ErrCredentials, authserver.ErrCredentials}},
		"may not":                    {answer(403, `{"error":"access_denied"}`), want{authserver.ErrMayNot, nil}},
		"not this type of token":     {answer(400, `{"error":"unsupported_token_type"}`), want{nil, nil}},
		"not such a token":           {answer(400, `{"error":"invalid_request"}`), want{nil, nil}},
		"no such address":            {answer(404, ``), want{authserver.ErrNoEndpoint, authserver.ErrNoEndpoint}},
		"maintenance":                {answer(503, ``), want{authserver.ErrNoAnswer, authserver.ErrNoAnswer}},
		"too many":                   {answer(429, ``), want{authserver.ErrNoAnswer, authserver.ErrNoAnswer}},
		"dropped":                    {dropped, want{authserver.ErrNoAnswer, authserver.ErrNoAnswer}},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t, nil)
			e.on(introspect, test.answer)
			e.on(revoke, test.answer)
			probes := e.ClientProbes(e.metadata())
			if len(probes) != 2 || probes[0].ID != "gateway" || probes[1].ID != "registrar" || probes[0].URL != e.https.URL+"/as/introspect" || probes[1].URL != e.https.URL+"/as/revoke" {
				t.Fatalf("%+v, want gateway at introspection and registrar at revocation", probes)
			}
			for i, want := range []error{test.want.introspection, test.want.revocation} {
				err := e.ProbeClient(t.Context(), probes[i])
				if !errors.Is(err, want) {
					t.Errorf("%s: %v, want %v", probes[i].ID, err, want)
				}
				if err != nil {
					e.tellsNoSecret("an error", err.Error())
				}
			}
			for _, call := range []string{introspect, revoke} {
				sent := e.only(call)
				if _, _, ok := (&http.Request{Header: sent.header}).BasicAuth(); !ok || !strings.HasPrefix(sent.body, "token=probe-of-the-gateway-") {
					t.Errorf("asked %+v", sent)
				}
			}
		})
	}
}

// TestClientProbes: who can be tried, and where.
func TestClientProbes(t *testing.T) {
	for _, test := range []struct {
		name    string
		change  func(*authserver.Options)
		without []string
		want    string
	}{
		{"both", nil, nil, "gateway /as/introspect, registrar /as/revoke"},
		{"no introspection", nil, []string{"introspection_endpoint", ""}, "gateway /as/revoke, registrar /as/revoke"},
		{"no revocation", nil, []string{"revocation_endpoint", ""}, "gateway /as/introspect"},
		{"neither", nil, []string{"introspection_endpoint", "", "revocation_endpoint", ""}, ""},
		{"one client", func(o *authserver.Options) { o.RegistrarID = "" }, nil, "gateway /as/introspect"},
		{"none", func(o *authserver.Options) { o.ClientID, o.RegistrarID = "", "" }, nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t, func(_ *edge, o *authserver.Options) {
				if test.change != nil {
					test.change(o)
				}
			})
			e.on(discovery, answer(http.StatusOK, e.document(test.without...)))
			var got []string
			for _, p := range e.ClientProbes(e.metadata()) {
				got = append(got, p.ID+" "+strings.TrimPrefix(p.URL, e.https.URL))
			}
			if text := strings.Join(got, ", "); text != test.want {
				t.Errorf("%s, want %s", text, test.want)
			}
		})
	}
}
