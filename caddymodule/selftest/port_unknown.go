//go:build !linux

package selftest

import (
	"io"
	"net"
)

// isHeld: see freePort.
const isHeld = false

// freePort is one of 127.0.0.1 that nobody listens at. This system cannot hold it for Caddy.
func freePort() (port int, held io.Closer, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, nil, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, io.NopCloser(nil), nil
}
