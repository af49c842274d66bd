package gateway

import (
	"bytes"
	"crypto/x509"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// TestUncheckedIssuerIsLoggedOnce: certificates of a CA that are covered and that are not, in turn, are no
// two lines for each pair of requests.
func TestUncheckedIssuerIsLoggedOnce(t *testing.T) {
	var log bytes.Buffer
	out := slog.New(slog.NewTextHandler(&log, nil))
	ca := leaf(t, "CA", time.Now().Add(time.Hour))
	cert := &verify.Certificate{Leaf: ca, Authorities: []*x509.Certificate{ca}}
	var u uncheckedIssuers
	now := time.Now()
	for range 100 {
		u.tell(out, &verify.Unchecked{Certificate: ca, Why: errors.New("not covered")}, false, now)
		u.end(out, cert, now)
	}
	if n := strings.Count(log.String(), "\n"); n != 10 {
		t.Errorf("%d lines, want 10", n)
	}
	u.tell(out, &verify.Unchecked{Certificate: ca, Why: errors.New("not covered")}, false, now.Add(time.Hour))
	if n := strings.Count(log.String(), "\n"); n != 11 {
		t.Errorf("%d lines an hour later, want 11", n)
	}
}
