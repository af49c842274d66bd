package caddymodule

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/authserver"
)

// TestCheckHost: a document that software would not find, or not believe, where it
// is asked for is warned of once, and one that is in its place never.
func TestCheckHost(t *testing.T) {
	for _, c := range []struct {
		issuer, mtls string
		hosts        string // those that ask, in turn
		warnings     int
	}{
		{"https://auth.bank.example/default/obuk", "", "auth.bank.example AUTH.Bank.example auth.bank.example:443", 0},
		{"https://auth.bank.example:443/default/obuk", "", "auth.bank.example auth.bank.example:443", 0},
		{"https://auth.bank.example:8443", "", "auth.bank.example:8443", 0},
		{"https://auth.bank.example", "https://mtls.bank.example", "auth.bank.example mtls.bank.example mtls.bank.example:443", 0},
		{"https://auth.bank.example", "", "auth.bank.example:8443 auth.bank.example:8443", 1},
		{"https://as.internal:9443/default/obuk", "", "auth.bank.example auth.bank.example x", 1},
		{"https://auth.bank.example", "https://mtls.bank.example", "other.bank.example", 1},
	} {
		var log strings.Builder
		h := &Handler{MTLSOrigin: c.mtls, log: slog.New(slog.NewTextHandler(&log, nil))}
		table := &table{metadata: &authserver.Metadata{Issuer: c.issuer}}
		for host := range strings.FieldsSeq(c.hosts) {
			h.checkHost(table, host)
		}
		if n := strings.Count(log.String(), "level=WARN"); n != c.warnings {
			t.Errorf("issuer %s asked for at %s: %d warnings\n%s", c.issuer, c.hosts, n, &log)
		}
	}
}
