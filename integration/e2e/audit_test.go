package e2e_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// TestAuditTrail: what was done is there, in its order, with who asked, and what was
// refused is not; it is there after a crash too, and has no secret.
func TestAuditTrail(t *testing.T) {
	once(t, story.Options{}, func(t *testing.T, p *story.Play) {
		id, token, body := updating(t, p)
		client := p.Client(p.Acme)
		half := audited(t, p, "workspace=default/obuk")[0]["at"].(string)

		r, err := client.Update(t.Context(), p.Register, id, token, body)
		updated := answered(t, r, err, http.StatusOK, "")
		r, err = client.Update(t.Context(), p.Register, id, token, body)
		answered(t, r, err, http.StatusBadRequest, "invalid_client_metadata") // its jti is used up
		answered(t, registers(t, p, client, map[string]any{"grant_types": []string{"password"}}), nil, http.StatusBadRequest, "invalid_client_metadata")
		changed(t, p, "clients/"+id, "suspend")
		r, err = client.Read(t.Context(), p.Register, id, token)
		answered(t, r, err, http.StatusForbidden, "access_denied")
		changed(t, p, "clients/"+id, "resume")
		r, err = client.Delete(t.Context(), p.Register, id, token)
		deleted := answered(t, r, err, http.StatusNoContent, "")
		restart(t, p, p.Gateway.Kill)

		sum := sha256.Sum256(p.Acme.Transport.Certificate[0])
		thumbprint := base64.RawURLEncoding.EncodeToString(sum[:])
		trail := audited(t, p, "workspace=default/obuk")
		want := []map[string]any{
			{"change": "registered", "software_id": p.Acme.SoftwareID, "org_id": p.Acme.OrgID, "certificate": thumbprint},
			{"change": "updated", "support_code": updated.Header.Get("x-fapi-interaction-id"), "certificate": thumbprint},
			{"change": "suspended", "reason": "fraud", "certificate": nil, "support_code": nil},
			{"change": "resumed", "reason": "fraud", "certificate": nil},
			{"change": "deleted", "support_code": deleted.Header.Get("x-fapi-interaction-id"), "certificate": thumbprint},
		}
		if len(trail) != len(want) {
			t.Fatalf("got the trail %v, want %d entries", trail, len(want))
		}
		for i, members := range want {
			for name, value := range members {
				if trail[i][name] != value || trail[i]["client_id"] != id {
					t.Errorf("entry %d is %v, want %v", i, trail[i], members)
				}
			}
		}
		if since := audited(t, p, "workspace=default/obuk&since="+half); len(since) != len(want) || since[0]["change"] != "registered" {
			t.Errorf("since %s: got %v, want %d entries, registered first", half, since, len(want))
		}
		if since := audited(t, p, "workspace=default/obuk&since="+trail[1]["at"].(string)); len(since) != len(want)-1 || since[0]["change"] != "updated" {
			t.Errorf("since the update: got %v, want %d entries, updated first", since, len(want)-1)
		}
		text := fmt.Sprint(trail)
		if slices.ContainsFunc(append(p.Secrets(), token, body), func(secret string) bool { return strings.Contains(text, secret) }) {
			t.Error("a secret is in the audit trail")
		}
	})
}

// audited is the audit trail, read two entries at a time.
func audited(t *testing.T, p *story.Play, query string) (trail []map[string]any) {
	t.Helper()
	for cursor := ""; ; {
		status, answer := operator(t, p, http.MethodGet, "audit?limit=2&"+query+cursor, "")
		if status != http.StatusOK || len(trail) > 100 {
			t.Fatalf("%d %v, want 200", status, answer)
		}
		for _, e := range answer["entries"].([]any) {
			trail = append(trail, e.(map[string]any))
		}
		next, more := answer["next"].(string)
		if !more {
			return trail
		}
		cursor = "&cursor=" + url.QueryEscape(next)
	}
}
