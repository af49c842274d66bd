package e2e_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// TestStoreLimitsOfOneTPP: a TPP can have so many clients, and write so much in a day. What it has
// works on, and the other TPP does not notice.
func TestStoreLimitsOfOneTPP(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	client := p.Client(p.Acme)
	id, own := registered(t, p)

	t.Run("clients", func(t *testing.T) {
		reload(t, p, gateway.Workspace("clients_per_software 2"))
		answered(t, registers(t, p, client, nil), nil, http.StatusCreated, "")
		token, body, err := p.Prepare(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r, err := client.Register(t.Context(), p.Register, token, body)
		told := answered(t, r, err, http.StatusForbidden, "access_denied").Text("error_description")
		if !strings.Contains(told, "at most 2") || !strings.Contains(told, "delete") {
			t.Errorf("got %q, want at most 2, and to delete one", told)
		}
		r, err = client.Delete(t.Context(), p.Register, id, own)
		answered(t, r, err, http.StatusNoContent, "")
		r, err = client.Register(t.Context(), p.Register, token, body)
		answered(t, r, err, http.StatusCreated, "") // neither token nor request was used up
	})

	t.Run("bytes", func(t *testing.T) {
		reload(t, p, gateway.Workspace("bytes_per_organisation 1KiB"))
		r := answered(t, registers(t, p, client, nil), nil, http.StatusTooManyRequests, "invalid_request")
		wait, err := strconv.Atoi(r.Header.Get("Retry-After"))
		if err != nil || wait < 1 || wait > 24*60*60 {
			t.Errorf("got Retry-After %q, want a day at most", r.Header.Get("Retry-After"))
		}
		if told := r.Text("error_description"); !strings.Contains(told, "1024 bytes a day") {
			t.Errorf("got %q, want 1024 bytes a day", told)
		}
		reload(t, p, gateway.Workspace("bytes_per_organisation off"))
		answered(t, registers(t, p, client, nil), nil, http.StatusCreated, "")
	})
	says(t, p.Gateway, `"rule":"clients_per_software"`, `"rule":"bytes_per_organisation"`)
}
