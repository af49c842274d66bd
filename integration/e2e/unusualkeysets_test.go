package e2e_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/directory"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// TestUnusableKeysAreLeftOut: what directories have published. A key with an x5c that has PEM text at its
// end signs; what is left out is in the log with its reason; a software's set without a key that
// counts is the TPP's to mend, and an answer that is no set is nobody's.
func TestUnusableKeysAreLeftOut(t *testing.T) {
	t.Parallel()
	odd := func(set any, change func(map[string]any)) []byte {
		raw, err := json.Marshal(set)
		if err != nil {
			t.Fatal(err)
		}
		var keys struct {
			Keys []map[string]any `json:"keys"`
		}
		if err := json.Unmarshal(raw, &keys); err != nil {
			t.Fatal(err)
		}
		for _, k := range keys.Keys {
			change(k)
		}
		if raw, err = json.Marshal(keys); err != nil {
			t.Fatal(err)
		}
		return raw
	}
	pem := func(k map[string]any) {
		k["x5c"], k["d"], k["use"] = []string{"MIIB-----END CERTIFICATE-----"}, nil, "sig"
	}
	for _, c := range []struct {
		name   string
		set    func(*story.Play) (url string, body []byte)
		status int
		answer string
		log    []string
	}{
		{"the directory's only key", func(p *story.Play) (string, []byte) {
			return p.Directory.JWKSURL(), odd(p.Directory.JWKS(), pem)
		}, http.StatusCreated, `"client_id"`, []string{"ignores the certificates (x5c) of a key of a JWKS", "holds as number 1 what is not base64"}},
		{"no key of the directory's", func(p *story.Play) (string, []byte) {
			return p.Directory.JWKSURL(), odd(p.Directory.JWKS(), func(k map[string]any) { k["use"] = 7 })
		}, http.StatusServiceUnavailable, "temporarily_unavailable", []string{"ignores a key of a JWKS", "use is a number, not a string", "no usable key: kid "}},
		{"the software's keys", func(p *story.Play) (string, []byte) {
			return p.Acme.JWKSEndpoint(), odd(p.Acme.JWKS(), pem)
		}, http.StatusCreated, `"client_id"`, nil},
		{"no key of the software's", func(p *story.Play) (string, []byte) {
			return p.Acme.JWKSEndpoint(), odd(p.Acme.JWKS(), func(k map[string]any) { k["kty"] = "AKP" })
		}, http.StatusBadRequest, "registration request cannot be verified: the software's JWKS has no usable key: kid '", []string{"ignores a key of a JWKS"}},
		{"a page in place of the software's keys", func(p *story.Play) (string, []byte) {
			return p.Acme.JWKSEndpoint(), []byte("<html>")
		}, http.StatusServiceUnavailable, "temporarily_unavailable", []string{"not a JSON object"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
			token, body, err := p.Prepare(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			url, set := c.set(p)
			p.Directory.AddFault(directory.Fault{Path: url, Times: -1, Status: http.StatusOK, Body: set})
			r, err := p.Make(t.Context(), story.Call{Method: http.MethodPost, URL: p.Register, As: p.Acme, Token: token, Body: body})
			if err != nil || r.Status != c.status || !strings.Contains(string(r.Body), c.answer) {
				t.Errorf("%v, %v, want %d with %s", r, err, c.status, c.answer)
			}
			says(t, p.Gateway, c.log...)
		})
	}
}
