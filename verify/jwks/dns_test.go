package jwks_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// DNS record types (RFC 1035 3.2.2, RFC 3596 2.1).
const (
	typeA    = 1
	typeAAAA = 28
)

// nameServer answers every name from a script: the first lookup with the first
// addresses, the last ones for ever.
type nameServer struct {
	mu      sync.Mutex
	script  [][]string
	lookups map[uint16]int // by record type
}

// resolver is a real one that asks a real server on loopback.
func resolver(t *testing.T, script ...[]string) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &nameServer{script: script, lookups: map[uint16]int{}}
	var served sync.WaitGroup
	served.Go(func() {
		query := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(query)
			if err != nil {
				return
			}
			if _, err := conn.WriteTo(s.answer(query[:n]), from); err != nil {
				return
			}
		}
	})
	t.Cleanup(func() { conn.Close(); wait.ForGroup(t, &served, "the end of the name server") })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// answer writes a response (RFC 1035 4.1) to a query of one question.
func (s *nameServer) answer(query []byte) []byte {
	end := 12 // of the name
	for query[end] != 0 {
		end += 1 + int(query[end])
	}
	end += 5
	kind := binary.BigEndian.Uint16(query[end-4:])
	s.mu.Lock()
	addresses := s.script[min(s.lookups[kind], len(s.script)-1)]
	s.lookups[kind]++
	s.mu.Unlock()
	out := append([]byte(nil), query[:end]...)
	clear(out[2:12])
	out[2], out[3], out[5] = 0x81, 0x80, 1 // a response, recursion desired and available, one question
	for _, text := range addresses {
		a := netip.MustParseAddr(text)
		if (kind == typeA) != a.Is4() || kind != typeA && kind != typeAAAA {
			continue
		}
		out[7]++
		out = append(out, 0xc0, 12, 0, byte(kind), 0, 1, 0, 0, 0, 0, 0, byte(a.BitLen()/8))
		out = append(out, a.AsSlice()...)
	}
	return out
}

// errLoopbackOnly stands for a dial that would have been made: no test leaves
// the machine.
var errLoopbackOnly = errors.New("not dialled: another machine")

// watch has the names of a client answered by the resolver, and collects the
// addresses that its own check lets pass.
func watch(c *jwks.Client, names *net.Resolver) (passed func() []string) {
	d := c.Dialer()
	d.Resolver = names
	check := d.Control
	var mu sync.Mutex
	var list []string
	d.Control = func(network, address string, conn syscall.RawConn) error {
		if check != nil {
			if err := check(network, address, conn); err != nil {
				return err
			}
		}
		ap := netip.MustParseAddrPort(address)
		mu.Lock()
		defer mu.Unlock()
		list = append(list, ap.Addr().String())
		if !ap.Addr().IsLoopback() {
			return errLoopbackOnly
		}
		return nil
	}
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), list...)
	}
}
