package caddymodule

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// TestLeftOutKeysAreLoggedAndCounted: each is told of once, with its reason, and counted; of many at once the
// log has ten.
func TestLeftOutKeysAreLoggedAndCounted(t *testing.T) {
	var log bytes.Buffer
	l := newLeftOutKeys(slog.New(slog.NewTextHandler(&log, nil)), t.Name())
	counted := func() float64 {
		var m dto.Metric
		if err := leftOutCount.WithLabelValues(t.Name()).Write(&m); err != nil {
			t.Fatal(err)
		}
		return m.GetCounter().GetValue()
	}
	said := func(lines int, texts ...string) {
		t.Helper()
		if got := strings.Count(log.String(), "\n"); got != lines {
			t.Errorf("%d lines, want %d: %s", got, lines, log.String())
		}
		for _, text := range texts {
			if !strings.Contains(log.String(), text) {
				t.Errorf("the log does not say %q: %s", text, log.String())
			}
		}
		log.Reset()
	}
	const at = "https://keys.example/a.jwks"
	one := verify.LeftOut{KeyID: "a", Reason: errors.New("use is a number")}
	l.tell(at, []verify.LeftOut{one, {KeyID: "b", Reason: errors.New("is no list"), Certificates: true}})
	said(2, "ignores a key of a JWKS", "jwks="+at, "kid=a", `error="use is a number"`, "ignores the certificates (x5c) of a key", "kid=b")
	l.tell(at, []verify.LeftOut{one})
	said(0)
	l.tell(at, []verify.LeftOut{{KeyID: "a", Reason: errors.New("alg is a number")}})
	said(1, "alg is a number")
	l.tell("https://keys.example/b.jwks", []verify.LeftOut{one})
	said(1, "b.jwks")
	if n := counted(); n != 4 {
		t.Errorf("%v counted, want 4", n)
	}
	var many []verify.LeftOut
	for n := range 100 {
		many = append(many, verify.LeftOut{KeyID: fmt.Sprint(n), Reason: errors.New("x")})
	}
	l.tell(at, many)
	said(11, "ignores more keys of a JWKS", "keys=90")
	if n := counted(); n != 104 {
		t.Errorf("%v counted, want 104", n)
	}
}
