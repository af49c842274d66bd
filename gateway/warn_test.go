package gateway

import (
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// What works and will surprise somebody is said in the log.
func TestWarn(t *testing.T) {
	for name, c := range map[string]struct {
		id     string
		grants []string
		word   string // empty: nothing
	}{
		"usual":                      {"0b9f25ac-e55e-4767-bf1d-07011620dccb", []string{"client_credentials"}, ""},
		"cannot manage itself":       {"0b9f25ac-e55e-4767-bf1d-07011620dccb", []string{"authorization_code"}, "cannot manage its registration"},
		"client_id of 36 characters": {strings.Repeat("a", 36), []string{"client_credentials"}, ""},
		"client_id of 37 characters": {strings.Repeat("a", 37), []string{"client_credentials"}, "client_id of more than 36"},
		"client_id for no path":      {"a/b", []string{"client_credentials"}, "a path must escape"},
	} {
		d := &registrationRequest{request: new(request)}
		d.warn(&registry.Client{ClientID: c.id, Metadata: verify.Metadata{GrantTypes: c.grants}})
		text := ""
		for _, f := range d.request.fields {
			text += f.String()
		}
		if (c.word == "") != (text == "") || !strings.Contains(text, c.word) {
			t.Errorf("%s: %q, want %q", name, text, c.word)
		}
	}
}
