package selftest

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// TestInterrupt: a run that is interrupted leaves no file, no listener and no configuration.
func TestInterrupt(t *testing.T) {
	for _, at := range []string{"the story", "the hostile requests"} {
		t.Run(at, func(t *testing.T) {
			temporary := t.TempDir()
			t.Setenv("TMPDIR", temporary)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var addresses []string
			o := Options{Config: temporary + ".Caddyfile", Progress: func(what string) {
				if strings.HasPrefix(what, at) {
					addresses = running(t)
					cancel()
				}
			}}
			if err := os.WriteFile(o.Config, []byte(example(t)), 0o600); err != nil {
				t.Fatal(err)
			}
			report, err := Run(ctx, o)
			if report != nil || !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, %v, want the error of the context alone", report, err)
			}
			if entries, err := os.ReadDir(temporary); err != nil || len(entries) > 0 {
				t.Errorf("got %v, %v in the temporary folder, want nothing", entries, err)
			}
			if len(addresses) != 1 {
				t.Errorf("got %v, want the address of the site", addresses)
			}
			for _, address := range addresses {
				if conn, err := net.Dial("tcp", address); err == nil {
					conn.Close()
					t.Errorf("%s still listens", address)
				}
			}
		})
	}
}

// running are the addresses of the sites that run.
func running(t *testing.T) (addresses []string) {
	t.Helper()
	app, err := caddy.ActiveContext().AppIfConfigured("http")
	if err != nil {
		t.Fatal(err)
	}
	for _, server := range app.(*caddyhttp.App).Servers {
		addresses = append(addresses, server.Listen...)
	}
	return addresses
}

// TestClose: the servers that take the place of the bank's end with the run.
func TestClose(t *testing.T) {
	r := rewritten(t, adapted(t, example(t)))
	addresses := []string{r.keys.address, r.sink.address}
	for _, s := range r.stubs {
		addresses = append(addresses, s.address)
	}
	if len(addresses) != 3 {
		t.Errorf("got %v, want three servers", addresses)
	}
	if err := r.close(); err != nil {
		t.Fatal(err)
	}
	for _, address := range addresses {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			t.Errorf("%s still listens", address)
		}
	}
}
