package selftest

import (
	"net"
	"strconv"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// TestPortIsHeld: nobody but Caddy can listen at a port that a run has chosen.
func TestPortIsHeld(t *testing.T) {
	port, held, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	if l, err := net.Listen("tcp", address); err == nil && isHeld {
		l.Close()
		t.Error("another program can listen there")
	}
	at, err := caddy.ParseNetworkAddress(address)
	if err != nil {
		t.Fatal(err)
	}
	l, err := at.Listen(t.Context(), 0, net.ListenConfig{})
	if err != nil {
		t.Fatalf("Caddy cannot: %v", err)
	}
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatalf("nobody listens: %v", err)
	}
	for _, one := range []interface{ Close() error }{c, l.(net.Listener), held} {
		if err := one.Close(); err != nil {
			t.Error(err)
		}
	}
}
