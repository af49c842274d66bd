package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// logged finds the one line of the log that has these members.
func logged(p *story.Play, want map[string]string) error {
	lines := 0
	for line := range strings.SplitSeq(p.Gateway.Log(), "\n") {
		var members map[string]any
		if json.Unmarshal([]byte(line), &members) != nil {
			continue
		}
		all := true
		for name, value := range want {
			text := fmt.Sprint(members[name])
			all = all && (text == value || value == "*" && members[name] != nil && text != "")
		}
		if all {
			lines++
		}
	}
	if lines != 1 {
		return fmt.Errorf("got %d lines with %v, want 1", lines, want)
	}
	return nil
}

// says waits for texts in the gateway's log: a line may come later than the answer that it
// is about.
func says(t *testing.T, g *gateway.Process, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if said(t.Context(), g, 1, text) == 0 {
			t.Errorf("the log does not say: %s", text)
		}
	}
}

// saysTimes waits for a text in the gateway's log so many times, and no more.
func saysTimes(t *testing.T, g *gateway.Process, times int, text string) {
	t.Helper()
	if n := said(t.Context(), g, times, text); n != times {
		t.Errorf("the log says %d times, not %d: %s", n, times, text)
	}
}

// said counts a text in the gateway's log, when it is there at least so many times.
func said(ctx context.Context, g *gateway.Process, times int, text string) (n int) {
	_ = story.Eventually(ctx, 20*time.Second, func() error { // the caller judges the number
		if n = strings.Count(g.Log(), text); n < times {
			return fmt.Errorf("got %q %d times, want %d", text, n, times)
		}
		return nil
	})
	return n
}

// accessLog gives a site one, among the gateway's own lines.
func accessLog(site string) gateway.Edit {
	return gateway.At(site).Add("log {", "\toutput stderr", "}")
}

// TestLogFields: by the support code of an answer its reason is found, in the
// gateway's own log and in the access log, with who sent it as far as that was verified.
func TestLogFields(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	reload(t, p, accessLog(siteOf(p)))
	stranger, err := strangersKey()
	if err != nil {
		t.Fatal(err)
	}
	claims, err := p.Acme.RequestClaims(nil)
	if err != nil {
		t.Fatal(err)
	}
	forged, err := stranger.Sign(claims, map[string]any{"kid": p.Acme.Signing.ID})
	if err != nil {
		t.Fatal(err)
	}
	unverified, err := p.Stranger.Request(nil)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]string{"software_id": p.Acme.SoftwareID, "org_id": p.Acme.OrgID, "kid": p.Acme.Signing.ID}
	for i, c := range []struct {
		name string
		body func() (string, error)
		want map[string]string
	}{
		{"accepted", func() (string, error) { return p.Acme.Request(nil) }, map[string]string{"outcome": "accepted", "client_id": "*", "organization_identifier": "PSDGB-FCA-123456"}},
		{"cannot manage itself", func() (string, error) {
			return p.Acme.Request(map[string]any{"grant_types": []string{"authorization_code", "refresh_token"}})
		}, map[string]string{"outcome": "accepted", "warning": "*"}},
		{"metadata", func() (string, error) { return p.Acme.Request(map[string]any{"response_types": []string{"token"}}) },
			map[string]string{"outcome": "refused", "error": "invalid_client_metadata", "rule": "response_types"}},
		{"signature", func() (string, error) { return forged, nil }, map[string]string{"outcome": "refused", "rule": "signature"}},
		{"unknown directory", func() (string, error) { return unverified, nil },
			map[string]string{"outcome": "refused", "error": "unapproved_software_statement", "software_id": "<nil>", "org_id": "<nil>", "kid": "*"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			token, _, err := p.Prepare(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			body, err := c.body()
			if err != nil {
				t.Fatal(err)
			}
			code := fmt.Sprintf("4f5a1c3e-7b0d-4c8e-9a51-2d6f0b8c7e%02d", i)
			r, err := p.Client(p.Acme).Do(t.Context(), http.MethodPost, p.Register, http.Header{
				"Content-Type": {"application/jose"}, "Authorization": {"Bearer " + token}, "X-Fapi-Interaction-Id": {code},
			}, []byte(body))
			if err != nil || r.Header.Get("x-fapi-interaction-id") != code {
				t.Fatalf("got %v, %v, want the support code %s", r, err, code)
			}
			own := map[string]string{"support_code": code, "logger": "http.handlers.openbanking_dcr"}
			access := map[string]string{"dcr_support_code": code, "msg": "handled request"}
			for _, fields := range []map[string]string{known, c.want} {
				for name, value := range fields {
					own[name], access["dcr_"+name] = value, value
				}
			}
			if err := story.Eventually(t.Context(), 10*time.Second, func() error { return logged(p, own) }); err != nil {
				t.Error(err)
			}
			if err := story.Eventually(t.Context(), 10*time.Second, func() error { return logged(p, access) }); err != nil {
				t.Error(err)
			}
		})
	}
}
