package caddymodule

import (
	"bytes"
	"crypto/x509"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/crl"
)

// TestLinesAboutOneCA: certificates of a CA that are covered and that are not, in turn, are no
// two lines for each pair of requests.
func TestLinesAboutOneCA(t *testing.T) {
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
	if n := strings.Count(log.String(), "\n"); n != maxIssuerLines {
		t.Errorf("%d lines, want %d", n, maxIssuerLines)
	}
	u.tell(out, &verify.Unchecked{Certificate: ca, Why: errors.New("not covered")}, false, now.Add(time.Hour))
	if n := strings.Count(log.String(), "\n"); n != maxIssuerLines+1 {
		t.Errorf("%d lines an hour later", n)
	}
}

// TestKeepUntil: a list without an end is kept by its beginning, and one that ends in the year
// 9999 for ten years.
func TestKeepUntil(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct{ begins, ends, want time.Time }{
		{now, now.Add(time.Hour), now.Add(time.Hour + keepCRLFor)},
		{now, time.Time{}, now.Add(keepCRLFor)},
		{now, time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), now.Add(keepCRLAtMost)},
	} {
		if got := keepUntil(crl.Kept{ThisUpdate: c.begins, NextUpdate: c.ends}, now); !got.Equal(c.want) || got.UnixNano() < 0 {
			t.Errorf("%s to %s: %s, want %s", c.begins, c.ends, got, c.want)
		}
	}
}
