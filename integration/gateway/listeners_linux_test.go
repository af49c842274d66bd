package gateway

import (
	"context"
	"net"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestShared(t *testing.T) {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		ctrl := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		if ctrl != nil {
			return ctrl
		}
		return err
	}}
	listen := func(address string) net.Listener {
		l, err := config.Listen(context.Background(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return l
	}
	is := func(want bool) {
		t.Helper()
		address, err := shared(os.Getpid())
		if err != nil || (address != "") != want {
			t.Errorf("got %q, %v, want an address: %t", address, err, want)
		}
	}
	first := listen("127.0.0.1:0")
	is(false)
	second := listen(first.Addr().String())
	is(true)
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	is(false)
}
